"""The tab Understand: pages that explain what the program does, for each tab, with the files where it is done."""

import html
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QFontMetrics, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QTextBrowser,
    QTextEdit,
    QWidget,
)

import llm_studio
from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.paths import resource
from llm_studio.ui import tabs, theme
from llm_studio.ui.page import Page
from llm_studio.ui.widgets import markdown
from llm_studio.ui.widgets.basics import Card, icon_button, label, row

_INDEX_WIDTH, _HEADING_WIDTH = 224, 160
"""Of the list at the left, and of a heading in it, beside padding and scroll bar."""
_SOURCE = "source:"
"""Links of this kind show a file of the program itself."""


class UnderstandPage(Page):
    """A list of pages at the left, the page at the right, and a search in it."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("How each step works, what the figures on the screen mean, and where the code is.")
        super().__init__(_("Understand"), subtitle, parent)
        self._lessons = tabs.lessons()
        self._name = ""
        self._before: list[tuple[str, int]] = []
        columns = QHBoxLayout()
        columns.setSpacing(theme.GAP)
        columns.addWidget(self._make_index())
        columns.addWidget(self._make_reader(), 1)
        self.body.addLayout(columns, 1)
        theme.notifier().changed.connect(self._repaint)
        self.show_target(tabs.FIRST.lesson)

    # --- Building ---------------------------------------------------------------------------------------------

    def _make_index(self) -> QWidget:
        card = Card(self, _("Pages"))
        card.setFixedWidth(_INDEX_WIDTH)
        self.pages = QListWidget(card)
        self.pages.setAccessibleName(_("Pages"))
        for name, title in self._lessons.items():
            item = QListWidgetItem(_(title), self.pages)
            item.setData(Qt.ItemDataRole.UserRole, name)
        self.pages.setFixedHeight(self.pages.sizeHintForRow(0) * len(self._lessons) + 8)
        self.pages.currentItemChanged.connect(self._on_page_chosen)
        self.headings = QListWidget(card)
        self.headings.setAccessibleName(_("On this page"))
        self.headings.setWordWrap(True)
        self.headings.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.headings.setMinimumHeight(90)
        self.headings.itemClicked.connect(self._on_heading_chosen)
        self.headings.itemActivated.connect(self._on_heading_chosen)
        for made in (self.pages, self.headings):
            made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        card.content.addWidget(self.pages)
        card.content.addSpacing(6)
        card.content.addWidget(label(_("On this page"), card, "caption"))
        card.content.addWidget(self.headings, 1)
        return card

    def _make_reader(self) -> QWidget:
        card = Card(self)
        self.back = icon_button("arrow-left", _("Back"), card, self._go_back)
        self.search = QLineEdit(card)
        self.search.setPlaceholderText(_("Search in this page"))
        self.search.setAccessibleName(_("Search in this page"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(220)
        self.search.textChanged.connect(self._find_first)
        self.search.returnPressed.connect(self._find_next)
        self.found = label("", card, "caption")
        self.previous = icon_button("caret-up", _("Previous occurrence"), card, self._find_previous)
        self.following = icon_button("caret-down", _("Next occurrence"), card, self._find_next)
        self.browser = QTextBrowser(card)
        theme.set_role(self.browser, "plain")
        self.browser.setOpenLinks(False)
        self.browser.setAccessibleName(_("The page"))
        self.browser.setMinimumSize(320, 300)
        self.browser.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.browser.anchorClicked.connect(self._follow)
        card.content.addLayout(row(self.back, None, self.found, self.search, self.previous, self.following))
        card.content.addWidget(self.browser, 1)
        self._show_found(0, 0)
        return card

    # --- Which page -------------------------------------------------------------------------------------------

    def show_target(self, target: str) -> None:
        """Show the lesson of this name; "" keeps what is open already."""
        if target in self._lessons:
            self._open(target, "")

    def _open(self, name: str, anchor: str, *, remember: bool = True) -> None:
        """Show a page or a source file, from an anchor on."""
        if name != self._name:
            if remember and self._name:
                self._before.append((self._name, self.browser.verticalScrollBar().value()))
            self._name = name
            self._show()
            self.browser.verticalScrollBar().setValue(0)
        if anchor:
            self.browser.scrollToAnchor(anchor)
        self.back.setEnabled(bool(self._before))
        row_ = list(self._lessons).index(name) if name in self._lessons else -1
        self.pages.blockSignals(True)
        self.pages.setCurrentRow(row_)
        self.pages.blockSignals(False)

    def _show(self) -> None:
        """Make the text of the page again, in the colours of the theme."""
        document = _source(self._name) if self._name.startswith(_SOURCE) else _page(self._name)
        markdown.show(document, self.browser)
        self.headings.clear()
        measure = QFontMetrics(theme.font())
        for level, anchor, text in document.headings:
            if level > 1:
                item = QListWidgetItem(text, self.headings)
                item.setData(Qt.ItemDataRole.UserRole, anchor)
                # Qt forgets the padding of the stylesheet when it looks whether a text needs a second line
                room, wrap = QRect(0, 0, _HEADING_WIDTH, 1000), Qt.TextFlag.TextWordWrap
                height = measure.boundingRect(room, wrap, text).height()
                item.setSizeHint(QSize(_HEADING_WIDTH, height + 13))
        self._mark()

    @Slot()
    def _repaint(self) -> None:
        place = self.browser.verticalScrollBar().value()
        self._show()
        self.browser.verticalScrollBar().setValue(place)

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_page_chosen(self, item: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        if item is not None:
            self._open(item.data(Qt.ItemDataRole.UserRole), "")

    @Slot(QListWidgetItem)
    def _on_heading_chosen(self, item: QListWidgetItem) -> None:
        self.browser.scrollToAnchor(item.data(Qt.ItemDataRole.UserRole))

    @Slot(QUrl)
    def _follow(self, url: QUrl) -> None:
        """A link: to a place on this page, to another page, to a source file, or out into the web."""
        target = url.toString()
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif target.startswith(_SOURCE):
            self._open(target, "")
        else:
            name = url.path().removesuffix(".md") or self._name
            if name in self._lessons or name == self._name:
                self._open(name, url.fragment())

    @Slot()
    def _go_back(self) -> None:
        if self._before:
            name, place = self._before.pop()
            self._open(name, "", remember=False)
            self.browser.verticalScrollBar().setValue(place)

    # --- Search -----------------------------------------------------------------------------------------------

    @Slot()
    def _find_first(self) -> None:
        self._mark()
        cursor = self.browser.textCursor()
        cursor.setPosition(cursor.selectionStart())
        self.browser.setTextCursor(cursor)
        self._find(QTextDocument.FindFlag(0))

    @Slot()
    def _find_next(self) -> None:
        self._find(QTextDocument.FindFlag(0))

    @Slot()
    def _find_previous(self) -> None:
        self._find(QTextDocument.FindFlag.FindBackward)

    def _find(self, flags: QTextDocument.FindFlag) -> None:
        """Go to the next occurrence, and round the end."""
        wanted = self.search.text()
        if not wanted or not self._places:
            return
        if not self.browser.find(wanted, flags):
            end = QTextCursor.MoveOperation.End if flags else QTextCursor.MoveOperation.Start
            self.browser.moveCursor(end)
            self.browser.find(wanted, flags)
        here = self.browser.textCursor().selectionStart()
        self._show_found(self._places.index(here) + 1 if here in self._places else 0, len(self._places))

    def _mark(self) -> None:
        """Mark all occurrences of what is searched for."""
        marks: list[QTextEdit.ExtraSelection] = []
        self._places: list[int] = []
        wanted = self.search.text()
        form = QTextCharFormat()
        form.setBackground(theme.color("token_2"))
        cursor = QTextCursor(self.browser.document())
        while wanted and not (cursor := self.browser.document().find(wanted, cursor)).isNull():
            mark = QTextEdit.ExtraSelection()
            mark.cursor, mark.format = cursor, form  # pyright: ignore[reportAttributeAccessIssue]  fields of a C++ struct
            marks.append(mark)
            self._places.append(cursor.selectionStart())
        self.browser.setExtraSelections(marks)
        self._show_found(0, len(marks))

    def _show_found(self, current: int, count: int) -> None:
        searching = bool(self.search.text())
        text = _("{current} of {count}").format(current=current, count=count) if current else str(count)
        self.found.setText("" if not searching else text if count else _("not found"))
        self.previous.setEnabled(count > 0)
        self.following.setEnabled(count > 0)


# --- The pages -----------------------------------------------------------------------------


def _page(name: str) -> markdown.Document:
    """The page of this name in the user's language."""
    path = resource("learn", i18n.language(), f"{name}.md")
    return markdown.render(path.read_text(encoding="utf-8"))


def _source(link: str) -> markdown.Document:
    """A file of the program, to be read. The frozen program may lack it."""
    package = Path(llm_studio.__file__).parent.resolve()
    relative = link.removeprefix(_SOURCE)
    path = (package / relative).resolve()
    title = f"llm_studio/{relative}"
    if not path.is_relative_to(package) or path.suffix != ".py" or not path.is_file():
        text = _("This file is not part of the installed program.")
        return markdown.Document(f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>", ())
    code = path.read_text(encoding="utf-8")
    return markdown.Document(f"<h1>{html.escape(title)}</h1>{markdown.code_block(code, 'pre')}", ())
