"""Texts before and after a change, with tinted differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from PySide6.QtCore import Slot
from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from llm_studio.ui import theme
from llm_studio.ui.theme import set_role

_ALIKE, _PASSAGE = 0.5, 4
"""Fraction of the new text that was in the old one, counted in passages of this length in characters; below it, what
they have in common is coincidence."""
_SAME, _GONE, _NEW = "", "token_4", "token_3"


@dataclass(frozen=True)
class Change:
    """A text of `source` before and after; `after` is "" if it was removed."""

    source: str
    before: str
    after: str


class Changes(QPlainTextEdit):
    """Shows a sentence and changes below it. Removed parts are tinted in the line with “−”, added ones in that with
    “+”."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setAccessibleName(name)
        set_role(self, "sunken")
        self._shown: tuple[str, Sequence[Change]] = ("", ())
        theme.notifier().changed.connect(self._draw)

    def show_changes(self, words: str, changes: Sequence[Change] = ()) -> None:
        """Show these, unless they are already shown, so that the scroll position is kept."""
        if (words, changes) != self._shown:
            self._shown = words, changes
            self._draw()

    @Slot()
    def _draw(self) -> None:
        words, changes = self._shown
        self.setPlainText(words)
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for change in changes:
            cursor.insertText("\n\n", _format(_SAME))
            cursor.insertText(f"{change.source}\n", _format(_SAME, muted=True))
            before, after = _parts(change)
            _insert(cursor, "− ", before)
            if change.after:
                cursor.insertText("\n", _format(_SAME))
                _insert(cursor, "+ ", after)
        self.moveCursor(QTextCursor.MoveOperation.Start)


def _insert(cursor: QTextCursor, mark: str, parts: Sequence[tuple[str, str]]) -> None:
    cursor.insertText(mark, _format(_SAME, muted=True))
    for text, color in parts:
        cursor.insertText(text, _format(color))


def _format(color: str, *, muted: bool = False) -> QTextCharFormat:
    form = QTextCharFormat()
    if color:
        form.setBackground(theme.color(color))
    form.setForeground(theme.color("muted" if muted else "text"))
    return form


def _parts(change: Change) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Both texts in parts, each with its tint."""
    if not change.after:
        return [(change.before, _SAME)], []
    before: list[tuple[str, str]] = []
    after: list[tuple[str, str]] = []
    # both texts are cut at the same length: what only one of them includes at the end hasn't changed
    blocks = SequenceMatcher(None, change.before, change.after, autojunk=False).get_matching_blocks()
    passages = [block for block in blocks if block.size >= _PASSAGE]
    reached = max((block.b + block.size for block in passages), default=len(change.after))
    if sum(block.size for block in passages) < _ALIKE * reached:  # another passage: the beginning is gone as a whole
        return [(change.before, _GONE)], [(change.after, _SAME)]
    i = j = 0
    for n, block in enumerate(blocks):
        last = n == len(blocks) - 1
        before.append((change.before[i : block.a], _SAME if last else _GONE))
        after.append((change.after[j : block.b], _SAME if last else _NEW))
        before.append((change.before[block.a : block.a + block.size], _SAME))
        after.append((change.after[block.b : block.b + block.size], _SAME))
        i, j = block.a + block.size, block.b + block.size
    return [part for part in before if part[0]], [part for part in after if part[0]]
