"""A short message at the bottom of a window that disappears by itself."""

from collections import deque

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QFrame, QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label, row

_SECONDS = 8
_MOST_HELD = 3
"""Number of messages that wait behind one that can be undone; older ones are dropped."""


class ToastBar(QFrame):
    """Shows one message at a time over its parent, with "Undo" if possible. Only another undoable message replaces an
    undoable one; others wait."""

    undone = Signal(object)
    """Undoing was requested, with the `undo` argument of `say`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "toast")
        self._text = label("", self)
        self._undo = button(_("Undo"), self)
        self._undo.clicked.connect(self._on_undo)
        inside = row(self._text, self._undo)
        inside.setContentsMargins(14, 8, 8, 8)
        self.setLayout(inside)
        self._window = parent
        self._timer = QTimer(self, singleShot=True, interval=_SECONDS * 1000)
        self._timer.timeout.connect(self._next)
        self._way_back: object = None
        self._held: deque[str] = deque(maxlen=_MOST_HELD)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, undo: object = None, action: str = "") -> None:
        """Show `text` for some seconds, instead of the current message, or after it if that can be undone.

        `action` is the text of the undo button, "" for "Undo".
        """
        if undo is None and self._way_back is not None:
            self._held.append(text)
        else:
            self._undo.setText(action or _("Undo"))
            self._show(text, undo)

    def forget(self) -> None:
        """Discard all messages: they are about another project."""
        self._held.clear()
        self._next()

    def _next(self) -> None:
        """Show the next message, after the current one has been visible for long enough."""
        self._way_back = None
        self._timer.stop()
        if self._held:
            self._show(self._held.popleft(), None)
        else:
            self.hide()

    def _show(self, text: str, undo: object) -> None:
        self._way_back = undo
        self._text.setText(text)
        self._undo.setVisible(undo is not None)
        self.setAccessibleName(text)
        self._place()
        self.show()
        self.raise_()
        self._timer.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Stay at the bottom when the window is resized."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        parent = self._window
        self._text.setWordWrap(False)
        self.adjustSize()
        if self.width() > parent.width() - 40:
            self._text.setWordWrap(True)
            self.resize(parent.width() - 40, self.heightForWidth(parent.width() - 40))
        self.move((parent.width() - self.width()) // 2, parent.height() - self.height() - 50)

    def _on_undo(self) -> None:
        undo = self._way_back
        self._next()
        if undo is not None:
            self.undone.emit(undo)
