"""The centre of the window: the page of a tab, or a placeholder while it can't be shown."""

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFrame, QScrollArea, QStackedWidget, QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.widgets.basics import EmptyState

_LOADING = "loading"


class PageStack(QStackedWidget):
    """Shows one of its pages, each of which scrolls if the window is small."""

    retry_requested = Signal()
    """The project should be read again."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._areas: dict[str, QScrollArea] = {}
        self._loading = EmptyState(self, "", "")
        self._loading.pressed.connect(self.retry_requested)
        self.place(_LOADING, self._loading)
        self.say_loading()

    def place(self, name: str, page: QWidget) -> None:
        """Add a page."""
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        self._areas[name] = area
        self.addWidget(area)

    def show_page(self, name: str) -> None:
        """Show a page, and focus it if it wasn't visible."""
        area = self._areas[name]
        if area is self.currentWidget():
            return
        page = area.widget()
        last = page.focusWidget() if page is not None else None  # before Qt chooses another
        self.setCurrentWidget(area)
        if isinstance(page, Page):
            page.take_focus(last)

    def show_loading(self) -> None:
        """Show the placeholder while nothing is known of the project: a page would claim that it is empty."""
        self.show_page(_LOADING)

    @Slot()
    def say_loading(self) -> None:
        """The project is being read."""
        self._loading.say(_("Loading the project…"), "")

    @Slot()
    def say_unreadable(self) -> None:
        """The project could not be read; the window shows the reason."""
        self._loading.say(_("This project could not be read"), _("Its files are as they were."), _("Try again"))
