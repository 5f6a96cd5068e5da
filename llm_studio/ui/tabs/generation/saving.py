"""Saving a chat to a file: the dialog, and the chat as pages of a PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QIODevice, QLocale, Qt, Signal, Slot
from PySide6.QtGui import QFont, QPageSize, QPdfWriter, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QFileDialog, QWidget

from llm_studio.i18n import _

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Turn

TEXT, PDF = "txt", "pdf"
_POINTS, _LINE_HEIGHT = 11, 130
"""Font size in points, and line height in percent of it."""


class SaveChatDialog(QFileDialog):
    """Asks for a file; the selected type is the suffix of its name, unless the user types another one."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget, chat: "Chat") -> None:
        super().__init__(parent, _("Save the chat"), str(Path.home()))
        self._kinds = {_("Texts (*.txt)"): TEXT, _("PDF documents (*.pdf)"): PDF}
        self._name = "".join(c for c in chat.title[:40] if c.isalnum() or c in " -_").strip() or chat.id
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.setNameFilters(list(self._kinds))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.filterSelected.connect(self._on_kind)
        self.fileSelected.connect(self.chosen)
        self._on_kind(next(iter(self._kinds)))

    @Slot(str)
    def _on_kind(self, kind: str) -> None:
        selected = self.selectedFiles()
        here = Path(selected[0]) if selected else Path()
        name = here.stem if here.suffix.removeprefix(".") in self._kinds.values() else self._name
        self.setDefaultSuffix(self._kinds[kind])
        self.selectFile(f"{name}.{self._kinds[kind]}")


def pdf_of(chat: "Chat") -> bytes:
    """A chat as a PDF: the user's texts are bold, the model's plain; pages are numbered."""
    document = QTextDocument()
    document.setDefaultFont(QFont("serif", _POINTS))
    cursor = QTextCursor(document)
    lines = QTextBlockFormat()
    lines.setLineHeight(_LINE_HEIGHT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    cursor.setBlockFormat(lines)
    bold, plain = QTextCharFormat(), QTextCharFormat()
    bold.setFontWeight(QFont.Weight.Bold)
    for number, turn in enumerate(chat.turns):
        for text, form in ((_prompt(turn, first=number == 0), bold), (_text(turn), plain)):
            cursor.insertText(text, form)
    out = QBuffer()
    out.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(out)
    writer.setTitle(chat.title)
    writer.setCreator("LLM Studio")
    american = QLocale.system().measurementSystem() is QLocale.MeasurementSystem.ImperialUSSystem
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.Letter if american else QPageSize.PageSizeId.A4))
    document.print_(writer)
    out.close()
    return bytes(out.data().data())


def _prompt(turn: "Turn", *, first: bool) -> str:
    """The user's text, without a leading space."""
    return (turn.prompt.lstrip() if first else turn.prompt) + ("\n" if turn.question else "")


def _text(turn: "Turn") -> str:
    return turn.text + ("\n\n" if turn.question else "")
