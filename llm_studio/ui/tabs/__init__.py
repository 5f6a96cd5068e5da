"""The tabs. Each module has one page; they are imported when the window is already on the screen.

**Qt classes and their subclasses are created in the UI thread only.** With Python before 3.12, PySide6 keeps what it
knows about each class in a hash table without a lock (`PepType_SOTP` in shiboken6/libshiboken/pep384impl.cpp). While
Qt paints, it looks up the meta-object of each widget there without holding the GIL. If another thread creates a class
and the table is rehashed at that moment, the lookup finds nothing and the process dies with a segmentation fault at
address 0 in `PySide::MetaObjectBuilder::update`. A worker must therefore import neither Qt's modules nor modules that
use them; `tests/ui/test_loading.py` checks it.
"""

import importlib
import sys
from typing import TYPE_CHECKING, cast

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
_PAGES = {
    "data": ("llm_studio.ui.tabs.data.page", "DataPage"),
    "tokenizer": ("llm_studio.ui.tabs.tokenizer.page", "TokenizerPage"),
    "model": ("llm_studio.ui.tabs.model.page", "ModelPage"),
    "training": ("llm_studio.ui.tabs.training.page", "TrainingPage"),
    "generation": ("llm_studio.ui.tabs.generation.page", "GenerationPage"),
    "understand": ("llm_studio.ui.tabs.understand.page", "UnderstandPage"),
    "export": ("llm_studio.ui.tabs.export.page", "ExportPage"),
    "diagnostics": ("llm_studio.ui.tabs.diagnostics.page", "DiagnosticsPage"),
}
"""Module and class of each page."""
_WITHOUT_QT = (
    "difflib", "markdown_it", "llm_studio.workflows.data.cleaning", "llm_studio.workflows.data.download",
    "llm_studio.workflows.data.sources", "llm_studio.workflows.generation.chats",
    "llm_studio.workflows.generation.favourites", "llm_studio.workflows.model_advice", "llm_studio.workflows.overview",
    "llm_studio.workflows.projects", "llm_studio.workflows.tokenizer.figures", "llm_studio.workflows.tokenizer.lab",
    "llm_studio.workflows.training.runs",
)  # fmt: skip
"""What the pages import besides Qt and their own modules: most of the time that importing them takes."""


def preload() -> None:
    """Import what the pages need that doesn't use Qt. Runs in a worker."""
    for name in _WITHOUT_QT:
        importlib.import_module(name)


def is_imported(name: str) -> bool:
    """Whether the module of a page has been imported."""
    return _PAGES[name][0] in sys.modules


def import_page(name: str) -> None:
    """Import the module of a page. Call it in the UI thread."""
    importlib.import_module(_PAGES[name][0])


def make(name: str, parent: "QWidget") -> "Page":
    """Create the page of a tab, importing its module if necessary. Call it in the UI thread."""
    module, page = _PAGES[name]
    return cast("Page", getattr(importlib.import_module(module), page)(parent))
