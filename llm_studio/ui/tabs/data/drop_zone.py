"""Drag and drop of files and folders onto the tab Data."""

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractSpinBox, QLineEdit, QWidget

from llm_studio.i18n import _
from llm_studio.ui.widgets.drop_veil import DropVeil
from llm_studio.workflows.opening import recognise


class DropZone(QObject):
    """Accepts files and folders dropped anywhere on a widget, including on its input fields, while `enabled`.

    A dropped model is left to the window, which opens it. Create the zone after all input fields of the widget.
    """

    dropped = Signal(list)
    """Paths of local files and folders."""

    def __init__(self, target: QWidget) -> None:
        super().__init__(target)
        self.enabled = False
        """Whether drops are accepted."""
        self.busy = False
        """Whether other texts are being added: the user is asked to wait, and drops are ignored."""
        self.veil = DropVeil(target)
        target.setAcceptDrops(True)
        target.installEventFilter(self)
        for field in (*target.findChildren(QLineEdit), *target.findChildren(QAbstractSpinBox)):
            field.setAcceptDrops(False)  # otherwise its path would be inserted as text

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Handle the target's drag and drop events."""
        if isinstance(event, QDragEnterEvent):
            self._enter(event)
        elif event.type() == QEvent.Type.DragLeave:
            self.veil.hide()
            event.accept()
        elif event.type() == QEvent.Type.Drop and isinstance(event, QDropEvent):
            self._drop(event)
        else:
            return super().eventFilter(watched, event)
        return True

    def _enter(self, event: QDragEnterEvent) -> None:
        paths = _local_paths(event.mimeData())
        if not self.enabled or not paths or (len(paths) == 1 and recognise(paths[0]) is not None):
            event.ignore()
            return
        text = _("Wait until the other texts have been added") if self.busy else _("Drop to add these texts")
        self.veil.cover(text, not self.busy)
        _accept_copies(event)

    def _drop(self, event: QDropEvent) -> None:
        self.veil.hide()
        _accept_copies(event)
        if not self.busy:
            self.dropped.emit(_local_paths(event.mimeData()))


def _local_paths(data: QMimeData) -> list[Path]:
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def _accept_copies(event: QDropEvent) -> None:
    """Accept the drop as a copy whatever modifier is held: after a move, the file manager would delete the files."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()
