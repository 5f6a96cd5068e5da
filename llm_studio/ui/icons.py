"""Icons, from QtAwesome's Phosphor font, in a colour of the theme.

Only the font is used. Importing QtAwesome creates every class of Qt: that takes a fifth of a second, and may only
happen in the UI thread (see `ui/tabs/__init__.py`).
"""

import functools
import importlib.util
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QRect, QSize, Qt, Slot
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

from llm_studio.ui import theme

if TYPE_CHECKING:
    from PySide6.QtGui import QAction
    from PySide6.QtWidgets import QAbstractButton

_GLYPH_HEIGHT = 0.875
"""Font size relative to the icon's height: the font has space around its glyphs."""


@dataclass(frozen=True)
class _Font:
    family: str
    characters: dict[str, str]
    """The character of each icon, by name."""


@functools.cache
def _font() -> _Font | None:
    """The Phosphor font, one of a dozen in QtAwesome. None if Windows doesn't allow programs to load fonts."""
    package = importlib.util.find_spec("qtawesome")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("qtawesome", name="qtawesome")
    folder = Path(package.origin).parent / "fonts"
    font = next(folder.glob("phosphor-[0-9]*.ttf"))
    # loaded from memory: on Windows QtAwesome would install its fonts for the user, and no uninstaller would remove
    # them
    families = QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFontFromData(font.read_bytes()))
    if not families:
        logging.getLogger(__name__).warning("no icons: %s can't be loaded", font)
        return None
    codes = json.loads(next(folder.glob("phosphor-charmap-*.json")).read_text(encoding="utf-8"))
    return _Font(families[0], {name: chr(int(code, 16)) for name, code in codes.items()})


class _Glyph(QIconEngine):
    """Draws one character of the font at any size."""

    def __init__(self, family: str, character: str, color: QColor, disabled: QColor) -> None:
        super().__init__()
        self._family, self._character, self._color, self._disabled = family, character, color, disabled

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        """Draw the character, centred in `rect`."""
        font = QFont(self._family)
        font.setPixelSize(max(1, round(_GLYPH_HEIGHT * rect.height())))
        painter.save()
        painter.setFont(font)
        painter.setPen(self._disabled if mode == QIcon.Mode.Disabled else self._color)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._character)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """The character on a transparent background."""
        drawn = QPixmap(size)
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return drawn


def icon(name: str, color: str = "text") -> QIcon:
    """The icon `name` of the Phosphor set ("play", "check-circle-fill") in a named colour of the theme."""
    chosen = theme.colors()
    return _drawn(name, str(getattr(chosen, color)), chosen.muted)


@functools.cache
def _drawn(name: str, color: str, disabled: str) -> QIcon:
    font = _font()
    if font is None:
        return QIcon()
    return QIcon(_Glyph(font.family, font.characters[name], QColor(color), QColor(disabled)))


class _Painter(QObject):
    """Repaints the icon of its parent when the theme changes."""

    def __init__(self, target: "QAbstractButton | QAction", name: str, color: str) -> None:
        super().__init__(target)
        self._target, self._name, self._color = target, name, color
        theme.notifier().changed.connect(self.paint)
        self.paint()

    @Slot()
    def paint(self) -> None:
        self._target.setIcon(icon(self._name, self._color))


def put_icon(target: "QAbstractButton | QAction", name: str, color: str = "text") -> None:
    """Set an icon on a button or menu entry that follows the theme; a second call replaces it."""
    for old in target.findChildren(_Painter):
        old.setParent(None)
        old.deleteLater()
    _Painter(target, name, color)
