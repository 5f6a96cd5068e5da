"""The table of contents of the tab Understand."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import Card, label

_WIDTH, _HEADING_WIDTH = 224, 160
"""Width of the card, and of a heading in it without padding and scroll bar, in pixels."""


class IndexCard(Card):
    """The lessons, and below them the headings of the displayed document."""

    page_chosen = Signal(str)
    """The name of a lesson."""
    heading_chosen = Signal(str)
    """The anchor of a heading."""

    def __init__(self, parent: QWidget, lessons: Mapping[str, str]) -> None:
        super().__init__(parent, _("Pages"))
        self.setFixedWidth(_WIDTH)
        self._names = list(lessons)
        self.pages = QListWidget(self)
        self.pages.setAccessibleName(_("Pages"))
        for name, title in lessons.items():
            item = QListWidgetItem(_(title), self.pages)
            item.setData(Qt.ItemDataRole.UserRole, name)
        self.pages.setFixedHeight(self.pages.sizeHintForRow(0) * len(lessons) + 8)
        self.pages.currentItemChanged.connect(self._on_page_chosen)
        self.headings = QListWidget(self)
        self.headings.setAccessibleName(_("On this page"))
        self.headings.setWordWrap(True)
        self.headings.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.headings.setMinimumHeight(90)
        self.headings.itemClicked.connect(self._on_heading_chosen)
        self.headings.itemActivated.connect(self._on_heading_chosen)
        for part in (self.pages, self.headings):
            part.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.content.addWidget(self.pages)
        self.content.addSpacing(6)
        self.content.addWidget(label(_("On this page"), self, "caption"))
        self.content.addWidget(self.headings, 1)

    def show_page(self, name: str) -> None:
        """Select the lesson with this name without emitting a signal; none if it is a source file."""
        self.pages.blockSignals(True)
        self.pages.setCurrentRow(self._names.index(name) if name in self._names else -1)
        self.pages.blockSignals(False)

    def show_headings(self, headings: Sequence[tuple[int, str, str]]) -> None:
        """Show these headings, (level, anchor, text), without the titles."""
        self.headings.clear()
        measure = QFontMetrics(theme.font())
        for level, anchor, text in headings:
            if level > 1:
                item = QListWidgetItem(text, self.headings)
                item.setData(Qt.ItemDataRole.UserRole, anchor)
                # Qt ignores the padding of the stylesheet when it checks whether a text needs a second line
                room, wrap = QRect(0, 0, _HEADING_WIDTH, 1000), Qt.TextFlag.TextWordWrap
                height = measure.boundingRect(room, wrap, text).height()
                item.setSizeHint(QSize(_HEADING_WIDTH, height + 13))

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_page_chosen(self, item: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        if item is not None:
            self.page_chosen.emit(item.data(Qt.ItemDataRole.UserRole))

    @Slot(QListWidgetItem)
    def _on_heading_chosen(self, item: QListWidgetItem) -> None:
        self.heading_chosen.emit(item.data(Qt.ItemDataRole.UserRole))
