"""The samples of a run, from gibberish to sentences, with a slider over the steps."""

from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QListView,
    QSlider,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.icons import put_icon
from llm_studio.ui.widgets.basics import Card, button, icon_button, label, let_shrink, row
from llm_studio.workflows.generation.favourites import Favourite

if TYPE_CHECKING:
    from llm_studio.workflows.training.curves import Curves

_Index = QModelIndex | QPersistentModelIndex
_LONGEST = 240
"""Maximum length of a sample that isn't selected, in characters."""
_BAR, _INDENT, _ROOM = 3, 13, 6
FAVOURITES = "★"


class _Samples(QAbstractListModel):
    """Samples of one prompt, or the favourites, the oldest first."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.shown: list[Favourite] = []
        self.kept: set[tuple[str, int, str]] = set()
        self.names_runs = False

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008  Qt's
        """Number of samples."""
        return 0 if parent.isValid() else len(self.shown)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        """The caption and the text, for screen readers and tests."""
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{self.caption(index.row())}\n{self.text(index.row())}"
        return None

    def caption(self, place: int) -> str:
        """Step and loss of a sample, and whether it is a favourite."""
        sample = self.shown[place]
        parts = [_("step {n}").format(n=number(sample.step))]
        if sample.loss is not None:
            parts.append(_("loss {loss}").format(loss=number(sample.loss, 2)))
        if self.names_runs:
            parts.insert(0, sample.run)
        return " · ".join(parts) + (" ★" if sample.key in self.kept else "")

    def text(self, place: int) -> str:
        """The text with its prompt."""
        sample = self.shown[place]
        return (sample.prompt + sample.text).strip()

    def show_samples(self, shown: list[Favourite]) -> None:
        """Show these; if samples were only added, the rows of the others are kept."""
        old = len(self.shown)
        if shown[:old] == self.shown:
            if len(shown) > old:
                self.beginInsertRows(QModelIndex(), old, len(shown) - 1)
                self.shown = shown
                self.endInsertRows()
            return
        self.beginResetModel()
        self.shown = shown
        self.endResetModel()


class _Painter(QStyledItemDelegate):
    """Paints a sample: a bar on its left, a caption, and its text, complete if it is selected."""

    def _parts(self, option: QStyleOptionViewItem, index: _Index) -> tuple[str, str, int, int]:
        model = index.model()
        assert isinstance(model, _Samples)
        view = self.parent()
        assert isinstance(view, QListView)
        text = model.text(index.row())
        if len(text) > _LONGEST and index.row() != view.currentIndex().row():
            text = text[:_LONGEST].rstrip() + "…"
        width = view.viewport().width() - _INDENT - 4
        height = _height(text, width)
        return model.caption(index.row()), text, width, height

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802  Qt's
        """The height that the text needs."""
        _caption, _text, width, height = self._parts(option, index)
        return QSize(width + _INDENT, height + QFontMetrics(theme.font(12)).height() + 2 * _ROOM)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Paint one sample."""
        caption, text, width, height = self._parts(option, index)
        rect: QRect = option.rect  # pyright: ignore[reportAttributeAccessIssue]  Qt's, unknown to its stubs
        state: QStyle.StateFlag = option.state  # pyright: ignore[reportAttributeAccessIssue]
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        focused = chosen and bool(state & QStyle.StateFlag.State_HasFocus)
        painter.save()
        bar = QRect(rect.left() + 1, rect.top() + 4, _BAR, rect.height() - 8)
        painter.fillRect(bar, theme.color("accent" if chosen else "line"))
        left, top = rect.left() + _INDENT, rect.top() + _ROOM - 2
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("accent" if focused else "muted"))
        line = painter.fontMetrics().height()
        painter.drawText(QRect(left, top, width, line), Qt.AlignmentFlag.AlignLeft, caption)
        painter.setFont(theme.font(13))
        painter.setPen(theme.color("text"))
        flags = Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
        painter.drawText(QRect(left, top + line + 1, width, height + 4), flags, text)
        painter.restore()


def _height(text: str, width: int) -> int:
    box = QRect(0, 0, max(40, width), 100_000)
    return QFontMetrics(theme.font(13)).boundingRect(box, Qt.TextFlag.TextWordWrap, text).height()


class _List(QListView):
    """A list whose rows are as high as their texts."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("Samples of the model"))
        self.setItemDelegate(_Painter(self))
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Update the heights for the new width."""
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()


class SamplesPane(Card):
    """The samples of the displayed run. `chosen` reports the step of the selected one, -1 for the newest."""

    chosen = Signal(int)
    favourite_changed = Signal(object, bool)
    """A Favourite, and whether it should be kept."""
    chat_requested = Signal(str, int)
    """Open a chat with a run's model at a step."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("What the model says"))
        self._run = ""
        self._samples: list[Favourite] = []
        self._favourites: tuple[Favourite, ...] = ()
        self._prompts = QComboBox(self)
        self._prompts.setAccessibleName(_("Prompt that the model continues"))
        self._prompts.setMinimumContentsLength(8)
        self._prompts.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._prompts.currentIndexChanged.connect(self._on_prompt)
        self._star = icon_button("star", _("Add this sample to the favourites"), self, self._on_star)
        self.content.addLayout(row(self._prompts, self._star))
        self._empty = label("", self, "muted", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.content.addWidget(self._empty, 1)
        self._model = _Samples(self)
        self.list = _List(self)
        self.list.setModel(self._model)
        let_shrink(self.list, 150)
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.content.addWidget(self.list, 1)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName(_("Go back in time"))
        self.slider.valueChanged.connect(self._on_slide)
        self._hint = label(_("drag to go back in time"), self, "caption")
        self._hint.setBuddy(self.slider)
        self.content.addWidget(self.slider)
        self.content.addWidget(self._hint)
        self._talk = button(_("Try this version"), self, self._on_talk)
        self.content.addWidget(self._talk)
        self.show_curves(None)

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_curves(self, curves: "Curves | None") -> None:
        """Show the samples of a run; if the newest was selected, the newest stays selected."""
        run = curves.run if curves else ""
        self._seen = (run, len(curves.samples) if curves else 0, len(curves.evaluations) if curves else 0)
        if run != self._run:
            self._run = run
            self._model.show_samples([])
        self._samples = [
            Favourite(run, s.step, s.prompt, s.text, curves.validation_at(s.step) if curves else None)
            for s in (curves.samples if curves else ())
        ]
        self._fill_prompts()
        self._show_list()

    def follow(self, curves: "Curves") -> None:
        """Show the new samples."""
        if (curves.run, len(curves.samples), len(curves.evaluations)) != self._seen:
            self.show_curves(curves)

    def show_favourites(self, favourites: tuple[Favourite, ...]) -> None:
        """Show the favourites of the project."""
        self._favourites = favourites
        self._model.kept = {favourite.key for favourite in favourites}
        self._fill_prompts()
        self._show_list()
        self.list.viewport().update()

    def _fill_prompts(self) -> None:
        prompts = list(dict.fromkeys(sample.prompt for sample in self._samples))
        wanted = [*prompts, *([FAVOURITES] if self._favourites else [])]
        if wanted == [self._prompts.itemData(i) for i in range(self._prompts.count())]:
            return
        before = self._prompts.currentData()
        self._prompts.blockSignals(True)
        self._prompts.clear()
        for prompt in wanted:
            shown = _("★ Favourites") if prompt == FAVOURITES else _("“{prompt}”").format(prompt=prompt)
            self._prompts.addItem(shown, prompt)
        self._prompts.setCurrentIndex(max(0, self._prompts.findData(before)))
        self._prompts.blockSignals(False)

    def _show_list(self) -> None:
        prompt = self._prompts.currentData()
        favourites = prompt == FAVOURITES
        at_end = self.slider.value() >= self.slider.maximum()
        self._model.names_runs = favourites
        shown = list(self._favourites) if favourites else [s for s in self._samples if s.prompt == prompt]
        self._model.show_samples(shown)
        some = bool(shown)
        for part in (self._prompts, self._star, self.list, self.slider, self._hint, self._talk):
            part.setVisible(some)
        self._empty.setVisible(not some)
        self._empty.setText(
            _("At each evaluation the model writes a few lines; they appear here, so you can watch it learn to write.")
        )
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(shown) - 1))
        self.slider.setPageStep(max(1, len(shown) // 10))
        self.slider.blockSignals(False)
        if some and (at_end or not self.list.currentIndex().isValid()):
            self._choose(len(shown) - 1)
        self._show_star()

    def _choose(self, place: int) -> None:
        index = self._model.index(place, 0)
        self.list.setCurrentIndex(index)
        self.list.scrollTo(index)

    def choose_step(self, step: float) -> None:
        """Select the last sample written at or before a step."""
        places = [place for place, sample in enumerate(self._model.shown) if sample.step <= step]
        if places and self._prompts.currentData() != FAVOURITES:
            self._choose(places[-1])

    @property
    def current(self) -> Favourite | None:
        """The selected sample."""
        place = self.list.currentIndex().row()
        return self._model.shown[place] if 0 <= place < len(self._model.shown) else None

    def _show_star(self) -> None:
        sample = self.current
        kept = sample is not None and sample.key in self._model.kept
        put_icon(self._star, "star-fill" if kept else "star", "warn" if kept else "muted")
        name = _("Remove this sample from the favourites") if kept else _("Add this sample to the favourites")
        self._star.setToolTip(name)
        self._star.setAccessibleName(name)

    # --- Actions of the user ----------------------------------------------------------------------------------

    @Slot()
    def _on_prompt(self) -> None:
        self._model.show_samples([])
        self._show_list()
        if self._model.shown:
            self._choose(len(self._model.shown) - 1)

    @Slot(int)
    def _on_slide(self, place: int) -> None:
        if place < len(self._model.shown):
            self._choose(place)

    @Slot()
    def _on_current(self) -> None:
        sample, place = self.current, self.list.currentIndex().row()
        self.list.scheduleDelayedItemsLayout()
        self._show_star()
        if sample is None:
            return
        self.slider.blockSignals(True)
        self.slider.setValue(place)
        self.slider.blockSignals(False)
        newest = place == len(self._model.shown) - 1
        if self.list.hasFocus() or self.slider.hasFocus():
            self.chosen.emit(-1 if newest or sample.run != self._run else sample.step)

    @Slot()
    def _on_star(self) -> None:
        sample = self.current
        if sample is not None:
            self.favourite_changed.emit(sample, sample.key not in self._model.kept)

    @Slot()
    def _on_talk(self) -> None:
        sample = self.current
        if sample is not None:
            self.chat_requested.emit(sample.run, sample.step)
