"""A bar chart of tokens with a value each, such as a probability; a token can be chosen."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import _, percent
from llm_studio.ui import theme
from llm_studio.workflows.generation.next_token import visible

_HEIGHT, _WORD, _FIGURE = 22, 96, 58


class GuessBar(QAbstractButton):
    """A token, its value as a bar, and the value as a number."""

    def __init__(self, parent: QWidget, figure: Callable[[float], str], words: int, figures: int) -> None:
        super().__init__(parent)
        self.token = -1
        self._figure, self._word_width, self._figure_width = figure, words, figures
        self._word, self._value, self._widest, self._marked = "", 0.0, 1.0, False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier().changed.connect(self.update)

    def show_guess(self, token: int, word: str, value: float, widest: float, marked: bool) -> None:
        """Show a token. `widest`: the value of a bar of full length. `marked`: it is the token in the text."""
        self.token, self._word, self._marked = token, visible(word), marked
        self._value, self._widest = value, widest or 1.0
        said = _("{token}, {share}, the token of the text") if marked else _("{token}, {share}")
        self.setAccessibleName(said.format(token=self._word, share=self._figure(value)))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """One line high."""
        return QSize(self._word_width + self._figure_width + 30, _HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the token, the bar and the number."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isEnabled() and (self.hasFocus() or self.underMouse()):
            painter.setPen(theme.color("accent") if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent_soft"))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        name = "accent" if self._marked else "text"
        painter.setFont(theme.font(13, bold=self._marked))
        painter.setPen(theme.color(name))
        word = painter.fontMetrics().elidedText(self._word, Qt.TextElideMode.ElideRight, self._word_width - 8)
        painter.drawText(QRectF(4, 0, self._word_width - 4, self.height()), Qt.AlignmentFlag.AlignVCenter, word)
        room = max(1, self.width() - self._word_width - self._figure_width)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("accent" if self._marked else "muted", 1.0 if self._marked else 0.55))
        long = max(1.0, room * min(1.0, max(0.0, self._value) / self._widest))
        painter.drawRoundedRect(QRectF(self._word_width, self.height() / 2 - 4, long, 8), 2, 2)
        painter.setPen(theme.color(name))
        painter.setFont(theme.font(12))
        right = QRectF(self.width() - self._figure_width, 0, self._figure_width - 4, self.height())
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
                         self._figure(self._value))  # fmt: skip


class GuessList(QWidget):
    """The most likely tokens, most likely first. `choosable`: a click on a token chooses it."""

    chosen = Signal(int)
    """The ID of the token that was clicked."""

    def __init__(
        self, parent: QWidget, name: str, count: int, choosable: bool = True, *,
        figure: Callable[[float], str] | None = None, word_width: int = _WORD, figure_width: int = _FIGURE,
    ) -> None:  # fmt: skip
        """`count`: the maximum number of tokens. `figure`: formats a value; by default, as a percentage."""
        super().__init__(parent)
        self.setAccessibleName(name)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(1)
        self.bars = [GuessBar(self, figure or _percent, word_width, figure_width) for _n in range(count)]
        for bar in self.bars:
            bar.clicked.connect(self._on_clicked)
            bar.setEnabled(choosable)
            if choosable:
                bar.setCursor(Qt.CursorShape.PointingHandCursor)
            inside.addWidget(bar)
            bar.hide()

    def show_guesses(self, guesses: Sequence[tuple[int, str, float]], marked: int = -1) -> None:
        """Show the first `count` of these tokens, given as (ID, label, value). `marked`: the ID of the one to mark."""
        widest = max((value for _token, _word, value in guesses), default=1.0)
        for index, bar in enumerate(self.bars):
            bar.setVisible(index < len(guesses))
            if index < len(guesses):
                token, word, value = guesses[index]
                bar.show_guess(token, word, value, widest, token == marked)

    @Slot()
    def _on_clicked(self) -> None:
        bar = self.sender()
        if isinstance(bar, GuessBar):
            self.chosen.emit(bar.token)


def _percent(value: float) -> str:
    return percent(value, 1)
