"""Written tokens on their way to the screen."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.events import Event, TextWritten, TokenWritten
from llm_studio.workflows.generation.chats import UNKNOWN, Token

_REDRAW = 50
"""Milliseconds: written tokens are kept here and shown by a timer."""


class TokenBuffer(QObject):
    """Keeps what was written until it is shown, by `show`, all that has come at once."""

    def __init__(self, parent: QObject, show: Callable[[Sequence[Token]], None]) -> None:
        super().__init__(parent)
        self._show = show
        self._waiting: list[Token] = []
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw)

    def begin(self) -> None:
        """The model is going to write."""
        self._timer.start()

    def end(self) -> None:
        """What hasn't been shown isn't any more."""
        self._timer.stop()
        self._waiting = []

    def forget(self) -> None:
        """What has come so far is on the screen, or of no chat that is."""
        self._waiting = []

    def take(self, event: Event) -> None:
        """A token was written: it is shown a moment later."""
        if isinstance(event, TokenWritten):
            self._waiting.append(Token(event.token, event.text, event.probability, event.alternatives))
        elif isinstance(event, TextWritten) and event.text:
            self._waiting.append(Token(UNKNOWN, event.text, 1.0))

    @Slot()
    def _draw(self) -> None:
        if self._waiting:
            tokens, self._waiting = self._waiting, []
            self._show(tokens)
