"""A double click on a button that another one replaces presses only the first."""

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.project import Project
from llm_studio.ui.widgets.basics import button
from llm_studio.workflows import projects
from llm_studio.workflows.training import runs
from tests.ui.driver import LONG, Driver

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def send(widget: QWidget, kind: QEvent.Type) -> None:
    """A mouse event at the middle of a widget, as Qt sends it."""
    place = QPointF(widget.rect().center())
    held = _NONE if kind == QEvent.Type.MouseButtonRelease else _LEFT
    event = QMouseEvent(kind, place, widget.mapToGlobal(place), _LEFT, held, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def double_click(first: QWidget, second: QWidget) -> None:
    """What Qt sends for a double click, where another widget is below the mouse at the second press."""
    send(first, QEvent.Type.MouseButtonPress)
    send(first, QEvent.Type.MouseButtonRelease)
    send(second, QEvent.Type.MouseButtonDblClick)
    send(second, QEvent.Type.MouseButtonRelease)


def test_a_double_click_on_start_does_not_stop_the_run(opened: Driver, project: Project) -> None:
    projects.change_settings(project, {"training.max_steps": 5})
    opened.session.refresh()
    opened.settle()
    page = opened.page("training")
    double_click(opened.button("Start training"), page.buttons.stop)
    opened.qtbot.waitUntil(lambda: bool(runs.listed(project)), timeout=LONG)
    opened.settle()
    assert [run.state for run in runs.listed(project)] == ["finished"]


def test_a_button_that_is_pressed_twice_counts_both(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    pressed: list[None] = []
    made = button("Next", window, lambda: pressed.append(None))
    double_click(made, made)
    assert len(pressed) == 2
