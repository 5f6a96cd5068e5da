"""A list of sentences that can be read in full and copied."""

from collections.abc import Sequence

from PySide6.QtCore import Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label, row


class NotesDialog(QDialog):
    """Shows the sentences, one below the other."""

    def __init__(self, title: str, notes: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(680, 460 if len(notes) > 1 else 280)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.addWidget(label(title, self, "heading", wrap=True))
        self.text = QPlainTextEdit("\n\n".join(notes), self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(title)
        set_role(self.text, "sunken")
        inside.addWidget(self.text, 1)
        close = button(_("Close"), self, self.accept, "primary")
        inside.addLayout(row(button(_("Copy"), self, self._copy), None, close))
        close.setFocus()

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()
