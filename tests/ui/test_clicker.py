"""A monkey at the keyboard: whatever is pressed in whatever order, nothing breaks."""

import random
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QDesktopServices, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QTableView,
    QTextEdit,
    QToolButton,
    QWidget,
)

from llm_studio.errors import StudioError
from llm_studio.ui import tabs
from llm_studio.workflows import quickstart
from tests.ui.driver import Driver

ACTIONS = 2000
TEXTS = ("Once upon a time", "", "12", "-3", "é\u202f!", "0.5", "x" * 300, "3e-4", "[a", "\t", "🐉")
KINDS = (
    QAbstractButton,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QAbstractSpinBox,
    QAbstractSlider,
    QComboBox,
    QAbstractItemView,
)


class Monkey:
    """Presses, types, drags and chooses by chance; the same seed does the same."""

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver, self.window = driver, driver.window
        self.chance = random.Random(seed)
        self.done: list[str] = []

    def act(self) -> None:
        """One action: with a dialog or menu on the screen, there; else in the window."""
        popup = QApplication.activePopupWidget()
        if isinstance(popup, QMenu):
            popup.close()
        shown = [d for d in QApplication.topLevelWidgets() if isinstance(d, QDialog) and d.isVisible()]
        dialogs = [d for d in self.window.findChildren(QDialog) if d.isVisible()] or shown
        if any(isinstance(d, QFileDialog) for d in dialogs) or (dialogs and self.chance.random() < 0.3):
            for dialog in dialogs:
                dialog.reject()
            return
        if not dialogs and self.chance.random() < 0.06:
            self._go_elsewhere()
            return
        page = self.window.shell.stack.currentWidget() if self.chance.random() < 0.8 else self.window.shell
        places = [w for kind in KINDS for w in (dialogs[0] if dialogs else page).findChildren(kind)
                  if w.isVisible() and w.isEnabled()]  # fmt: skip
        if places:
            target = self.chance.choice(places)
            self.done.append(f"{type(target).__name__} {target.accessibleName()}"[:80])
            self._use(target)

    def _go_elsewhere(self) -> None:
        name = self.chance.choice([*(tab.name for tab in tabs.TABS), "start", "theme", "language"])
        self.done.append(f"go to {name}")
        if name == "theme":
            self.window.toggle_theme()
        elif name == "language":
            self.window.choose_language(self.chance.choice(["en", "en", "fr"]))
        else:
            self.window.go_to(name)

    def _use(self, target: QWidget) -> None:
        if isinstance(target, QAbstractSlider):
            target.setValue(self.chance.randint(target.minimum(), target.maximum()))
        elif isinstance(target, QComboBox):
            if target.count():
                target.setCurrentIndex(self.chance.randrange(target.count()))
                target.activated.emit(target.currentIndex())
        elif isinstance(target, QAbstractItemView):
            self._use_view(target)
        elif isinstance(target, QPushButton | QToolButton) and target.menu():
            target.menu().aboutToShow.emit()  # shown, it would wait for its end
            entries = [action for action in target.menu().actions() if action.isEnabled() and not action.menu()]
            if entries:
                self.chance.choice(entries).trigger()
        elif isinstance(target, QAbstractButton):
            QTest.mouseClick(target, Qt.MouseButton.LeftButton)
        else:
            target.setFocus()
            QTest.keyClick(target, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
            for letter in self.chance.choice(TEXTS):  # QTest.keyClicks knows ASCII alone
                press = QKeyEvent(QEvent.Type.KeyPress, 0, Qt.KeyboardModifier.NoModifier, letter)
                QApplication.sendEvent(target, press)
            if self.chance.random() < 0.4:
                QTest.keyClick(target, Qt.Key.Key_Return)

    def _use_view(self, view: QAbstractItemView) -> None:
        model = view.model()
        if model is None or not model.rowCount():
            return
        columns = view.horizontalHeader().count() if isinstance(view, QTableView) else 1
        index = model.index(self.chance.randrange(model.rowCount()), self.chance.randrange(max(1, columns)))
        view.setCurrentIndex(index)
        place = view.visualRect(index).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        if self.chance.random() < 0.1:
            QApplication.sendEvent(view.viewport(), QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, QPoint()))


@pytest.mark.slow
def test_two_thousand_random_actions_break_nothing(
    opened: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No exception (pytest-qt fails on one in a slot), no Qt warning, no thread left, no bug told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: "")  # it waits for its end
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _url: True)  # another program
    monkeypatch.setattr(quickstart, "_STORIES", 200)
    monkeypatch.setattr(quickstart, "MINUTES", 0.05)
    opened.session.change_settings({"training.max_steps": 300, "generation.max_tokens": 10})
    opened.settle()
    monkey = Monkey(opened, seed=20)
    for number in range(ACTIONS):
        monkey.act()
        if number % 10 == 0:
            opened.qtbot.wait(10)  # QTest.qWait keeps Python's lock, and with it every thread
    for dialog in opened.window.findChildren(QDialog):
        dialog.close()
    opened.session.stop_all()
    opened.settle()
    bugs = [error for error in opened.summary if not isinstance(error, StudioError)]
    assert not bugs, (bugs, monkey.done[-15:])
    assert opened.session.is_idle()
