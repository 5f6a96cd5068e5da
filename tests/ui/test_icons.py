"""The icons' font is read where it lies: nothing is installed on the user's computer."""

import sys

from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QImage
from PySide6.QtWidgets import QApplication

from llm_studio.ui import icons, theme


def drawn(name: str, mode: QIcon.Mode = QIcon.Mode.Normal) -> QImage:
    return icons.icon(name).pixmap(QSize(32, 32), mode).toImage()


def colors(image: QImage) -> set[str]:
    """Of its opaque pixels."""
    pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return {pixel.name() for pixel in pixels if pixel.alpha() == 255}


def test_icons_are_drawn_in_the_colors_of_the_theme(qapp: QApplication) -> None:
    assert colors(drawn("play-fill")) == {theme.colors().text.lower()}
    assert colors(drawn("play-fill", QIcon.Mode.Disabled)) == {theme.colors().muted.lower()}
    assert drawn("play-fill") != drawn("stop-fill")


def test_qtawesome_is_not_imported(qapp: QApplication) -> None:
    icons.icon("play")
    assert "qtawesome" not in sys.modules, "on Windows it installs its fonts, and it imports every class of Qt"
