"""A text of tokens that grows as it is generated; optionally each token is tinted by its probability."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from html import escape

from PySide6.QtCore import QEvent, QPoint, QRect, Qt, Signal, Slot
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QResizeEvent,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtWidgets import QTextEdit, QToolTip, QWidget

from llm_studio.i18n import _, number, percent
from llm_studio.ui import theme
from llm_studio.ui.theme import set_role
from llm_studio.workflows.generation.next_token import visible
from llm_studio.workflows.generation.version_tree import UNKNOWN, Token

CLASSES = ((0.5, "token_3"), (0.2, "token_5"), (0.05, "token_2"), (0.0, "token_4"))
"""Minimum probability of each colour of the theme."""
_LINE = 130
"""Line height in percent."""
_CARET = "\u258d"


def color_of(probability: float) -> str:
    """The background colour of the theme for a token with this probability."""
    return next(name for least, name in CLASSES if probability >= least)


def utf16(text: str) -> int:
    """The length of a text in UTF-16 code units, which Qt uses."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class TintedText(QTextEdit):
    """Shows a text in full height. While tinted, its tokens have tooltips and can be chosen."""

    token_chosen = Signal(int)
    """The token with this index was clicked, or Return pressed with the cursor before or in it."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        set_role(self, "plain")
        self.setAccessibleName(name)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self._tinted = False
        self._writing = False
        self._place: int | None = None
        """The token that is being replaced; those after it are muted."""
        self._tokens: list[Token] = []
        self._ends: list[int] = []
        """The end of each token in the document, in UTF-16 code units."""
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        theme.notifier().changed.connect(self._paint_all)

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_text(self, text: str, tokens: Sequence[Token]) -> None:
        """Show a whole text; `tokens` may be empty if they are unknown."""
        self._tokens, self._ends, self._place = [], [], None
        self.clear()
        spaced = QTextBlockFormat()
        spaced.setLineHeight(_LINE, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        QTextCursor(self.document()).setBlockFormat(spaced)
        if tokens:
            self.append_tokens(tokens)
        else:
            self._cursor_at_end().insertText(text.lstrip(" "), QTextCharFormat())

    def append_tokens(self, tokens: Iterable[Token]) -> None:
        """Append tokens. In one edit block: otherwise the whole paragraph is laid out again after each token."""
        cursor = self._cursor_at_end()
        cursor.beginEditBlock()
        for token in tokens:
            # a space at the start would be visible at the edge
            shown = token.text if cursor.position() else token.text.lstrip(" ")
            cursor.insertText(shown, self._format(token, len(self._tokens)))
            self._tokens.append(token)
            self._ends.append(cursor.position())
        cursor.endEditBlock()

    def show_writing(self, writing: bool) -> None:
        """Show or hide the block at the end that indicates that more text is coming."""
        if writing == self._writing:
            return
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if writing:
            cursor.insertText(_CARET, QTextCharFormat())
        else:
            cursor.deletePreviousChar()
        self._writing = writing

    def set_tinted(self, tinted: bool) -> None:
        """Whether to tint the tokens by their probability."""
        if tinted != self._tinted:
            self._tinted = tinted
            self._paint_all()

    def set_place(self, place: int | None) -> None:
        """Mark the token with this index, which is being replaced. None marks none."""
        if place != self._place:
            self._place = place
            self._paint_all()

    def place_rect(self) -> QRect:
        """The rectangle of the marked token, in this widget."""
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._ends[self._place] if self._place is not None else 0)
        return self.cursorRect(cursor)

    def token_at(self, position: int) -> Token | None:
        """The token of the character at `position` of the document."""
        index = bisect_right(self._ends, position)
        return self._tokens[index] if index < len(self._tokens) else None

    def _cursor_at_end(self) -> QTextCursor:
        """A cursor at the end of the text, before the block that indicates that more is coming."""
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if self._writing:
            cursor.movePosition(QTextCursor.MoveOperation.Left)
        return cursor

    def _format(self, token: Token, index: int) -> QTextCharFormat:
        made = QTextCharFormat()
        if self._place is not None and index >= self._place:
            made.setForeground(theme.color("accent" if index == self._place else "muted"))
            made.setFontUnderline(index == self._place)
            made.setFontWeight(QFont.Weight.DemiBold if index == self._place else QFont.Weight.Normal)
        elif self._tinted and token.id != UNKNOWN:
            made.setBackground(theme.color(color_of(token.probability)))
        return made

    @Slot()
    def _paint_all(self) -> None:
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        start = 0
        for index, (token, end) in enumerate(zip(self._tokens, self._ends, strict=True)):
            cursor.setPosition(start)
            cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
            cursor.setCharFormat(self._format(token, index))
            start = end
        cursor.endEditBlock()

    # --- Tooltips and choosing tokens -------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Show a tooltip for the token under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._report(event.pos(), event.globalPos())
            return True
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            undoes = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)
            if any(event.matches(key) for key in undoes):  # read-only text: leave undo to the page
                event.ignore()
                return False
        return super().event(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the token that was clicked, unless text was selected."""
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and not self.textCursor().hasSelection():
            self._choose(self._position(event.position().toPoint()))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose the token at the cursor on Return."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._tinted and self._tokens:
            self._choose(self.textCursor().position())
            event.accept()
            return
        super().keyPressEvent(event)

    def _choose(self, position: int) -> None:
        if self._tinted and position >= 0 and self.token_at(position) is not None and not self._writing:
            self.token_chosen.emit(bisect_right(self._ends, position))

    def _position(self, at: QPoint) -> int:
        """The position in the document of the character at a point of the viewport, -1 if there is none."""
        return self.document().documentLayout().hitTest(at.toPointF(), Qt.HitTestAccuracy.ExactHit)

    def _report(self, at: QPoint, shown_at: QPoint) -> None:
        position = self._position(self.viewport().mapFromParent(at))
        token = self.token_at(position) if position >= 0 and self._tinted else None
        if token is None or token.id == UNKNOWN:
            QToolTip.hideText()
            return
        QToolTip.showText(shown_at, describe(token), self, QRect(at.x() - 4, at.y() - 8, 8, 16))

    # --- Height -----------------------------------------------------------------------------------------------

    @Slot()
    def _fit(self) -> None:
        height = max(20, round(self.document().size().height()) + 4)
        if height != self.height():
            self.setFixedHeight(height)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adjust the height to the new width."""
        super().resizeEvent(event)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's
        """Ignore the wheel: the surrounding area scrolls."""
        event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802  Qt's
        """Show Qt's menu with copy and select all."""
        menu = self.createStandardContextMenu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())


def bits(value: float) -> str:
    """Format a surprise: 1.7 bits."""
    return _("{n}\u00a0bits").format(n=number(value, 1))


def describe(token: Token) -> str:
    """A token with its probability, and the most likely ones at its position, as rich text."""
    share = percent(token.probability, 1)
    head = _("Probability: {share} · surprise: {bits}").format(share=escape(share), bits=bits(token.bits))
    rows = "".join(
        f"<tr><td><code>{escape(visible(text))}</code></td><td align=right>&nbsp;&nbsp;{escape(chance)}</td></tr>"
        for text, chance in ((text, percent(p, 1)) for text, p in token.alternatives)
    )
    most_likely = _("Most likely here:")
    return (
        f"<p><b><code>{escape(visible(token.text) or '…')}</code></b><br>{head}</p>"
        f"<p>{most_likely}</p><table cellspacing=2>{rows}</table>"
    )
