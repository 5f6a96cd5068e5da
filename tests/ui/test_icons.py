"""The icons' font is read where it lies: nothing is installed on the user's computer."""

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication

from llm_studio.ui import icons


def test_icons_are_drawn_and_no_font_is_installed(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    from qtawesome.iconic_font import IconicFont

    def installs(font: IconicFont) -> str:
        raise AssertionError("under Windows this copies fonts into the user's folder")

    monkeypatch.setattr(IconicFont, "_get_fonts_directory", installs)
    icons._font.cache_clear()
    drawn = icons.icon("play").pixmap(QSize(32, 32)).toImage()
    assert any(drawn.pixelColor(x, y).alpha() for x in range(32) for y in range(32))
    icons._font.cache_clear()
