"""The tabs, each declared in the `__init__` of its package; pages are imported after the window is shown.

A new tab is a package with its `TAB` and its page, a name in `TABS`, and a lesson.

**Qt classes and their subclasses are created in the UI thread only.** With Python before 3.12, PySide6 stores data
about each class in a hash table without a lock (`PepType_SOTP` in shiboken6/libshiboken/pep384impl.cpp). While Qt
paints, it looks up the meta-object of each widget there without holding the GIL. If another thread creates a class and
the table is rehashed at that moment, the lookup finds nothing and the process dies with a segmentation fault at address
0 in `PySide::MetaObjectBuilder::update`. A worker must therefore import neither Qt's modules nor modules that use them;
`tests/ui/test_loading.py` checks it.
"""

import importlib

from llm_studio.ui.tab import Tab
from llm_studio.ui.tabs.data import TAB as DATA
from llm_studio.ui.tabs.diagnostics import TAB as DIAGNOSTICS
from llm_studio.ui.tabs.export import TAB as EXPORT
from llm_studio.ui.tabs.generation import TAB as GENERATION
from llm_studio.ui.tabs.inside import TAB as INSIDE
from llm_studio.ui.tabs.model import TAB as MODEL
from llm_studio.ui.tabs.tokenizer import TAB as TOKENIZER
from llm_studio.ui.tabs.training import TAB as TRAINING
from llm_studio.ui.tabs.understand import TAB as UNDERSTAND

TABS: tuple[Tab, ...] = (DATA, TOKENIZER, MODEL, TRAINING, GENERATION, INSIDE, UNDERSTAND, EXPORT, DIAGNOSTICS)
"""In the order of rail, menu and shortcuts: first the steps, then the others."""
FIRST, HELP, MACHINE = DATA, UNDERSTAND, DIAGNOSTICS
"""The tab on which a new project opens; the tab with the lessons; the tab about this computer."""

_PRELOAD = ("llm_studio.workflows.overview",)


def find(name: str) -> Tab | None:
    """The tab with this name."""
    return next((tab for tab in TABS if tab.name == name), None)


def lessons() -> dict[str, str]:
    """The titles of all lessons by name, untranslated."""
    found: dict[str, str] = {}
    for tab in TABS:
        if tab.lesson:
            found[tab.lesson] = tab.title
        found |= tab.more_lessons
    return found


def preload() -> None:
    """Import the pages' dependencies that don't use Qt. Runs in a worker."""
    for name in (*_PRELOAD, *(module for tab in TABS for module in tab.preload)):
        importlib.import_module(name)
