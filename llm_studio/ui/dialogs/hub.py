"""Datasets: the catalogue, search results from the hub while the user types, and the selected dataset on the right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from llm_studio.i18n import LANGUAGE_NAMES, _, short_number, size
from llm_studio.ui.dialogs.hub_choice import MEGABYTE, DatasetChoice
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Segmented, label, row
from llm_studio.ui.widgets.table import Cell, Table

if TYPE_CHECKING:
    from llm_studio.workflows.data.download import Entry, SearchResult

_TYPING = 300
"""Milliseconds without a key press after which the hub is searched."""
_LANGUAGES_SHOWN = 4


class HubDialog(QDialog):
    """`ui/tabs/data/hub.py` handles its requests and passes the results to `show_found` and to `choice`."""

    search_requested = Signal(str)

    def __init__(self, entries: "Sequence[Entry]", parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Datasets"))
        self.resize(1000, 640)
        self._entries = entries
        self._shown: list[Entry] = []
        self._found: Sequence[SearchResult] = ()
        self._typing = QTimer(self, singleShot=True, interval=_TYPING)
        self._typing.timeout.connect(self._search)
        self.choice = DatasetChoice(self)
        self.choice.download_requested.connect(self.accept)
        self.choice.cancel.clicked.connect(self.reject)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(16, 14, 16, 14)
        inside.setSpacing(GAP)
        inside.addLayout(self._make_list(), 5)
        inside.addWidget(self.choice, 4)
        self._show_entries()
        self.words.setFocus()

    def _make_list(self) -> QVBoxLayout:
        self.words = QLineEdit(self)
        self.words.setPlaceholderText(_("Search Hugging Face: stories, wikipedia, poetry…"))
        self.words.setAccessibleName(_("Words to search for on the hub"))
        self.words.setClearButtonEnabled(True)
        self.words.textChanged.connect(self._on_words)
        self.filter = Segmented(self, {"": _("All"), **LANGUAGE_NAMES}, _("Language of the datasets"))
        self.filter.chosen.connect(self._show_entries)
        self.state = label("", self, "caption", wrap=True)
        columns = (_("Dataset"), _("Languages"), _("Size"))
        self.catalogue = Table(self, _("Recommended datasets"), columns, right=(2,))
        self.results = Table(self, _("On Hugging Face"), (*columns, _("Downloads")), right=(2, 3))
        self.lists = QStackedWidget(self)
        for table in (self.catalogue, self.results):
            self.lists.addWidget(table)
        self.catalogue.selectionModel().currentRowChanged.connect(self._on_entry)
        self.results.selectionModel().currentRowChanged.connect(self._on_found)
        made = QVBoxLayout()
        made.setSpacing(8)
        made.addWidget(self.words)
        made.addLayout(row(self.filter, self.state, None))
        made.addWidget(self.lists, 1)
        return made

    def choose_language(self, code: str) -> None:
        """Show the recommended datasets in one language; all of them if it has no button."""
        self.filter.choose(code if code in LANGUAGE_NAMES else "")
        self._show_entries()

    # --- The lists ------------------------------------------------------------------------------------------------

    @Slot(str)
    def _on_words(self, text: str) -> None:
        self._typing.stop()
        if text.strip():
            self._typing.start()
            self.state.setText(_("Contacting the hub…"))
        else:
            self.state.setText("")
        self.lists.setCurrentWidget(self.results if text.strip() else self.catalogue)
        self.filter.setVisible(not text.strip())

    @Slot()
    def _search(self) -> None:
        self.search_requested.emit(self.words.text().strip())

    @Slot()
    def _show_entries(self) -> None:
        wanted = self.filter.current()
        self._shown = [e for e in self._entries if not wanted or e.any_language or wanted in e.languages]
        self.catalogue.rows.show_rows([
            (Cell(e.name, tip=e.description), _languages(e.languages), size(e.size * MEGABYTE) if e.size else "–")
            for e in self._shown
        ])  # fmt: skip

    def show_found(self, found: "Sequence[SearchResult]") -> None:
        """Show the results of the search."""
        self._found = found
        self.state.setText("" if found else _("Nothing found. Try fewer or other words."))
        self.results.rows.show_rows([
            (Cell(f.dataset, tip=f.dataset), _languages(f.languages), size(f.size) if f.size else "–",
             short_number(f.downloads))
            for f in found
        ])  # fmt: skip

    def show_search_problem(self, text: str) -> None:
        """Show that the search has failed."""
        self.state.setText(text)
        self.results.rows.show_rows(())

    @Slot()
    def _on_entry(self) -> None:
        place = self.catalogue.chosen()
        if 0 <= place < len(self._shown):
            self.choice.choose_entry(self._shown[place])

    @Slot()
    def _on_found(self) -> None:
        place = self.results.chosen()
        if 0 <= place < len(self._found):
            self.choice.choose_found(self._found[place])

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Search at once on Enter in the search box, without a download."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.focusWidget() is self.words:
            if self.words.text().strip():
                self._typing.stop()
                self._search()
            return
        super().keyPressEvent(event)

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()


def _languages(codes: Sequence[str]) -> str:
    shown = [_("all languages") if code == "*" else code for code in codes[:_LANGUAGES_SHOWN]]
    return ", ".join(shown) + (", …" if len(codes) > _LANGUAGES_SHOWN else "")
