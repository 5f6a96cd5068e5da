"""Parts of the dialog *Prepare and train*: the model to start from, the figures of a plan, manual settings, help for
few texts, and the run that can be resumed."""

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QDate, QLocale, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QComboBox, QGridLayout, QSizePolicy, QSpinBox, QWidget

from llm_studio import i18n
from llm_studio.i18n import _, duration, number, short_number, size, time_limit
from llm_studio.ui.widgets.basics import Card, KeyValues, button, label, row
from llm_studio.workflows.training.plan_text import disk_text

if TYPE_CHECKING:
    from llm_studio.workflows.other_models import OtherModel
    from llm_studio.workflows.training.planner import RunPlan

_CLOCK = 10_000
"""Milliseconds between two updates of the end time."""


def end_time(seconds: float) -> str:
    """The time of day after this many seconds, with the day if it isn't today."""
    now, end = time.time(), time.localtime(time.time() + seconds)
    clock = _("{hour}:{minute}").format(hour=end.tm_hour, minute=f"{end.tm_min:02d}")
    day = QDate(end.tm_year, end.tm_mon, end.tm_mday)
    today = QDate(*time.localtime(now)[:3])
    if day == today:
        return clock
    if day == today.addDays(1):
        return _("tomorrow at {time}").format(time=clock)
    date = QLocale(i18n.language()).toString(day, QLocale.FormatType.ShortFormat)
    return _("{date} at {time}").format(date=date, time=clock)


class OriginChoice(QWidget):
    """Whether a run starts with a new model or one of another project; hidden if there are none."""

    changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        words = label(_("Begin with"), self)
        self.box = QComboBox(self)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.setMinimumContentsLength(20)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setAccessibleName(_("The model to begin with"))
        self.box.setToolTip(
            _("A model of another project has learned the language already: few texts then go further. Its tokenizer "
              "and its shape are taken over.")
        )  # fmt: skip
        self.box.addItem(_("A new model"), "")
        words.setBuddy(self.box)
        inside = row(words, self.box)
        inside.setStretch(1, 1)
        self.setLayout(inside)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self.hide()

    @property
    def reference(self) -> str:
        """The reference of the selected model for `make`, "" for a new one."""
        return str(self.box.currentData() or "")

    @property
    def offers_models(self) -> bool:
        """Whether there are models to choose from."""
        return self.box.count() > 1

    def show_models(self, models: "tuple[OtherModel, ...]") -> None:
        """Offer these models."""
        for model in models:
            self.box.addItem(model.text, model.reference)
        self.setVisible(self.offers_models)

    @Slot()
    def open(self) -> None:
        """Open the list."""
        self.box.setFocus()
        self.box.showPopup()

    @Slot()
    def _on_chosen(self) -> None:
        self.changed.emit()


class PlanFigures(Card):
    """The figures of a plan in ten lines; dots while unknown. Below them, what is taken over from another model."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("What will be done"))
        self._left, self._right = KeyValues(self), KeyValues(self)
        self._places = {
            "parameters": (self._left, _("Model")), "vocabulary": (self._left, _("Vocabulary")),
            "context": (self._left, _("Context")), "batch": (self._left, _("Batch")),
            "steps": (self._left, _("Steps")), "passes": (self._right, _("Passes over the texts")),
            "memory": (self._right, _("Memory")), "disk": (self._right, _("Disk space")),
            "preparation": (self._right, _("Preparation")), "end": (self._right, _("Ends at about")),
        }  # fmt: skip
        for key, (place, name) in self._places.items():
            place.add(key, name)
        columns = row(self._left, self._right, spacing=36)
        columns.setStretch(0, 1)
        columns.setStretch(1, 1)
        self.content.addLayout(columns)
        self.origin = label("", self, "muted", wrap=True)
        self.content.addWidget(self.origin)
        self._seconds: float | None = None
        self._clock = QTimer(self, interval=_CLOCK)
        self._clock.timeout.connect(self._show_end)
        self._clock.start()
        self.show_plan(None)

    def show_plan(self, plan: "RunPlan | None", origin: str = "") -> None:
        """Show the figures of a plan, None if unknown. `origin`: the note about the model it starts from."""
        self.origin.setText(origin)
        self.origin.setVisible(bool(origin))
        self._seconds = None if plan is None else plan.preparation + 60 * plan.minutes
        texts = dict.fromkeys(self._places, "…") if plan is None else _figures(plan)
        for key, text in texts.items():
            short = key == "memory" and plan is not None and plan.memory > plan.free
            self._places[key][0].show_value(key, text, "bad" if short else "value")
        self._show_end()

    def value(self, key: str) -> str:
        """The text of a line."""
        return self._places[key][0].value(key)

    @Slot()
    def _show_end(self) -> None:
        if self._seconds is not None:
            self._right.show_value("end", end_time(self._seconds))


def _figures(plan: "RunPlan") -> dict[str, str]:
    tokens = _("{n} tokens")
    memory = _("{needed} of {free} free").format(needed=size(plan.memory), free=size(plan.free))
    preparation = duration(max(1.0, plan.preparation)) if plan.preparation else _("done already")
    return {
        "parameters": _("{n} parameters").format(n=short_number(plan.parameters)),
        "vocabulary": tokens.format(n=number(plan.vocab_size)),
        "context": tokens.format(n=number(plan.context)),
        "batch": _("{n} sequences").format(n=number(plan.batch)),
        "steps": _("about {n}").format(n=number(plan.steps)),
        "passes": number(plan.passes, 1),
        "memory": memory,
        "disk": disk_text(size(plan.disk), plan.snapshots),
        "preparation": preparation if not plan.preparation else _("about {time}").format(time=preparation),
    }


class HandChanges(QWidget):
    """The main settings of a plan, for manual changes; folded initially."""

    changed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.changes: dict[str, object] = {}
        """The user's changes by dotted name."""
        fields = {
            "model.d_model": (_("Width"), 32, 8192, 32), "model.n_layers": (_("Layers"), 1, 128, 1),
            "model.vocab_size": (_("Vocabulary"), 260, 200_000, 256),
            "model.max_seq_len": (_("Context"), 8, 8192, 32), "training.batch_size": (_("Batch"), 1, 65_536, 1),
        }  # fmt: skip
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        self.boxes: dict[str, QSpinBox] = {}
        for column, (name, (title, least, most, step)) in enumerate(fields.items()):
            box = self.boxes[name] = QSpinBox(self)
            box.setRange(least, most)
            box.setSingleStep(step)
            box.setGroupSeparatorShown(True)
            box.setKeyboardTracking(False)
            box.setAlignment(Qt.AlignmentFlag.AlignRight)
            box.setAccessibleName(title)
            box.setMinimumWidth(70)
            box.valueChanged.connect(self._on_typed)
            words = label(title, self, "caption")
            words.setBuddy(box)
            grid.addWidget(words, 0, column)
            grid.addWidget(box, 1, column)
            grid.setColumnStretch(column, 1)
        self.reset = button(_("Back to the plan"), self, self._on_reset, "small")
        note = label(_("The number of steps follows from the time."), self, "caption", wrap=True)
        foot = row(note, self.reset)
        foot.setStretch(0, 1)
        grid.addLayout(foot, 2, 0, 1, len(fields))
        self.show_plan(None)

    def show_plan(self, plan: "RunPlan | None") -> None:
        """Show the settings of a plan; input is kept while there is none."""
        self.reset.setEnabled(bool(self.changes))
        for name, box in self.boxes.items():
            box.setEnabled(plan is not None or name in self.changes)
            if plan is not None:
                section, _dot, key = name.partition(".")
                box.blockSignals(True)
                box.setValue(getattr(getattr(plan.settings, section), key))
                box.blockSignals(False)
                shape = plan.origin is not None and section == "model"
                vocabulary = plan.keeps_tokenizer and key == "vocab_size"
                box.setEnabled(not (shape or vocabulary))

    def forget(self) -> None:
        """Discard all changes without emitting a signal."""
        self.changes.clear()

    @Slot(int)
    def _on_typed(self, value: int) -> None:
        name = next(name for name, box in self.boxes.items() if box is self.sender())
        if name == "model.d_model":  # heads have a width of 32 or 64
            grain = 32 if value < 512 else 64
            value = max(grain, round(value / grain) * grain)
        self.changes[name] = value
        self.changed.emit()

    @Slot()
    def _on_reset(self) -> None:
        self.changes.clear()
        self.changed.emit()


class UnfinishedCard(Card):
    """Offers a run that can be resumed instead; hidden if there is none."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-chosen")
        self._text = label("", self, wrap=True)
        self.content.addWidget(self._text)
        self.hide()

    def show_text(self, text: str) -> None:
        """Show `text`; hide if it is ""."""
        self._text.setText(text)
        self.setVisible(bool(text))


class FewTextsCard(Card):
    """Explains that the texts are few for the time, and what helps; hidden initially."""

    more_requested = Signal()
    stories_requested = Signal()
    model_requested = Signal()
    shorter_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-warn")
        self._text = label("", self, "warn", wrap=True)
        self.more = button(_("Find more texts…"), self, self.more_requested.emit, "small")
        self.stories = button(_("Mix in built-in stories"), self, self.stories_requested.emit, "small")
        self.model = button(_("Begin with another model of yours…"), self, self.model_requested.emit, "small")
        self.shorter = button("", self, self.shorter_requested.emit, "small")
        self.content.addWidget(self._text)
        self.content.addLayout(row(self.more, self.stories, self.shorter, None))
        self.content.addLayout(row(self.model, None))
        self.hide()

    def show_help(self, text: str, shorter: float | None, *, stories: bool, models: bool) -> None:
        """Show `text`. `shorter`: a time limit in minutes to use instead; `stories`: whether stories can be added;
        `models`: whether it can start from another model."""
        self._text.setText(text)
        self.stories.setVisible(stories)
        self.model.setVisible(models)
        self.shorter.setVisible(shorter is not None)
        if shorter is not None:
            self.shorter.setText(_("Only {time}").format(time=time_limit(shorter)))
        self.show()
