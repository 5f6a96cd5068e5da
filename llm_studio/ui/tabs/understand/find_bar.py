"""Finding words in a text browser."""

from PySide6.QtCore import Slot
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QTextBrowser, QTextEdit, QWidget

from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import icon_button, label


class FindBar(QWidget):
    """Marks all occurrences in the browser and moves from one to the next, cyclically."""

    def __init__(self, parent: QWidget, browser: QTextBrowser) -> None:
        super().__init__(parent)
        self._browser = browser
        self._places: list[int] = []
        """The positions of the occurrences."""
        self.found = label("", self, "caption")
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(_("Search in this page"))
        self.search.setAccessibleName(_("Search in this page"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(220)
        self.search.textChanged.connect(self._find_first)
        self.search.returnPressed.connect(self._find_next)
        self.previous = icon_button("caret-up", _("Previous occurrence"), self, self._find_previous)
        self.following = icon_button("caret-down", _("Next occurrence"), self, self._find_next)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        for part in (self.found, self.search, self.previous, self.following):
            inside.addWidget(part)
        self._show_found(0, 0)

    def mark(self) -> None:
        """Mark all occurrences of the search term; to be called when the browser shows another text."""
        marks: list[QTextEdit.ExtraSelection] = []
        self._places = []
        wanted = self.search.text()
        form = QTextCharFormat()
        form.setBackground(theme.color("token_2"))
        cursor = QTextCursor(self._browser.document())
        while wanted and not (cursor := self._browser.document().find(wanted, cursor)).isNull():
            mark = QTextEdit.ExtraSelection()
            mark.cursor, mark.format = cursor, form  # pyright: ignore[reportAttributeAccessIssue]  fields of a C++ struct
            marks.append(mark)
            self._places.append(cursor.selectionStart())
        self._browser.setExtraSelections(marks)
        self._show_found(0, len(marks))

    @Slot()
    def _find_first(self) -> None:
        self.mark()
        cursor = self._browser.textCursor()
        cursor.setPosition(cursor.selectionStart())
        self._browser.setTextCursor(cursor)
        self._find(QTextDocument.FindFlag(0))

    @Slot()
    def _find_next(self) -> None:
        self._find(QTextDocument.FindFlag(0))

    @Slot()
    def _find_previous(self) -> None:
        self._find(QTextDocument.FindFlag.FindBackward)

    def _find(self, flags: QTextDocument.FindFlag) -> None:
        wanted = self.search.text()
        if not wanted or not self._places:
            return
        if not self._browser.find(wanted, flags):
            end = QTextCursor.MoveOperation.End if flags else QTextCursor.MoveOperation.Start
            self._browser.moveCursor(end)
            self._browser.find(wanted, flags)
        here = self._browser.textCursor().selectionStart()
        self._show_found(self._places.index(here) + 1 if here in self._places else 0, len(self._places))

    def _show_found(self, current: int, count: int) -> None:
        searching = bool(self.search.text())
        text = _("{current} of {count}").format(current=current, count=count) if current else str(count)
        self.found.setText("" if not searching else text if count else _("not found"))
        self.previous.setEnabled(count > 0)
        self.following.setEnabled(count > 0)
