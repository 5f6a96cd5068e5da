"""Icons, from QtAwesome's Phosphor set, in a colour of the theme."""

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QIcon

from llm_studio.ui import theme

if TYPE_CHECKING:
    from PySide6.QtGui import QAction
    from PySide6.QtWidgets import QAbstractButton
    from qtawesome.iconic_font import IconicFont

_SET = "ph"


@functools.cache
def _font() -> "IconicFont | None":
    """The Phosphor font alone, of the dozen that QtAwesome has. None where Windows lets no program bring fonts."""
    import qtawesome  # takes a fifth of a second: not before the window is shown
    from qtawesome.iconic_font import FontError, IconicFont

    # Where it is left to find its folder itself, it installs its fonts for the user, and no uninstaller knows of them
    folder = Path(qtawesome.__file__).parent / "fonts"
    names = (next(folder.glob(pattern)).name for pattern in ("phosphor-[0-9]*.ttf", "phosphor-charmap-*.json"))
    try:
        return IconicFont((_SET, *names, str(folder)))
    except FontError as error:
        logging.getLogger(__name__).warning("no icons: %s", error)
        return None


def icon(name: str, color: str = "text") -> QIcon:
    """The icon `name` of the Phosphor set ("play", "check-circle-fill") in a colour of the theme, by its name."""
    font = _font()
    if font is None:
        return QIcon()
    chosen = theme.colors()
    return font.icon(f"{_SET}.{name}", color=str(getattr(chosen, color)), color_disabled=chosen.muted)


class _Painter(QObject):
    """Paints the icon of its parent anew when the theme changes."""

    def __init__(self, target: "QAbstractButton | QAction", name: str, color: str) -> None:
        super().__init__(target)
        self._target, self._name, self._color = target, name, color
        theme.notifier().changed.connect(self.paint)
        self.paint()

    @Slot()
    def paint(self) -> None:
        self._target.setIcon(icon(self._name, self._color))


def put_icon(target: "QAbstractButton | QAction", name: str, color: str = "text") -> None:
    """Give a button or a menu's entry an icon that follows the theme; a second call gives it another."""
    for old in target.findChildren(_Painter):
        old.setParent(None)
        old.deleteLater()
    _Painter(target, name, color)
