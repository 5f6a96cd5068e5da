"""Questions to the user before input that can't be saved would be lost."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from llm_studio.i18n import _

if TYPE_CHECKING:
    from llm_studio.ui.page import Page


class Unsaved(QObject):
    """Asks the pages, and then the user, one question at a time."""

    kept = Signal(str)
    """The user keeps the input on the page of this tab: nothing is left."""

    def __init__(self, pages: "Callable[[], Mapping[str, Page]]", window: QWidget) -> None:
        """`pages`: returns the current pages by tab name; they are created again with another language."""
        super().__init__(window)
        self._pages, self._window = pages, window
        self._question: QMessageBox | None = None
        self._discard: QPushButton | None = None
        self._page = ""
        self._then: Callable[[], object] | None = None

    def may_leave(self, then: Callable[[], object]) -> bool:
        """Whether nothing would be lost. Otherwise the user is asked, and `then` is called after "Discard"."""
        if self._question is not None:
            self._question.raise_()
            return False
        why = {name: summary for name, page in self._pages().items() if (summary := page.unsaved())}
        if not why:
            return True
        self._page, summary = next(iter(why.items()))
        self._then = then
        box = self._question = QMessageBox(self._window)
        box.setWindowTitle("LLM Studio")
        box.setText(summary)
        box.setInformativeText(_("What you have written there is not saved."))
        keep = box.addButton(_("Keep editing"), QMessageBox.ButtonRole.RejectRole)
        self._discard = box.addButton(_("Discard"), QMessageBox.ButtonRole.DestructiveRole)
        box.setEscapeButton(keep)
        box.setDefaultButton(keep)
        box.finished.connect(self._on_answer)
        box.open()
        return False

    @Slot()
    def _on_answer(self) -> None:
        box, self._question = self._question, None
        then, self._then = self._then, None
        if box is None or then is None:
            return
        discarded = box.clickedButton() is self._discard
        box.deleteLater()
        if discarded:
            self._pages()[self._page].discard_unsaved()
            then()
        else:
            self.kept.emit(self._page)
