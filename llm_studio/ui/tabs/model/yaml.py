"""The text of config.yaml, validated while the user types and saved when it is valid."""

from collections.abc import Sequence

from PySide6.QtCore import QRegularExpression, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QFocusEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QPlainTextEdit, QTextEdit, QVBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.config.yaml_file import parse
from llm_studio.errors import ConfigError, Problem
from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row

_CHECK_DELAY = 250
_SAVE_DELAY = 1200
"""Milliseconds without a key press after which a valid text is written to the file."""
_LIST_HEIGHT, _ITEM_HEIGHT = 112, 48
_COMMENT = QRegularExpression(r"(^|\s)#.*$")
_KEY = QRegularExpression(r"^\s*[^\s#:]+(?=:)")


class _Colours(QSyntaxHighlighter):
    """Highlights names in the accent colour and mutes comments."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        theme.notifier().changed.connect(self.rehighlight)

    def highlightBlock(self, text: str) -> None:  # noqa: N802  Qt's
        """Highlight one line."""
        for pattern, color in ((_KEY, "accent"), (_COMMENT, "muted")):
            found = pattern.match(text)
            if found.hasMatch():
                look = QTextCharFormat()
                look.setForeground(theme.color(color))
                self.setFormat(found.capturedStart(), found.capturedLength(), look)


class _Text(QPlainTextEdit):
    """The editor. `left`: it has lost the keyboard focus."""

    left = Signal()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802  Qt's
        """Report the loss of focus: a valid text is then saved at once."""
        super().focusOutEvent(event)
        self.left.emit()


class YamlEditor(QWidget):
    """Shows the file's text. Unsaved text is never replaced."""

    checked = Signal(object)
    """Settings: the user's text is valid."""
    save_requested = Signal(str, str)
    """The text to be written, and the file's text from which it was derived."""
    saved_changed = Signal()
    """Whether there is unsaved or invalid text has changed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.problems: list[Problem] = []
        self._file: str | None = None
        self._newer: str | None = None
        self._check_timer = QTimer(self, interval=_CHECK_DELAY, singleShot=True)
        self._check_timer.timeout.connect(self.check)
        self._save_timer = QTimer(self, interval=_SAVE_DELAY, singleShot=True)
        self._save_timer.timeout.connect(self.save)
        self.text = _Text(self)
        set_role(self.text, "code")
        self.text.setFont(theme.font(12, fixed=True))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("config.yaml")
        self.text.setMinimumHeight(160)
        self._colours = _Colours(self.text.document())
        self.text.textChanged.connect(self._on_text)
        self.text.left.connect(self.save)
        self.list = QListWidget(self)
        self.list.setAccessibleName(_("Problems"))
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.list.itemActivated.connect(self._go_to)
        self.list.itemClicked.connect(self._go_to)
        self.state = label("", self, "caption", wrap=True)
        self.discard_button = button(_("Discard"), self, self.discard, "small",
                                     _("Go back to the content of the file"))  # fmt: skip
        self._conflict = Card(self, role="card-warn")
        self._conflict.content.addWidget(
            label(_("config.yaml was changed elsewhere while you were writing here."), self, wrap=True)
        )
        self._conflict.content.addLayout(row(button(_("Use the file’s text"), self, self.discard, "small"),
                                             button(_("Keep mine"), self, self._keep, "small"), None))  # fmt: skip
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._conflict)
        whole.addWidget(self.text, 1)
        whole.addWidget(self.list)
        foot = row(self.state, self.discard_button)
        foot.setStretch(0, 1)
        whole.addLayout(foot)
        theme.notifier().changed.connect(self._mark)
        self._show_state()

    # --- The file ---------------------------------------------------------------------------------------------

    @property
    def is_changed(self) -> bool:
        """Whether the user's text differs from the file."""
        return self.text.document().isModified()

    def why_stuck(self) -> str:
        """Why the text can't be saved as it is; "" if it can be or is saved."""
        if not self.is_changed:
            return ""
        self.check()
        if self._newer is not None:
            return _("config.yaml was changed elsewhere while you were writing here.")
        wrong = bool(self.problems) or self._file is None
        return _("config.yaml can’t be used as it is: fix the marked lines first.") if wrong else ""

    def draft(self) -> tuple[str, str | None] | None:
        """The unsaved text, and the file's text from which it was derived."""
        return (self.text.toPlainText(), self._file) if self.is_changed else None

    def take_draft(self, text: str, file: str | None) -> None:
        """Continue with a draft. It is saved when the user edits it or moves the focus away."""
        self._file = file
        self._replace(text)
        self.text.document().setModified(True)
        self.check()

    def forget(self) -> None:
        """Discard everything: another project was opened."""
        self._file = self._newer = None
        self._replace("")
        self.check()

    def show_file(self, text: str) -> None:
        """The file now contains `text`. The user's unsaved text is kept, and the conflict is reported."""
        if text == self._file:
            self._newer = None
        elif self.is_changed and text != self.text.toPlainText():
            self._newer = text
        else:
            self._file, self._newer = text, None
            self._replace(text)
            self.check()
        self._show_state()

    def show_unreadable(self, problem: ConfigError) -> None:
        """The file can't be shown as text."""
        self._file, self.problems = None, [Problem("config.yaml", str(problem))]
        self._mark()
        self._show_state()

    def saved(self, text: str) -> None:
        """`text` was written to the file."""
        self._file = text
        if self.text.toPlainText() == text:
            self.text.document().setModified(False)
        self._show_state()

    def _replace(self, text: str) -> None:
        """Replace the text of the editor, keeping the cursor's position if possible."""
        if text == self.text.toPlainText():
            self.text.document().setModified(False)
            return
        place, down, right = self.text.textCursor().position(), self.text.verticalScrollBar().value(), 0
        self._stop()
        self.text.blockSignals(True)
        self.text.setPlainText(text)
        self.text.blockSignals(False)
        cursor = self.text.textCursor()
        cursor.setPosition(min(place, len(text)))
        self.text.setTextCursor(cursor)
        self.text.verticalScrollBar().setValue(down)
        self.text.horizontalScrollBar().setValue(right)

    # --- Validating and saving --------------------------------------------------------------------------------

    @Slot()
    def _on_text(self) -> None:
        if self.is_changed:
            self._check_timer.start()
            self._save_timer.start()
            self._show_state()

    def _stop(self) -> None:
        self._check_timer.stop()
        self._save_timer.stop()

    @Slot()
    def check(self) -> None:
        """Validate the text and mark problems."""
        self._check_timer.stop()
        settings, self.problems = _parsed(self.text.toPlainText())
        self._mark()
        self._show_state()
        if settings is not None and self.is_changed:
            self.checked.emit(settings)

    @Slot()
    def save(self) -> None:
        """Request writing the text, if it is valid and differs from the file."""
        self._stop()
        if not self.is_changed or self._newer is not None or self._file is None:
            return
        self.check()
        text = self.text.toPlainText()
        if self.problems:
            return
        if text == self._file:
            self.saved(text)
        else:
            self.save_requested.emit(text, self._file)

    @Slot()
    def discard(self) -> None:
        """Restore the text of the file."""
        self._stop()
        text = self._newer if self._newer is not None else self._file or ""
        self._file, self._newer = text, None
        self._replace(text)
        self.check()

    def _keep(self) -> None:
        """Keep the user's text, which will overwrite the change of the file."""
        self._file, self._newer = self._newer, None
        self._show_state()
        self.save()

    # --- Marks ------------------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        self._conflict.setVisible(self._newer is not None)
        self.list.setVisible(bool(self.problems))
        self.discard_button.setVisible(self.is_changed)
        if self.problems:
            self.state.setText(
                _("Not saved: fix the marked fields.") if self.is_changed else _("Fix the marked fields.")
            )
        else:
            self.state.setText(_("Not saved yet") if self.is_changed else _("Saved in config/config.yaml"))
        self.saved_changed.emit()

    @Slot()
    def _mark(self) -> None:
        document = self.text.document()
        found: list[QTextEdit.ExtraSelection] = []
        for problem in self.problems:
            block = document.findBlockByNumber(problem.line - 1) if problem.line else document.end()
            if not block.isValid():
                continue
            whole, words = QTextEdit.ExtraSelection(), QTextEdit.ExtraSelection()
            whole.format.setBackground(theme.color("bad", 0.14))  # pyright: ignore[reportAttributeAccessIssue]  a field in C++
            whole.format.setProperty(QTextFormat.Property.FullWidthSelection, True)  # pyright: ignore[reportAttributeAccessIssue]
            whole.cursor = QTextCursor(block)  # pyright: ignore[reportAttributeAccessIssue]
            words.format.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SpellCheckUnderline)  # pyright: ignore[reportAttributeAccessIssue]
            words.format.setUnderlineColor(theme.color("bad"))  # pyright: ignore[reportAttributeAccessIssue]
            cursor = QTextCursor(block)
            text = block.text().partition("#")[0]
            cursor.setPosition(block.position() + len(text) - len(text.lstrip()))
            cursor.setPosition(block.position() + len(text.rstrip()), QTextCursor.MoveMode.KeepAnchor)
            words.cursor = cursor  # pyright: ignore[reportAttributeAccessIssue]
            found += [whole, words]
        self.text.setExtraSelections(found)
        self._show_list(self.problems)

    def _show_list(self, problems: Sequence[Problem]) -> None:
        self.list.clear()
        for problem in problems:
            text = problem.message if problem.path in ("yaml", "config.yaml") else problem.summary
            if problem.line:
                text = _("line {line}: {text}").format(line=problem.line, text=text)
            item = QListWidgetItem(text, self.list)
            item.setData(Qt.ItemDataRole.UserRole, problem.line)
            item.setForeground(theme.color("bad"))
        self.list.setFixedHeight(min(_LIST_HEIGHT, _ITEM_HEIGHT * self.list.count() + 12))

    @Slot(QListWidgetItem)
    def _go_to(self, item: QListWidgetItem) -> None:
        line = item.data(Qt.ItemDataRole.UserRole)
        block = self.text.document().findBlockByNumber(line - 1) if line else self.text.document().begin()
        if block.isValid():
            self.text.setTextCursor(QTextCursor(block))
            self.text.ensureCursorVisible()
            self.text.setFocus()


def _parsed(text: str) -> tuple[Settings | None, list[Problem]]:
    try:
        return parse(text), []
    except ConfigError as error:
        return None, error.problems or [Problem("yaml", str(error))]
