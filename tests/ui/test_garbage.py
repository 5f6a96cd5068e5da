"""Widgets that hold each other end in the UI thread, and never while Qt goes through all widgets."""

import gc
import sys
import threading
import weakref
from types import ModuleType

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui import theme
from llm_studio.ui.tasks import Query
from llm_studio.ui.window.worker import Worker


class Knot(QWidget):
    """Holds itself: only a collection ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.itself = self


def allocate(*_anything: object) -> None:
    """Enough for Python to collect many times, if it is to."""
    for _number in range(20_000):
        knot: list[object] = []
        knot.append(knot)


def test_a_worker_that_allocates_ends_no_widget(qtbot: QtBot, qapp: QApplication) -> None:
    ended: list[int] = []
    knots = [Knot() for _number in range(20)]
    watched = [weakref.ref(knot, lambda _ref: ended.append(threading.get_ident())) for knot in knots]
    del knots
    worker = Worker(Query("test", allocate), qapp)
    worker.start()
    assert worker.wait(20_000)
    qtbot.waitUntil(lambda: len(ended) == len(watched), timeout=20_000)
    assert set(ended) == {threading.get_ident()}


class Allocating(QWidget):
    """Allocates whenever its style changes."""

    changes = 0

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's
        if event.type() == QEvent.Type.StyleChange:
            self.changes += 1
            allocate()
        super().changeEvent(event)


def test_nothing_is_collected_while_all_widgets_are_given_another_style(qtbot: QtBot, qapp: QApplication) -> None:
    widget = Allocating()
    qtbot.addWidget(widget)
    widget.show()
    collected: list[str] = []

    def note(phase: str, _info: object) -> None:
        collected.append(phase)

    gc.callbacks.append(note)
    try:
        theme.set_theme("dark")
    finally:
        gc.callbacks.remove(note)
    assert widget.changes and not collected


def test_what_is_no_longer_held_is_collected_in_time(qtbot: QtBot) -> None:
    allocate()
    before = gc.get_count()[0]
    qtbot.waitUntil(lambda: gc.get_count()[0] < before // 2, timeout=10_000)


def test_modules_imported_later_are_left_out_of_collections(qtbot: QtBot) -> None:
    frozen = gc.get_freeze_count()
    names = [f"imported_for_a_test_{number}" for number in range(200)]
    try:
        sys.modules.update({name: ModuleType(name) for name in names})
        qtbot.waitUntil(lambda: gc.get_freeze_count() > frozen, timeout=10_000)
    finally:
        for name in names:
            sys.modules.pop(name, None)
