"""The colours: readable in both themes."""

from dataclasses import fields

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from llm_studio.ui import theme
from llm_studio.ui.theme import DARK, LIGHT, Colors, stylesheet

TEXTS = ("text", "muted", "accent", "validation", "ok", "warn", "bad")


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = QColor(color).getRgbF()[:3]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_is_readable_on_every_ground(theme: Colors) -> None:
    grounds = ("panel", "background", "sunken")
    for text in TEXTS:
        for ground in grounds:
            ratio = contrast(getattr(theme, text), getattr(theme, ground))
            assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"
    tokens = [field.name for field in fields(theme) if field.name.startswith("token_")]
    for ground in (*tokens, "accent_soft"):
        assert contrast(theme.text, getattr(theme, ground)) >= 4.5
    assert contrast(theme.muted, theme.accent_soft) >= 4.5
    assert contrast(theme.accent, theme.accent_soft) >= 4.5
    assert contrast(theme.on_accent, theme.accent) >= 4.5
    assert contrast(theme.panel, theme.text) >= 4.5, "the toast"


def test_the_stylesheet_names_every_colour_by_its_role() -> None:
    for colors in (LIGHT, DARK):
        text = stylesheet(colors)
        assert "$" not in text
        assert colors.accent in text and colors.panel in text


def test_the_theme_that_holds_is_not_given_again(qapp: QApplication) -> None:
    summary: list[bool] = []
    theme.notifier().changed.connect(lambda: summary.append(theme.is_dark()))
    for wanted in ("light", "dark", "dark", "light"):  # it begins light
        theme.set_theme(wanted)  # type: ignore[arg-type]
    assert summary == [True, False]
