"""The page of the tab Understand: lessons about what the program does, with the source files that do it."""

from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QTextBrowser, QWidget

from llm_studio.i18n import _
from llm_studio.ui import tabs, theme
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.understand.documents import SOURCE, document
from llm_studio.ui.tabs.understand.find_bar import FindBar
from llm_studio.ui.tabs.understand.index import IndexCard
from llm_studio.ui.widgets import markdown
from llm_studio.ui.widgets.basics import Card, icon_button, row


class UnderstandPage(Page):
    """An index on the left; a document on the right, with a back button and a search."""

    def __init__(self, parent: QWidget) -> None:
        subtitle = _("How each step works, what the figures on the screen mean, and where the code is.")
        super().__init__(_("Understand"), subtitle, parent)
        self._lessons = tabs.lessons()
        self._name = ""
        """Name of the displayed document."""
        self._visited: list[tuple[str, int]] = []
        """Names of earlier documents and their scroll positions; the last one is the first to return to."""
        self.index = IndexCard(self, self._lessons)
        reader = Card(self)
        self.back = icon_button("arrow-left", _("Back"), reader, self._go_back)
        self.browser = QTextBrowser(reader)
        theme.set_role(self.browser, "plain")
        self.browser.setOpenLinks(False)
        self.browser.setAccessibleName(_("The page"))
        self.browser.setMinimumSize(320, 300)
        self.browser.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.find_bar = FindBar(reader, self.browser)
        QWidget.setTabOrder(self.find_bar.following, self.browser)
        reader.content.addLayout(row(self.back, None, self.find_bar))
        reader.content.addWidget(self.browser, 1)
        columns = QHBoxLayout()
        columns.setSpacing(theme.GAP)
        columns.addWidget(self.index)
        columns.addWidget(reader, 1)
        self.body.addLayout(columns, 1)
        self.first = (self.index.pages,)
        self._connect()
        self.show_target(tabs.FIRST.lesson)

    def _connect(self) -> None:
        self.index.page_chosen.connect(self._open)
        self.index.heading_chosen.connect(self.browser.scrollToAnchor)
        self.browser.anchorClicked.connect(self._follow)
        theme.notifier().changed.connect(self._repaint)

    def show_target(self, target: str) -> None:
        """Show the lesson with this name; "" keeps the displayed document."""
        if target in self._lessons:
            self._open(target)

    # --- Showing ----------------------------------------------------------------------------------------------

    def _show(self, name: str) -> None:
        """Show the document with this name from its beginning."""
        self._name = name
        self._render()
        self.browser.verticalScrollBar().setValue(0)
        self.back.setEnabled(bool(self._visited))
        self.index.show_page(name)

    def _render(self) -> None:
        """Render the document again, in the colours of the theme."""
        shown = document(self._name)
        markdown.show(shown, self.browser)
        self.index.show_headings(shown.headings)
        self.find_bar.mark()

    @Slot()
    def _repaint(self) -> None:
        place = self.browser.verticalScrollBar().value()
        self._render()
        self.browser.verticalScrollBar().setValue(place)

    # --- What the user does -----------------------------------------------------------------------------------

    @Slot(str)
    def _open(self, name: str) -> None:
        """Show a lesson or a source file, unless it is displayed already."""
        if name != self._name:
            if self._name:
                self._visited.append((self._name, self.browser.verticalScrollBar().value()))
            self._show(name)

    @Slot(QUrl)
    def _follow(self, url: QUrl) -> None:
        """Follow a link: to a place on this page, to another page, to a source file, or to the web."""
        target = url.toString()
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif target.startswith(SOURCE):
            self._open(target)
        else:
            name = url.path().removesuffix(".md") or self._name
            if name in self._lessons or name == self._name:
                self._open(name)
                if url.fragment():
                    self.browser.scrollToAnchor(url.fragment())

    @Slot()
    def _go_back(self) -> None:
        if self._visited:
            name, place = self._visited.pop()
            self._show(name)
            self.browser.verticalScrollBar().setValue(place)
