"""A buffer for generated tokens on their way to the screen."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.events import Event, TextWritten, TokenWritten
from llm_studio.workflows.generation.chats import UNKNOWN, Token

_REDRAW = 50
"""Milliseconds between two updates of the screen."""


class TokenBuffer(QObject):
    """Collects tokens and passes all that have arrived to `show`, by a timer."""

    def __init__(self, parent: QObject, show: Callable[[Sequence[Token]], None]) -> None:
        super().__init__(parent)
        self._show = show
        self._waiting: list[Token] = []
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw)

    def begin(self) -> None:
        """The model starts to write."""
        self._timer.start()

    def end(self) -> None:
        """Discard tokens that haven't been shown."""
        self._timer.stop()
        self._waiting = []

    def forget(self) -> None:
        """Discard the tokens so far: they are already shown, or belong to another chat."""
        self._waiting = []

    def take(self, event: Event) -> None:
        """Add a token, to be shown a moment later."""
        if isinstance(event, TokenWritten):
            self._waiting.append(Token(event.token, event.text, event.probability, event.alternatives))
        elif isinstance(event, TextWritten) and event.text:
            self._waiting.append(Token(UNKNOWN, event.text, 1.0))

    @Slot()
    def _draw(self) -> None:
        if self._waiting:
            tokens, self._waiting = self._waiting, []
            self._show(tokens)
