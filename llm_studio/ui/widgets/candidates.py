"""Bars of candidates for the next token, each with two probabilities: the model's, and that of being sampled."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QLabel, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import label, row
from llm_studio.workflows.generation.next_token import Candidate, visible

COUNT = 10
_HEIGHT, _BAR = 18, 5
"""Height of a line, and of each of its two bars, in pixels."""
_WORD, _FIGURE = 68, 52
"""Width of the token and of each percentage, in pixels."""


class _Bar(QAbstractButton):
    """One candidate: its token, and a bar and a percentage each for the model and for the sampler."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._candidate: Candidate | None = None
        self._widest = 1.0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)
        self.hide()

    def show_candidate(self, candidate: Candidate, widest: float) -> None:
        """Show a candidate; the bar of the probability `widest` has the full width."""
        self._candidate, self._widest = candidate, widest or 1.0
        self.setEnabled(candidate.writable)
        self.setCursor(Qt.CursorShape.PointingHandCursor if candidate.writable else Qt.CursorShape.ArrowCursor)
        said = _("{token}, model {own}, sampling {drawn}") if candidate.kept else _("{token}, model {own}, not sampled")
        own, drawn = percent(candidate.model_prob, 1), percent(candidate.sampling_prob, 1)
        self.setAccessibleName(said.format(token=visible(candidate.text), own=own, drawn=drawn))
        tip = _("Model alone: {own} · with these settings: {drawn}")
        self.setToolTip(tip.format(own=own, drawn=drawn))
        self.show()
        self.update()

    def candidate(self) -> Candidate | None:
        """The displayed candidate."""
        return self._candidate

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The height of a line."""
        return QSize(_WORD + 2 * _FIGURE + 40, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint token, bars and figures."""
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
        painter.setFont(theme.font(12))
        own, drawn = self._candidate.model_prob, self._candidate.sampling_prob
        self._paint_value(painter, 0, own, "muted")
        if kept:
            self._paint_value(painter, 1, drawn, "accent")

    def _paint_value(self, painter: QPainter, place: int, value: float, color: str) -> None:
        """Paint one probability: place 0 is the model's, 1 the sampler's. Both have the same scale."""
        room = max(1, self.width() - _WORD - 2 * _FIGURE)
        top = self.height() / 2 - _BAR + place * _BAR
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(color))
        painter.drawRect(QRectF(_WORD, top, max(1.0, room * min(1.0, value / self._widest)), _BAR))
        painter.setPen(theme.color(color))
        area = QRectF(self.width() - (2 - place) * _FIGURE, 0, _FIGURE - 3, self.height())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, percent(value, 1))


class CandidateBars(QWidget):
    """About ten candidates, the most likely first. A click requests adding one to the text."""

    chosen = Signal(int)
    """A token."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("Possible next tokens"))
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        self.heads = tuple(self._head(text, tip) for text, tip in (
            (_("model"), _("The model's probability of each token, before any setting")),
            (_("sampling"), _("The probability with which it is sampled with these settings; together 100\u00a0%")),
        ))  # fmt: skip
        inside.addLayout(row(None, *self.heads, spacing=6))
        self.bars = [_Bar(self) for _n in range(COUNT)]
        for bar in self.bars:
            bar.clicked.connect(self._on_clicked)
            inside.addWidget(bar)
        self.setMinimumHeight((COUNT + 1) * _HEIGHT)

    def _head(self, text: str, tip: str) -> QLabel:
        """The header of a column of percentages."""
        made = label(text, self, "caption")
        made.setMinimumWidth(_FIGURE)
        made.setContentsMargins(0, 0, 3, 0)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setToolTip(tip)
        return made

    def show_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Show these candidates; an empty sequence clears."""
        for head in self.heads:
            head.setVisible(bool(candidates))
        widest = max((max(c.sampling_prob, c.model_prob) for c in candidates), default=0.0)
        for index, bar in enumerate(self.bars):
            if index < len(candidates):
                bar.show_candidate(candidates[index], widest)
            else:
                bar.hide()

    @Slot()
    def _on_clicked(self) -> None:
        bar = self.sender()
        candidate = bar.candidate() if isinstance(bar, _Bar) else None
        if candidate is not None:
            self.chosen.emit(candidate.token)
