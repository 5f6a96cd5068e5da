"""Smaller parts of Generation: the choice of the model, the list of chats, the input box, a notice bar."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QKeyEvent, QResizeEvent, QTextCursor
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QSizePolicy,
    QTextEdit,
    QToolButton,
    QWidget,
)

from llm_studio.i18n import _, number
from llm_studio.ui.theme import color, notifier, set_role
from llm_studio.ui.widgets.basics import button, icon_button, label, row
from llm_studio.ui.widgets.tinted_text import CLASSES, bits, color_of, utf16

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Summary, Token
    from llm_studio.workflows.generation.generate import RunPoints

_MOST_LINES = 6
_LEAST_TITLE, _MOST_TITLE, _PILL = 40, 260, 52
"""Minimum and maximum width of a chat's title, and the width of the pill beside it, in pixels."""
_MORE = 50
"""Additional width in pixels that a combo box may have for longer texts."""


class ModelChoice(QWidget):
    """A choice of a run and one of its steps."""

    chosen = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._points: tuple[RunPoints, ...] = ()
        self._by_hand = False
        self.run_box = self._box(_("Run"), 110)
        self.step_box = self._box(_("Checkpoint"), 150)
        self.run_box.activated.connect(self._on_run)
        self.step_box.activated.connect(self._on_step)
        self.setLayout(row(self.run_box, self.step_box))

    def _box(self, name: str, width: int) -> QComboBox:
        made = QComboBox(self)
        made.setAccessibleName(name)
        made.setToolTip(name)
        made.setMinimumWidth(width)
        made.setMaximumWidth(width + _MORE)
        made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        made.setMaxVisibleItems(16)
        return made

    def show_points(self, points: "tuple[RunPoints, ...]") -> None:
        """Set the available models. The current selection is kept if available; otherwise the best model is
        selected."""
        if points == self._points:
            return
        run, which = self.current()[:2] if self._by_hand or self.isVisible() else ("", "")
        if not any(one.run == run for one in points):
            run, which, self._by_hand = next((one.run for one in points if one.is_best), ""), "best", False
        self._points = points
        self.run_box.clear()
        for one in points:
            self.run_box.addItem(one.run, one.run)
        self.run_box.setCurrentIndex(max(0, self.run_box.findData(run)))
        self._fill_steps(which)

    def choose(self, run: str, step: int | None) -> bool:
        """Select the step of a run nearest to `step`, None for the best one; returns whether there is one."""
        point = next((one for one in self._points if one.run == run), None)
        if point is None:
            return False
        kept = {point.best: "best", point.last: "last"} | {one: str(one) for one in point.steps}
        self._by_hand = True
        self.run_box.setCurrentIndex(self.run_box.findData(run))
        self._fill_steps("best" if step is None else kept[min(kept, key=lambda one: abs(one - step))])
        return True

    def current(self) -> tuple[str, str, int]:
        """The run, "best", "last" or a step's number, and the corresponding step; empty if there is none."""
        run = self.run_box.currentData() or ""
        which = self.step_box.currentData() or ""
        point = next((one for one in self._points if one.run == run), None)
        if point is None or not which:
            return "", "", 0
        return run, which, {"best": point.best, "last": point.last}.get(which) or int(which if which.isdecimal() else 0)

    def _fill_steps(self, which: str) -> None:
        self.step_box.clear()
        point = next((one for one in self._points if one.run == self.run_box.currentData()), None)
        if point is None:
            return
        self.step_box.addItem(_("best (step {step})").format(step=number(point.best)), "best")
        self.step_box.addItem(_("last (step {step})").format(step=number(point.last)), "last")
        for step in point.steps:
            self.step_box.addItem(_("step {step}").format(step=number(step)), str(step))
        self.step_box.setCurrentIndex(max(0, self.step_box.findData(which)))

    @Slot(int)
    def _on_run(self, _index: int) -> None:
        self._by_hand = True
        self._fill_steps("best")
        self.chosen.emit()

    @Slot(int)
    def _on_step(self, _index: int) -> None:
        self._by_hand = True
        self.chosen.emit()


class ChatMenu(QWidget):
    """The line above the chat: its title, earlier chats, a new chat."""

    new_requested = Signal()
    open_requested = Signal(str)
    delete_requested = Signal(str)
    save_requested = Signal()
    """The displayed chat should be saved to a file."""
    undo_requested = Signal()
    redo_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._chats: tuple[Summary, ...] = ()
        self._shown = self._title = ""
        self.pill = QToolButton(self)
        set_role(self.pill, "pill")
        self.pill.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.pill.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.pill.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.menu = QMenu(self.pill)
        self.menu.aboutToShow.connect(self._fill)
        self.pill.setMenu(self.menu)
        self._undo = icon_button("arrow-u-up-left", _("Undo the last change"), self, self.undo_requested.emit)
        self._redo = icon_button("arrow-u-up-right", _("Redo the last change"), self, self.redo_requested.emit)
        self._history, self._busy = (False, False), False
        self._save = icon_button("floppy-disk", _("Save this chat as a text or a PDF…"), self, self.save_requested.emit)
        self._delete = icon_button("trash", _("Delete this chat"), self, self._on_delete)
        self._new = button(_("New chat"), self, self.new_requested.emit, "small")
        self.setLayout(row(self.pill, None, self._undo, self._redo, self._save, self._delete, self._new))
        self.show_title("", "")

    def show_title(self, chat_id: str, title: str) -> None:
        """Set the displayed chat."""
        self._shown = chat_id
        self._title = title or _("New chat")
        self._elide()
        self.pill.setAccessibleName(_("Chat: {title}").format(title=self._title))
        self._save.setEnabled(bool(title))
        self._delete.setEnabled(bool(title))
        self._new.setEnabled(bool(title))

    def _elide(self) -> None:
        """Elide the title to fit."""
        others = sum(
            part.sizeHint().width() + 8 for part in (self._undo, self._redo, self._save, self._delete, self._new)
        )
        room = max(_LEAST_TITLE, min(_MOST_TITLE, self.width() - others - _PILL))
        shown = self.pill.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideRight, room)
        self.pill.setText(shown.replace("&", "&&"))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Elide the title for the new width."""
        super().resizeEvent(event)
        self._elide()

    def show_chats(self, chats: "Sequence[Summary]") -> None:
        """Set the list of chats."""
        self._chats = tuple(chats)

    def set_busy(self, busy: bool, filled: bool) -> None:
        """While the model writes, its chat can't be left."""
        self.pill.setEnabled(not busy)
        self._save.setEnabled(not busy and filled)
        self._delete.setEnabled(not busy and filled)
        self._new.setEnabled(not busy and filled)
        self._busy = busy
        self.show_history(*self._history)

    @Slot(bool, bool)
    def show_history(self, can_undo: bool, can_redo: bool) -> None:
        """Whether there is a change to undo, and to redo."""
        self._history = can_undo, can_redo
        self._undo.setEnabled(can_undo and not self._busy)
        self._redo.setEnabled(can_redo and not self._busy)

    def _on_delete(self) -> None:
        self.delete_requested.emit(self._shown)

    @Slot()
    def _fill(self) -> None:
        self.menu.clear()
        for chat in self._chats:
            star = "★ " if chat.favourite else ""
            action = QAction(star + (chat.title or _("(empty)")).replace("&", "&&"), self.menu)
            action.setCheckable(True)
            action.setChecked(chat.id == self._shown)
            action.setData(chat.id)
            action.triggered.connect(self._on_chosen)
            self.menu.addAction(action)
        if not self._chats:
            none = self.menu.addAction(_("No earlier chats"))
            none.setEnabled(False)

    @Slot()
    def _on_chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.open_requested.emit(str(action.data()))


class PromptBox(QPlainTextEdit):
    """The input box. Enter sends, Shift+Enter inserts a line break; it grows with its text."""

    sent = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setToolTip(_("Enter generates, Shift+Enter: a new line"))
        self.setTabChangesFocus(True)
        self.document().setDocumentMargin(3)
        self.textChanged.connect(self._fit)
        self.expect(False)

    @Slot(bool)
    def expect(self, question: bool) -> None:
        """Show what to enter: a question, or the beginning of a text."""
        if question:
            self._words = _("Ask something…"), _("Ask something… (Enter asks, Shift+Enter: a new line)")
        else:
            self._words = (_("Write the beginning of a text…"),
                           _("Write the beginning of a text… (Enter generates, Shift+Enter: a new line)"))  # fmt: skip
        self.setAccessibleName(_("A question") if question else _("The beginning of a text"))
        self._say()

    @Slot(str)
    def start_with(self, text: str) -> None:
        """Insert a text to be continued."""
        self.setPlainText(text)
        self.moveCursor(QTextCursor.MoveOperation.End)

    @Slot(str)
    def begin(self, text: str) -> None:
        """Start with a text, with the cursor after it."""
        self.start_with(text)
        self.setFocus()

    def show_tokens(self, tokens: "Sequence[Token]") -> None:
        """Tint the text by the tokens of a prompt, if it is that prompt; without tokens, remove the tints."""
        joined, typed = "".join(token.text for token in tokens), self.toPlainText()
        place = len(typed) - len(typed.lstrip()) - (len(joined) - len(joined.lstrip()))
        selections: list[QTextEdit.ExtraSelection] = []
        for token in tokens if joined.strip() == typed.strip() else ():
            selection: Any = QTextEdit.ExtraSelection()
            selection.format.setBackground(color(color_of(token.probability)))
            selection.cursor = QTextCursor(self.document())
            selection.cursor.setPosition(utf16(typed[: max(0, place)]))
            place += len(token.text)
            selection.cursor.setPosition(utf16(typed[:place]), QTextCursor.MoveMode.KeepAnchor)
            selections.append(selection)
        self.setExtraSelections(selections)

    def _say(self) -> None:
        short, full = self._words
        fits = self.fontMetrics().horizontalAdvance(full) < self.viewport().width() - 8
        self.setPlaceholderText(full if fits else short)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Send on Enter."""
        plain = not event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
            self.sent.emit()
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adjust the height to the new line breaks."""
        super().resizeEvent(event)
        self._say()

    @Slot()
    def _fit(self) -> None:
        lines = min(_MOST_LINES, max(1, round(self.document().size().height())))
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 20)


class EditingNote(QWidget):
    """Explains what happens to the answer of a prompt that is being edited; otherwise hidden."""

    cancelled = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = label("", self, "caption", wrap=True)
        inside = row(self._text, button(_("Cancel"), self, self.cancelled.emit, "link"))
        inside.setStretch(0, 1)
        inside.setContentsMargins(0, 0, 0, 0)
        self.setLayout(inside)

    def show_editing(self, editing: bool, branching: bool) -> None:
        """`branching`: turns follow the edited one, and remain in the saved chat."""
        self.setVisible(editing)
        self._text.setText(
            _("You are editing a prompt: the new answer starts a new chat.") if branching
            else _("You are editing this prompt: its answer will be rewritten.")
        )  # fmt: skip


class NoticeBar(QFrame):
    """One sentence about a problem, and often a button that helps."""

    pressed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "card-warn")
        self.text = label("", self, wrap=True, selectable=True)
        self._button = button("", self, self.pressed.emit, "small")
        close = icon_button("x", _("Close this notice"), self, self.hide)
        inside = row(self.text, self._button, close)
        inside.setContentsMargins(14, 8, 10, 8)
        inside.setStretch(0, 1)
        self.setLayout(inside)
        self.hide()

    def say(self, text: str, action: str = "", *, bad: bool = False) -> None:
        """Show a sentence."""
        self.text.setText(text)
        self._button.setText(action)
        self._button.setVisible(bool(action))
        set_role(self, "card-bad" if bad else "card-warn")
        self.show()


class Legend(QWidget):
    """The meaning of the tints."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._marks: list[tuple[QLabel, str]] = []
        words = (_("≥ 50\u00a0%"), _("≥ 20\u00a0%"), _("≥ 5\u00a0%"), _("< 5\u00a0%"))
        parts: list[QWidget] = [label(_("Probability:"), self, "caption")]
        for (least, name), word in zip(CLASSES, words, strict=True):
            mark = QLabel(self)
            mark.setFixedSize(QSize(14, 12))
            mark.setAutoFillBackground(True)
            self._marks.append((mark, name))
            parts += [mark, label(word, self, "caption")]
            surprise = _("at most {bits}") if least else _("more than {bits}")
            parts[-1].setToolTip(_("Surprise: {bits}").format(
                bits=surprise.format(bits=bits(-math.log2(least or CLASSES[-2][0])))))  # fmt: skip
        inside = row(*parts, None, spacing=6)
        self.setLayout(inside)
        notifier().changed.connect(self._paint)
        self._paint()

    @Slot()
    def _paint(self) -> None:
        from PySide6.QtGui import QPixmap

        for mark, name in self._marks:
            square = QPixmap(mark.size())
            square.fill(color(name))
            mark.setPixmap(square)
