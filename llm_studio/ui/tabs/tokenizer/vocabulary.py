"""The vocabulary of a tokenizer as a searchable table, with the frequency of each token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QModelIndex, QTimer, Signal, Slot
from PySide6.QtWidgets import QHeaderView, QLineEdit, QWidget

from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.widgets.basics import Card, Segmented, label, let_shrink, row
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.tokenizer.lab import hexadecimal

if TYPE_CHECKING:
    from llm_studio.workflows.tokenizer.figures import Counts
    from llm_studio.workflows.tokenizer.lab import Lab

_PAUSE = 150
"""Milliseconds without a key press after which the table is searched."""
_ID, _TOKEN, _BYTES, _FREQUENCY = range(4)


class _Tokens(Sequence[Sequence[Cell | str]]):
    """Rows of the table, created on access."""

    def __init__(self, lab: "Lab", ids: "Sequence[int]", counts: "Counts | None") -> None:
        self._lab, self._ids, self._counts = lab, ids, counts

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: Any) -> Any:
        token = int(self._ids[index])
        data = hexadecimal(self._lab.bytes_of(token))
        often = "–" if self._counts is None else number(int(self._counts.frequencies[token]))
        return Cell(str(token), "muted"), Cell(self._lab.shown(token), fixed=True), Cell(data, "muted", data), often


class VocabularyCard(Card):
    """Every token with its id, bytes and frequency. `chosen` reports the id of the token in the selected row."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Vocabulary"))
        self._lab: Lab | None = None
        self._counts: Counts | None = None
        self._ids: Sequence[int] = ()
        self.order = Segmented(self, {"frequency": _("Frequency"), "id": _("Id")}, _("Sort by"))
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(_("Search…"))
        self.search.setAccessibleName(_("Search in the vocabulary"))
        self.search.setToolTip(_("Part of a token, an id, or bytes such as “C3 A9”"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(110)
        self.search.setMaximumWidth(180)
        self.head.addLayout(row(self.order, self.search))
        columns = [_("Id"), _("Token"), _("Bytes"), _("Frequency")]
        self.table = Table(self, _("Vocabulary"), columns, right=[_FREQUENCY], stretch=_BYTES)
        let_shrink(self.table, 150)
        head = self.table.horizontalHeader()
        for column, width in ((_ID, 70), (_TOKEN, 150), (_FREQUENCY, 100)):
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.table.setColumnWidth(column, width)
        self.said = label("", self, "caption")
        self.content.addWidget(self.table, 1)
        self.content.addWidget(self.said)
        self._timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._timer.timeout.connect(self._show)
        self.search.textChanged.connect(self._timer.start)
        self.order.chosen.connect(self._show)
        self.table.selectionModel().currentRowChanged.connect(self._on_row)

    def show_lab(self, lab: "Lab | None", counts: "Counts | None") -> None:
        """Show another vocabulary, or new frequencies."""
        if lab is None:
            self.search.clear()
        self._lab, self._counts = lab, counts
        self._show()

    def say_counting(self, done: str) -> None:
        """Show the progress of counting, or why there are no frequencies."""
        self.said.setText(done)

    def ids(self) -> list[int]:
        """The tokens in the table, from the top."""
        return [int(token) for token in self._ids]

    @Slot()
    def _show(self) -> None:
        self._timer.stop()
        lab = self._lab
        self.order.enable("frequency", self._counts is not None, "" if self._counts else _("not counted yet"))
        self.table.selectionModel().clearCurrentIndex()
        if lab is None:
            self._ids = ()
            self.table.rows.show_rows([])
            self.said.setText("")
            return
        found = lab.search(self.search.text())
        if self.order.current() == "frequency" and self._counts is not None:
            found = self._counts.sorted(found)
        self._ids = found  # pyright: ignore[reportAttributeAccessIssue]  an array serves as a sequence here
        self.table.rows.show_rows(_Tokens(lab, self._ids, self._counts))
        count = len(self._ids)
        self.said.setText(ngettext("{n} token", "{n} tokens", count).format(n=number(count)) if count
                          else _("No token contains this."))  # fmt: skip

    @Slot(QModelIndex, QModelIndex)
    def _on_row(self, here: QModelIndex, _before: QModelIndex) -> None:
        if here.isValid() and here.row() < len(self._ids):
            self.chosen.emit(int(self._ids[here.row()]))
