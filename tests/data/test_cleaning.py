"""Cleaning."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_studio.config import DataSettings
from llm_studio.data.cleaning import clean
from llm_studio.data.raw import Piece, in_pieces

PLAIN = DataSettings(normalize_unicode=False)
NFC = DataSettings()
odd_texts = st.text(st.one_of(st.characters(), st.sampled_from("ab \n\t\r\x00\x1b\u0301\u1100\u1161\u11a8é")))


@given(odd_texts, st.sampled_from([PLAIN, NFC]))
def test_cleaning_twice_changes_nothing_more(text: str, settings: DataSettings) -> None:
    once = clean(text, settings)
    assert clean(once, settings) == once


@given(odd_texts)
def test_only_control_characters_and_ways_of_writing_change(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = "".join(character for character in lines if character >= " " or character in "\n\t")
    assert clean(text, PLAIN) == visible
    assert clean(text, NFC) == unicodedata.normalize("NFC", visible)


@example(["\r\n"] * 5 + ["\u1100\u1161\u11a8"])
@given(st.lists(st.sampled_from(["a", " ", "\n", "\r\n", "e\u0301", "\u1100\u1161\u11a8", "u\x00\u0308"])))
def test_cleaning_pieces_equals_cleaning_the_whole(characters: list[str]) -> None:
    text = "".join(characters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.pieces.PIECE_CHARACTERS", 12)
        pieces = [piece.text for piece in in_pieces([Piece(text, True)])]
    assert "".join(clean(piece, NFC) for piece in pieces) == clean(text, NFC)


def test_an_accent_becomes_one_character_only_when_set() -> None:
    assert clean("e\u0301te\u0301", NFC) == "été"
    assert clean("e\u0301te\u0301", PLAIN) == "e\u0301te\u0301"
    assert clean("½ ﬁ", NFC) == "½ ﬁ"


def test_control_characters_go_and_line_ends_become_one_kind() -> None:
    assert clean("a\x00b\x1b\x0bc\td\r\ne\rf\n", NFC) == "abc\td\ne\nf\n"
