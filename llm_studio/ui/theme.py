"""The colours of the window, declared once, and the stylesheet that uses them.

Widgets name roles ("primary", "card", "muted"), never colours; those that paint themselves call `colors()`.
"""

from dataclasses import dataclass, fields
from string import Template
from typing import cast

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from llm_studio.paths import resource


@dataclass(frozen=True)
class Colors:
    """The colours of one theme by purpose, as #RRGGBB."""

    background: str
    panel: str
    sunken: str
    """Background of model output and of values to come: pills, bars, previews."""
    line: str
    text: str
    muted: str
    accent: str
    """For the primary action, the selection, the training curve."""
    accent_soft: str
    on_accent: str
    validation: str
    ok: str
    warn: str
    bad: str
    token_1: str
    """token_1 to token_5: alternating backgrounds that separate neighbouring tokens."""
    token_2: str
    token_3: str
    token_4: str
    token_5: str
    run_1: str
    """run_1 to run_4: for the curves of further runs in the same plot."""
    run_2: str
    run_3: str
    run_4: str


# the greens, oranges and reds of the light theme are used for text on white, and dark enough for a contrast of 4.5
LIGHT = Colors(
    background="#F5F6F8", panel="#FFFFFF", sunken="#EEF0F4", line="#E2E5EA", text="#1B1F27", muted="#5D6778",
    accent="#2F5FDF", accent_soft="#E8EEFE", on_accent="#FFFFFF", validation="#AD5400", ok="#157A50", warn="#9C5C00",
    bad="#C62F2F", token_1="#D3DFFE", token_2="#FBDFC7", token_3="#C9E9DB", token_4="#F6D0D4", token_5="#EFE2BF",
    run_1="#8A35C4", run_2="#0B7480", run_3="#B02472", run_4="#5B6A00",
)  # fmt: skip
DARK = Colors(
    background="#15181E", panel="#1C2028", sunken="#262B35", line="#2C323D", text="#E6E9EF", muted="#98A2B3",
    accent="#6C93FF", accent_soft="#24304F", on_accent="#10131A", validation="#F0A05A", ok="#3CC48D", warn="#E6A23C",
    bad="#F5787A", token_1="#2C3F73", token_2="#5C3D20", token_3="#1E4F3D", token_4="#5E2F36", token_5="#4F4522",
    run_1="#C096FA", run_2="#4CC3CE", run_3="#F285BC", run_4="#B9C652",
)  # fmt: skip

GAP = 14
"""Pixels between cards, and their padding."""
PAGE_MARGIN = 24
FAMILIES = ["Segoe UI", "Inter", "Noto Sans", "DejaVu Sans"]


class _Theme(QObject):
    """The current theme. Its signal `changed` makes widgets that paint themselves repaint."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.colors = LIGHT
        self.name = "system"
        """"light", "dark" or "system"."""


_theme: _Theme | None = None


def notifier() -> _Theme:
    """The object whose signal `changed` reports a change of colours."""
    global _theme
    if _theme is None:
        _theme = _Theme()
        _theme.setParent(QApplication.instance())
        _theme.destroyed.connect(_forget)
    return _theme


def _forget() -> None:
    global _theme
    _theme = None


def colors() -> Colors:
    """The current colours."""
    return notifier().colors


def color(name: str, alpha: float = 1.0) -> QColor:
    """A colour of the theme by name, for a painter; `alpha` from 0 to 1."""
    made = QColor(str(getattr(colors(), name)))
    made.setAlphaF(alpha)
    return made


def is_dark() -> bool:
    """Whether the dark theme is in use."""
    return colors() is DARK


def set_theme(name: str) -> None:
    """Set the program's theme: "light", "dark", or "system", which follows the system's setting from now on."""
    notifier().name = name
    app = cast("QApplication", QApplication.instance())
    scheme = app.styleHints().colorScheme()
    dark = name == "dark" or (name == "system" and scheme == Qt.ColorScheme.Dark)
    chosen = DARK if dark else LIGHT
    sheet = stylesheet(chosen)
    if notifier().colors is chosen and app.styleSheet() == sheet:  # restyling all widgets is slow
        return
    notifier().colors = chosen
    app.setPalette(_palette(chosen))
    app.setStyleSheet(sheet)
    notifier().changed.emit()


@Slot()
def on_system_theme_changed() -> None:
    """The system's theme has changed: follow it if the program should."""
    set_theme(notifier().name)


def font(points_of_pixels: int = 13, *, bold: bool = False, fixed: bool = False) -> QFont:
    """The program's font at a size in pixels, with tabular figures. `fixed`: for code and bytes."""
    if fixed:
        made = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    else:
        made = QFont()
        made.setFamilies(FAMILIES)
        made.setFeature(QFont.Tag("tnum"), 1)
    made.setPixelSize(points_of_pixels)
    made.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return made


def stylesheet(chosen: Colors) -> str:
    """The stylesheet of the program in these colours."""
    template = resource("style.qss").read_text(encoding="utf-8")
    values = {field.name: str(getattr(chosen, field.name)) for field in fields(chosen)}
    icons = resource("icons", "dark" if chosen is DARK else "light").as_posix()
    return Template(template).substitute(values, icons=icons)


def set_role(widget: QWidget, role: str) -> None:
    """Set a widget's role in the stylesheet: "card", "title", "caption", "primary" ...; can be changed later."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def _palette(chosen: Colors) -> QPalette:
    roles = {
        QPalette.ColorRole.Window: chosen.background, QPalette.ColorRole.WindowText: chosen.text,
        QPalette.ColorRole.Base: chosen.panel, QPalette.ColorRole.AlternateBase: chosen.sunken,
        QPalette.ColorRole.Text: chosen.text, QPalette.ColorRole.Button: chosen.panel,
        QPalette.ColorRole.ButtonText: chosen.text, QPalette.ColorRole.Highlight: chosen.accent,
        QPalette.ColorRole.HighlightedText: chosen.on_accent, QPalette.ColorRole.ToolTipBase: chosen.panel,
        QPalette.ColorRole.ToolTipText: chosen.text, QPalette.ColorRole.PlaceholderText: chosen.muted,
        QPalette.ColorRole.Link: chosen.accent, QPalette.ColorRole.Mid: chosen.line,
        QPalette.ColorRole.Dark: chosen.line, QPalette.ColorRole.Light: chosen.panel,
        QPalette.ColorRole.Midlight: chosen.line,
        QPalette.ColorRole.Shadow: chosen.line, QPalette.ColorRole.BrightText: chosen.bad,
        QPalette.ColorRole.Accent: chosen.accent,
    }  # fmt: skip
    palette = QPalette()
    for role, value in roles.items():
        palette.setColor(role, QColor(value))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(chosen.muted))
    return palette
