"""Record which modules are imported in which thread.

`python -m tests.ui.imports PROJECT` opens the window with a project, shows every tab and prints the record as JSON.
"""

import json
import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

QT = ("PySide6", "shiboken6", "pyqtgraph", "qtawesome", "qtpy", "llm_studio.ui")
"""Packages that create Qt classes or subclasses of them."""


def is_of_qt(module: str) -> bool:
    """Whether importing a module creates Qt classes."""
    return any(module == name or module.startswith(f"{name}.") for name in QT)


class ImportWatch(MetaPathFinder):
    """The first finder: records every import and finds nothing itself."""

    def __init__(self) -> None:
        self.in_ui_thread: list[str] = []
        self.elsewhere: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Record the name of the module that is about to be imported."""
        main = threading.current_thread() is threading.main_thread()
        (self.in_ui_thread if main else self.elsewhere).append(fullname)
        return None


def watch() -> ImportWatch:
    """Record all imports from now on."""
    recorded = ImportWatch()
    sys.meta_path.insert(0, recorded)
    return recorded


def main(project: str) -> None:
    """Show every tab of the project; print what was imported after the window was created, by thread."""
    recorded = watch()
    from PySide6.QtCore import QTimer, Slot

    from llm_studio.ui import tabs
    from llm_studio.ui.language import set_language
    from llm_studio.ui.preferences import Preferences
    from llm_studio.ui.window.app import make_application
    from llm_studio.ui.window.main_window import MainWindow

    app = make_application()
    set_language("en")
    window = MainWindow(Preferences())
    wanted = [tab.name for tab in tabs.TABS]
    recorded.in_ui_thread.clear()

    @Slot()
    def show_next() -> None:
        if not window.session.is_idle() or {tab.name for tab in tabs.TABS} - set(window.pages):
            return
        if wanted:
            window.go_to(wanted.pop())
        else:
            timer.stop()
            window.close()

    timer = QTimer(window, interval=20)
    timer.timeout.connect(show_next)
    timer.start()
    window.show()
    window.start(project)
    app.exec()
    print(json.dumps({"in_ui_thread": recorded.in_ui_thread, "elsewhere": recorded.elsewhere}))


if __name__ == "__main__":
    main(sys.argv[1])
