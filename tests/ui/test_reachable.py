"""Everything can be reached by keyboard and is named for a screen reader; nothing speaks the wrong language."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTextEdit,
    QWidget,
)

from llm_studio.ui import tabs
from tests.ui.driver import Driver

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
)


def controls(page: QWidget) -> list[QWidget]:
    """What a user can act on, without the parts that Qt puts inside a control."""
    found = [w for w in page.findChildren(QWidget) if isinstance(w, CONTROLS) and w.isVisibleTo(page)]
    inside = [w for w in found if isinstance(w.parentWidget(), (QAbstractSpinBox, QComboBox, QAbstractItemView))]
    return [w for w in found if w not in inside and not isinstance(w, QScrollBar)
            and not w.objectName().startswith("qt_")]  # fmt: skip


def spoken(widget: QWidget) -> str:
    """What a screen reader says for a control."""
    if widget.accessibleName():
        return widget.accessibleName()
    if isinstance(widget, QAbstractButton) and widget.text():
        return widget.text()
    page = widget.window()
    return next((label.text() for label in page.findChildren(QLabel) if label.buddy() is widget), "")


@pytest.mark.parametrize("name", [tab.name for tab in tabs.TABS])
def test_every_control_has_a_name_and_is_reached_by_tab(opened: Driver, name: str) -> None:
    page = opened.page(name)
    opened.settle()
    unnamed = [f"{type(w).__name__} {w.objectName()} in {type(w.parentWidget()).__name__}" for w in controls(page)
               if not spoken(w).strip()]  # fmt: skip
    assert not unnamed
    enabled = [w for w in controls(page) if w.isEnabled()]
    # radio-like groups are one stop of Tab, once one of them had the focus: arrows go on inside
    unreachable = [f"{type(w).__name__} “{spoken(w)}”" for w in enabled
                   if not w.focusPolicy() & Qt.FocusPolicy.TabFocus and not _in_group(w)]  # fmt: skip
    assert not unreachable
    opened.window.activateWindow()
    reached: set[QWidget] = set()
    first = enabled[0] if enabled else page
    first.setFocus(Qt.FocusReason.TabFocusReason)
    for _step in range(600):
        at = QApplication.focusWidget()
        if at is None or at in reached:
            break
        reached.add(at)
        opened.window.focusNextChild()
    missed = [w for w in enabled if w not in reached and not _in_group(w) and not _has_focus_proxy(w)]
    assert not missed, [f"{type(w).__name__} “{spoken(w)}”" for w in missed]


def _in_group(widget: QWidget) -> bool:
    return isinstance(widget, QAbstractButton) and widget.group() is not None


def _has_focus_proxy(widget: QWidget) -> bool:
    return widget.focusProxy() is not None


def texts(root: QWidget) -> dict[str, list[str]]:
    """All texts on all pages, by kind."""
    labels = [w.text() for w in root.findChildren(QLabel)]
    buttons = [w.text() for w in root.findChildren(QAbstractButton)]
    names = [w.accessibleName() for w in root.findChildren(QWidget) if w.accessibleName()]
    return {"labels": sorted(labels), "buttons": sorted(buttons), "names": sorted(names)}


def test_a_window_switched_to_french_says_what_one_begun_in_french_says(opened: Driver) -> None:
    opened.window.choose_language("fr")
    opened.qtbot.waitUntil(lambda: len(opened.window.pages) == len(tabs.TABS))
    opened.settle()
    for name in (tab.name for tab in tabs.TABS):
        opened.window.go_to(name)
        opened.settle()
    there = {w for kind in texts(opened.window).values() for w in kind}
    english = {
        "Data", "Model", "Training", "Generation", "Understand", "Export", "Diagnostics", "Loss", "Settings", "Add",
        "Start training", "Train the tokenizer", "Remove", "Cleaning", "Sampling", "Seed",
    }  # fmt: skip
    assert sorted(there & english) == []
