"""The tabs. Each module has one page; they are imported when the window is already on the screen."""

from typing import TYPE_CHECKING

from llm_studio.i18n import N_

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from llm_studio.ui.page import Page

STEPS = {
    "data": N_("Data"), "tokenizer": N_("Tokenizer"), "model": N_("Model"), "training": N_("Training"),
    "generation": N_("Generation"),
}  # fmt: skip
OTHERS = {"understand": (N_("Understand"), "?"), "export": (N_("Export"), "↗"), "diagnostics": (N_("Diagnostics"), "⚙")}
NAMES = (*STEPS, *OTHERS)


def load() -> None:
    """Import what the tabs need: half a second, off the UI thread, while the window is already there."""
    import importlib

    for name in ("qtawesome", "llm_studio.ui.tabs.pages"):
        importlib.import_module(name)


def make(name: str, parent: "QWidget") -> "Page":
    """The page of a tab. Call `load` first."""
    from llm_studio.ui.tabs.pages import PAGES

    return PAGES[name](parent)
