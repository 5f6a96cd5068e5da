"""Asks for the file in which to save the curves."""

from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QWidget

from llm_studio.i18n import _


class CurveFiles(QObject):
    """Opens a dialog over a widget."""

    chosen = Signal(str, str)
    """The kind ("png" or "csv") and the path."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over

    def ask(self, kind: str, name: str) -> None:
        """Ask for a file of this kind, with `name` as the default."""
        kinds = _("Pictures (*.png)") if kind == "png" else _("Tables (*.csv)")
        dialog = QFileDialog(self._over, _("Export the curves"), str(Path.home() / f"{name}.{kind}"), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind)
        dialog.selectFile(f"{name}.{kind}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setObjectName(kind)
        dialog.fileSelected.connect(self._on_file)
        dialog.open()

    @Slot(str)
    def _on_file(self, path: str) -> None:
        sender = self.sender()
        self.chosen.emit(sender.objectName() if sender else Path(path).suffix[1:], path)
