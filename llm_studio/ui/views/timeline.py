"""The moments of a run on a slider, with the sample texts of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QComboBox, QMenu, QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.icons import put_icon
from llm_studio.ui.widgets.basics import Card, as_plain_text, button, icon_button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.training.moments import RunMoment, RunMoments

_PLAY = 250
"""Duration of a moment during playback in milliseconds."""


class MomentSlider(QSlider):
    """A slider with a tick for each moment: a longer one if weights were saved then."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._long: list[bool] = []
        self.setAccessibleName(_("Moment of the run"))
        self.setPageStep(5)
        self.setFixedHeight(30)
        theme.notifier().changed.connect(self.update)

    def show_ticks(self, long: list[bool]) -> None:
        """Show a tick for each entry, long if it is True."""
        self._long = long
        self.setRange(0, max(0, len(long) - 1))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the ticks below the slider."""
        super().paintEvent(event)
        if len(self._long) < 2:
            return
        painter = QPainter(self)
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self)
        painter.setPen(QPen(theme.color("muted"), 1))
        room, low = self.width() - handle, self.height() - 1
        places = [round(handle / 2 + room * index / (len(self._long) - 1)) + 0.5 for index in range(len(self._long))]
        painter.drawLines([QLineF(x, low, x, low - (6 if long else 2))
                           for x, long in zip(places, self._long, strict=True)])  # fmt: skip


@dataclass(frozen=True, eq=False)
class PinnedMoment:
    """A moment of a run that is pinned for comparison with the chosen one."""

    run: str
    moment: "RunMoment"


class Timeline(Card):
    """Selects a moment, and another one to compare it with.

    The texts of a moment are shown immediately; its model, that of the nearest saved weights, has to be loaded.
    """

    step_chosen = Signal(int)
    """The step of the moment that is now selected, by the user or during playback."""
    talk_requested = Signal()
    """The user wants to generate text with the model of this moment."""
    pin_requested = Signal(str, int)
    """The run and the step of the moment to pin; "" and 0 to unpin."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._run = ""
        self._moments: tuple[RunMoment, ...] = ()
        self._bests: tuple[tuple[str, int], ...] = ()
        self._pinned: PinnedMoment | None = None
        self.content.setContentsMargins(14, 8, 14, 10)
        self.content.setSpacing(4)
        self.play = icon_button("play", _("Play the moments"), self, self.toggle)
        self.slider = MomentSlider(self)
        self.where = label("", self, "value")
        self.where.setMinimumWidth(90)
        self.talk = self._talk_button()
        self.content.addLayout(row(self.play, self.slider, self.where, self._compare_button(), self.talk, spacing=12))
        self.prompts = QComboBox(self)
        self.prompts.setAccessibleName(_("The beginning that the model continues"))
        self.prompts.setMaximumWidth(220)
        self.written = label("", self, "muted")
        self.written.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.loss = label("", self, "caption")
        line = row(self.prompts, self.written, self.loss, spacing=10)
        line.setStretch(1, 1)
        self.content.addLayout(line)
        self.content.addWidget(self._pinned_line())
        self._timer = QTimer(self, interval=_PLAY)
        self._timer.timeout.connect(self._play_next)
        self.slider.valueChanged.connect(self._on_moved)
        self.prompts.currentIndexChanged.connect(self._show_text)

    def _talk_button(self) -> QWidget:
        made = button(_("Talk to this one"), self, self.talk_requested.emit, "primary")
        made.setToolTip(_("Open Generation with the model of this moment"))
        return made

    def _compare_button(self) -> QWidget:
        self.compare = button(_("Compare"), self)
        self.compare.setToolTip(_("Keep another moment, of this run or of another one, beside this one in every view"))
        self._menu = QMenu(self.compare)
        self._menu.aboutToShow.connect(self._fill_menu)
        self._menu.triggered.connect(self._on_menu)
        self.compare.setMenu(self._menu)
        return self.compare

    def _pinned_line(self) -> QWidget:
        """The name, text and loss of the pinned moment, and a button to unpin it."""
        self.pinned_line = QWidget(self)
        self.pinned_name = label("", self.pinned_line, "value")
        self.pinned_text = label("", self.pinned_line, "muted")
        self.pinned_text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.pinned_loss = label("", self.pinned_line, "caption")
        self.unpin = icon_button("x", _("Stop comparing"), self.pinned_line, self._on_unpin)
        line = row(self.pinned_name, self.pinned_text, self.pinned_loss, self.unpin, spacing=10)
        line.setStretch(1, 1)
        self.pinned_line.setLayout(line)
        self.pinned_line.hide()
        return self.pinned_line

    # --- Content ------------------------------------------------------------------------------------------------

    def show_moments(self, found: "RunMoments", step: int) -> None:
        """Show the moments of a run and select the one nearest to `step`, without emitting `step_chosen`."""
        self._run, self._moments = found.run, found.moments
        self.slider.blockSignals(True)
        self.slider.show_ticks([moment.has_weights for moment in found.moments])
        nearest = min(range(len(self._moments)), key=lambda n: abs(self._moments[n].step - step), default=0)
        self.slider.setValue(nearest)
        self.slider.blockSignals(False)
        self.slider.setEnabled(len(self._moments) > 1)
        self.play.setEnabled(len(self._moments) > 1)
        prompts = found.prompts()
        if prompts != tuple(self.prompts.itemText(n) for n in range(self.prompts.count())):
            chosen = self.prompts.currentText()
            self.prompts.blockSignals(True)
            self.prompts.clear()
            self.prompts.addItems(list(prompts))
            self.prompts.setCurrentIndex(max(0, self.prompts.findText(chosen)))
            self.prompts.blockSignals(False)
        for part in (self.prompts, self.written):
            part.setVisible(bool(prompts))
        self._show()

    def show_bests(self, bests: Sequence[tuple[str, int]]) -> None:
        """Offer the best moments of runs, given as (run, step), for comparison."""
        self._bests = tuple(bests)

    def show_pinned(self, pinned: PinnedMoment | None) -> None:
        """Show the pinned moment; None for none."""
        self._pinned = pinned
        self.pinned_line.setVisible(pinned is not None)
        if pinned is not None:
            self.pinned_name.setText(moment_name(pinned.run, pinned.moment.step))
            self.pinned_loss.setText(_facts(pinned.moment))
        self._show_text()

    def moment(self) -> "RunMoment | None":
        """The selected moment; None if there are no moments."""
        place = self.slider.value()
        return self._moments[place] if place < len(self._moments) else None

    def text(self) -> str:
        """The sample text of this moment for the selected prompt; without one, that of the nearest moment."""
        return self._text_of(self.moment())

    def _text_of(self, moment: "RunMoment | None") -> str:
        if moment is None:
            return ""
        prompt, step = self.prompts.currentText(), moment.step
        known = self._moments if moment in self._moments else (moment,)
        texts = {one.step: text.text for one in known for text in one.texts if text.prompt == prompt}
        nearest = min(texts, key=lambda other: abs(other - step), default=None)
        if nearest is None or nearest == step:
            return texts.get(step, "")
        return _("({step}) {text}").format(step=_step(nearest), text=texts[nearest])

    @property
    def is_playing(self) -> bool:
        """Whether the moments are being played."""
        return self._timer.isActive()

    def _show(self) -> None:
        moment = self.moment()
        if moment is None:
            self.where.setText("")
            self.loss.setText(_("No moments of its training are stored with this model."))
            return
        self.where.setText(_step(moment.step))
        self.loss.setText(_facts(moment))
        self._show_text()

    @Slot()
    def _show_text(self) -> None:
        pinned = self._pinned.moment if self._pinned is not None else None
        for shown, text in ((self.written, self.text()), (self.pinned_text, self._text_of(pinned))):
            line = " ".join(text.split())
            room = max(0, shown.width() - 4)
            shown.setText(shown.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, room))
            shown.setToolTip(as_plain_text(text))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Elide the texts to the new width."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._show_text)

    # --- Comparing ----------------------------------------------------------------------------------------------

    @Slot()
    def _fill_menu(self) -> None:
        """List the moments that can be pinned, without duplicates: this one, the first one, the best of each run."""
        self._menu.clear()
        offers: dict[tuple[str, int], str] = {}
        moment = self.moment()
        if moment is not None:
            text = _("With this moment, {step}: then choose another one")
            offers[self._run, moment.step] = text.format(step=_step(moment.step))
        if self._moments:
            first = self._moments[0].step
            offers.setdefault((self._run, first), _("With {step} of this run").format(step=_step(first)))
        for run, step in self._bests:
            offers.setdefault((run, step), _("With the best of {run}, {step}").format(run=run, step=_step(step)))
        for (run, step), text in offers.items():
            self._offer(text, run, step)
        if self._pinned is not None:
            self._menu.addSeparator()
            self._offer(_("Stop comparing"), "", 0)

    def _offer(self, text: str, run: str, step: int) -> None:
        self._menu.addAction(text.replace("&", "&&")).setData((run, step))

    @Slot(QAction)
    def _on_menu(self, action: QAction) -> None:
        self.pin_requested.emit(*action.data())

    @Slot()
    def _on_unpin(self) -> None:
        self.pin_requested.emit("", 0)

    # --- Selection and playback ---------------------------------------------------------------------------------

    @Slot(int)
    def _on_moved(self, _place: int) -> None:
        self._show()
        moment = self.moment()
        if moment is not None:
            self.step_chosen.emit(moment.step)

    @Slot()
    def toggle(self) -> None:
        """Stop playing, or play from this moment, from the first one if this is the last."""
        if self.is_playing:
            self.stop()
            return
        if self.slider.value() == self.slider.maximum():
            self.slider.setValue(0)
        self._timer.start()
        self._show_play(_("Stop playing"), "pause")

    def stop(self) -> None:
        """Stop playing at this moment."""
        self._timer.stop()
        self._show_play(_("Play the moments"), "play")

    def _show_play(self, name: str, icon: str) -> None:
        put_icon(self.play, icon, "muted")
        self.play.setToolTip(name)
        self.play.setAccessibleName(name)

    @Slot()
    def _play_next(self) -> None:
        if self.slider.value() >= self.slider.maximum():
            self.stop()
        else:
            self.slider.setValue(self.slider.value() + 1)


def moment_name(run: str, step: int) -> str:
    """The name of a moment, as in run-1 · step 500."""
    return f"{run} · {_step(step)}"


def _step(step: int) -> str:
    return _("step {step}").format(step=number(step))


def _facts(moment: "RunMoment") -> str:
    """The number of tokens trained on so far, and the validation loss, or the training loss if there is none."""
    loss = moment.validation_loss if moment.validation_loss is not None else moment.loss
    words = [_("{n} tokens read").format(n=number(moment.tokens))] if moment.tokens is not None else []
    words += [_("loss {loss}").format(loss=number(loss, 2))] if loss is not None else []
    return " · ".join(words)
