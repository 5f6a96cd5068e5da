"""Bars for the tokens that might follow: those that the sampler keeps in colour, those that it cuts in grey."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.widgets.tinted_text import percent, visible

if TYPE_CHECKING:
    from llm_studio.workflows.generation.next_token import Candidate

COUNT = 10
_HEIGHT, _BAR = 19, 9
_WORD, _FIGURE = 74, 56
"""Pixels for the token and for its percentage."""


class _Bar(QAbstractButton):
    """One candidate: its token, a bar, its probability."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._candidate: Candidate | None = None
        self._share = 0.0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)
        self.hide()

    def show_candidate(self, candidate: "Candidate", widest: float) -> None:
        """Show a candidate; the bar of the probability `widest` takes all the room."""
        self._candidate = candidate
        probability = candidate.sampling_prob if candidate.kept else candidate.model_prob
        self._share = probability / widest if widest else 0.0
        self.setEnabled(candidate.writable)
        self.setCursor(Qt.CursorShape.PointingHandCursor if candidate.writable else Qt.CursorShape.ArrowCursor)
        word, figure = visible(candidate.text), percent(probability)
        said = _("{token}, {share}, kept") if candidate.kept else _("{token}, {share}, cut by the sampler")
        self.setAccessibleName(said.format(token=word, share=figure))
        tip = _("Model alone: {own} · with these settings: {drawn}")
        self.setToolTip(tip.format(own=percent(candidate.model_prob), drawn=percent(candidate.sampling_prob)))
        self.show()
        self.update()

    def candidate(self) -> "Candidate | None":
        """What is shown."""
        return self._candidate

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """A line high."""
        return QSize(_WORD + _FIGURE + 60, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Word, bar, figure."""
        if self._candidate is None:
            return
        kept = self._candidate.kept
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.hasFocus() or (self.underMouse() and self.isEnabled()):
            painter.setPen(theme.color("accent") if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent_soft"))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.setFont(theme.font(12, fixed=True))
        painter.setPen(theme.color("text" if kept else "muted"))
        word = painter.fontMetrics().elidedText(visible(self._candidate.text), Qt.TextElideMode.ElideRight, _WORD - 6)
        painter.drawText(QRectF(3, 0, _WORD - 3, self.height()), Qt.AlignmentFlag.AlignVCenter, word)
        room = QRectF(_WORD, (self.height() - _BAR) / 2, max(1, self.width() - _WORD - _FIGURE), _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("sunken"))
        painter.drawRoundedRect(room, 2, 2)
        bar = QRectF(room)
        bar.setWidth(max(1.0, room.width() * min(1.0, self._share)))
        painter.setBrush(theme.color("accent") if kept else theme.color("muted", 0.55))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setFont(theme.font(12))
        painter.setPen(theme.color("text" if kept else "muted"))
        figure = percent(self._candidate.sampling_prob if kept else self._candidate.model_prob)
        painter.drawText(
            QRectF(self.width() - _FIGURE, 0, _FIGURE - 3, self.height()),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            figure,
        )


class CandidateBars(QWidget):
    """About ten candidates, the most likely first. A click on one asks to put it after the text."""

    chosen = Signal(str)
    """The text of a token."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("Possible next tokens"))
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        self.bars = [_Bar(self) for _n in range(COUNT)]
        for bar in self.bars:
            bar.clicked.connect(self._on_clicked)
            inside.addWidget(bar)
        self.setMinimumHeight(COUNT * _HEIGHT)

    def show_candidates(self, candidates: Sequence["Candidate"], choosable: bool = True) -> None:
        """Show these; none clears. Where they aren't `choosable`, a click on one does nothing."""
        widest = max((c.sampling_prob if c.kept else c.model_prob for c in candidates), default=0.0)
        for index, bar in enumerate(self.bars):
            if index < len(candidates):
                bar.show_candidate(candidates[index], widest)
                bar.setEnabled(bar.isEnabled() and choosable)
            else:
                bar.hide()

    @Slot()
    def _on_clicked(self) -> None:
        bar = self.sender()
        candidate = bar.candidate() if isinstance(bar, _Bar) else None
        if candidate is not None:
            self.chosen.emit(candidate.text)
