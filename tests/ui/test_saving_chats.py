"""A chat is saved as a text or as a PDF, whole or not at all."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from llm_studio.data.sources.readers.pdfium import decoded, pages_of
from llm_studio.errors import StorageError
from llm_studio.ui.tabs.generation.saving import SaveChatDialog, pdf_of
from llm_studio.workflows.generation.chats import Chat, Turn, save_as

TALE = " ".join(f"Le {day}ᵉ jour, l’été fut « long »." for day in range(900))
CHAT = Chat("chat-1", (Turn("Il était une fois", f" {TALE}\n\nFin."), Turn(" Et <b>puis</b>", " rien.")))


def read(path: Path) -> str:
    """All letters of a PDF, without white space."""
    return "".join("".join(lines_of(path)).split())


def lines_of(path: Path) -> list[str]:
    """Its lines."""
    return [line.text for page in pages_of(path) for line in decoded(page).lines]


def test_a_pdf_holds_every_word_of_a_long_chat_on_several_pages(qapp: object, tmp_path: Path) -> None:
    save_as(CHAT, tmp_path / "out.pdf", pdf_of(CHAT))
    text = read(tmp_path / "out.pdf")
    for words in ("Ilétaitunefois", "Le0ᵉjour,l’étéfut«long».", "Le899ᵉjour", "Fin.Et<b>puis</b>rien."):
        assert words in text
    assert len(list(pages_of(tmp_path / "out.pdf"))) > 5


def test_questions_and_answers_are_paragraphs_of_their_own(qapp: object, tmp_path: Path) -> None:
    questions = Chat("chat-2", (Turn("Who is Mia?", "A cat.", question=True), Turn("Where?", "Here.", question=True)))
    save_as(questions, tmp_path / "out.pdf", pdf_of(questions))
    assert lines_of(tmp_path / "out.pdf")[:4] == ["Who is Mia?", "A cat.", "Where?", "Here."]


def test_the_name_follows_the_kind_that_is_chosen(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = SaveChatDialog(parent, CHAT)
    assert dialog.selectedFiles()[0].endswith(".txt") and dialog.defaultSuffix() == "txt"
    dialog.filterSelected.emit("PDF documents (*.pdf)")
    assert Path(dialog.selectedFiles()[0]).name.startswith("Il était une fois Le 0")
    assert dialog.selectedFiles()[0].endswith(".pdf") and dialog.defaultSuffix() == "pdf"
    dialog.reject()


def test_what_cannot_be_written_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError):
        save_as(CHAT, tmp_path / "file" / "out.pdf", b"%PDF")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
