"""A long answer costs no more for each token than a short one."""

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui.widgets.tinted_text import TintedText
from llm_studio.workflows.generation.chats import Token


def test_a_thousand_tokens_are_laid_out_in_one_go(qtbot: QtBot) -> None:
    """Laid out after each token, an answer of 8,000 takes half a minute in which the window is frozen."""
    parent = QWidget()
    qtbot.addWidget(parent)
    text = TintedText(parent, "Answer")
    parent.show()
    tokens = [Token(n, f" word{n}", 0.3, ()) for n in range(1000)]
    laid_out: list[bool] = []
    text.document().contentsChanged.connect(lambda: laid_out.append(True))
    text.append_tokens(tokens)
    assert len(laid_out) == 1
    assert text.toPlainText() == "".join(token.text for token in tokens).lstrip()
    assert text.token_at(0) is tokens[0] and text.token_at(len(text.toPlainText()) - 1) is tokens[-1]
