"""A short word at the foot of a window, which goes away by itself."""

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QFrame, QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label, row

_SECONDS = 8


class ToastBar(QFrame):
    """Shows one word at a time over its parent, with "Undo" where it can be undone."""

    undone = Signal()

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
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, can_undo: bool) -> None:
        """Show `text` for some seconds; in place of what was shown before."""
        self._text.setText(text)
        self._undo.setVisible(can_undo)
        self.setAccessibleName(text)
        self._place()
        self.show()
        self.raise_()
        self._timer.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Stay at the foot when the window grows."""
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
        self.hide()
        self.undone.emit()
