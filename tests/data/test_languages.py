"""Which language a text is in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import LANGUAGES
from llm_studio.data.corpus.languages import SAMPLE, identify

SENTENCES = {
    "fr": "Le chat dort sur le canapé pendant que la pluie tombe sur le toit de la maison.",
    "en": "The cat sleeps on the couch while the rain falls on the roof of the house.",
    "de": "Die Katze schläft auf dem Sofa, während der Regen auf das Dach des Hauses fällt.",
    "es": "El gato duerme en el sofá mientras la lluvia cae sobre el tejado de la casa.",
    "it": "Il gatto dorme sul divano mentre la pioggia cade sul tetto della casa.",
    "pt": "O gato dorme no sofá enquanto a chuva cai sobre o telhado da casa.",
    "nl": "De kat slaapt op de bank terwijl de regen op het dak van het huis valt.",
    "pl": "Kot śpi na kanapie, podczas gdy deszcz pada na dach domu.",
    "ru": "Кошка спит на диване, пока дождь падает на крышу дома.",
    "ar": "القطة تنام على الأريكة بينما يهطل المطر على سطح المنزل.",
    "zh": "下雨的时候,猫在沙发上睡觉,雨落在房子的屋顶上。",
    "he": "החתול ישן על הספה בזמן שהגשם יורד על גג הבית.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_recognised(code: str) -> None:
    assert identify(SENTENCES[code]) == code
    assert code in LANGUAGES


@pytest.mark.parametrize("text", ["", "12 + 30 = 42", "???", "\n\n", "xkcd", "\ufffe\uffff"])
def test_what_is_no_language_gives_nothing(text: str) -> None:
    assert identify(text) == ""


def test_control_characters_are_passed_over() -> None:
    assert identify("\x00\ufffe\x85" + SENTENCES["fr"] + "\x1b\ud800") == "fr"


def test_most_of_a_long_text_decides() -> None:
    header = "This text was made by volunteers and is free of charge. " * 3
    assert len(header) < SAMPLE / 3
    assert identify(header + SENTENCES["fr"] * 200) == "fr"


@given(st.text(max_size=60))
def test_any_text_has_a_known_language_or_none(text: str) -> None:
    assert identify(text) in LANGUAGES | {""}


def test_real_texts_are_recognised_piece_by_piece(real_text: Path) -> None:
    """Paragraphs of 400 characters, from 40 novels, from Wikipedia and from plays."""
    texts = {"fr": [path.read_text(encoding="utf-8") for path in sorted((real_text / "french-novels").glob("*.txt"))]}
    texts["en"] = [
        (real_text / name).read_text(encoding="utf-8") for name in ("wikitext2-test.txt", "tinyshakespeare.txt")
    ]
    for code, wholes in texts.items():
        pieces = [text[start : start + 400] for text in wholes for start in range(0, len(text), len(text) // 25)][:600]
        found = [identify(piece) for piece in pieces if len(piece) == 400]
        assert found.count(code) >= 0.98 * len(found)
        assert set(found) <= {code, ""}
