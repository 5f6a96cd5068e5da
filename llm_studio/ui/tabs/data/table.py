"""The table of a project's sources, with the source that is being added in its first row."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from llm_studio.events import Fetched, Progress
from llm_studio.i18n import _, duration, ngettext, number, percent, short_number, size
from llm_studio.ui.tabs.data.adding_row import AddingRow
from llm_studio.ui.tabs.data.weighing import SourceWeight
from llm_studio.ui.widgets.basics import EmptyState, button
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.data.sources import BYTES, UnusableSource, state_of, title_of

if TYPE_CHECKING:
    from llm_studio.workflows.data.download import Unfinished
    from llm_studio.workflows.data.sources import Source

_REDRAW = 100
_STATE = 4
_LONGEST_NAME = 34


class SourcesTable(QWidget):
    """The table, or a placeholder if there are no sources. `chosen` has the name of the chosen source, "" for none."""

    chosen = Signal(str)
    remove_requested = Signal(str)
    stop_requested = Signal()
    folder_requested = Signal()
    stories_requested = Signal()
    resume_requested = Signal(str)
    """The user wants to resume the download of this source."""
    weight_requested = Signal(str, float)
    """The user wants the source with this name to have this weight in training: a factor on its size."""
    notes_requested = Signal(str)
    """The user wants to see the warnings that were recorded when this source was read."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._sources: Sequence[Source] = ()
        self._shown: tuple[object, ...] = ()
        self._unfinished: dict[str, Unfinished] = {}
        self._weights: Mapping[str, float] = {}
        self._current = self._next = ""
        self._adding = ""
        self._progress: Progress | None = None
        self._begun = (0.0, 0.0)
        self._stopping = False
        self._row: AddingRow | None = None
        columns = [_("Source"), _("Documents"), _("Size"), _("Share"), _("State")]
        self.table = Table(self, _("Sources of the project"), columns, right=(1, 2, 3), stretch=_STATE)
        self.table.setMinimumHeight(60)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._on_menu)
        self.table.selectionModel().currentRowChanged.connect(self._on_row)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.table, self._on_remove)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        self.remove = button(_("Remove"), self, self._on_remove, "small")
        self.remove.setAccessibleName(_("Remove the selected source"))
        self.remove.setEnabled(False)
        self.resume = button(_("Continue"), self, self._on_resume, "small")
        self.notes = button(_("Warnings…"), self, self._on_notes, "small")
        self.notes.setAccessibleName(_("Warnings while the selected source was read"))
        for made in (self.resume, self.notes):
            made.hide()
        self.weighing = SourceWeight(self)
        self.weighing.changed.connect(self._on_weight)
        self.empty = EmptyState(
            self, _("No texts yet"),
            _("A model learns from texts. Drop files or a folder anywhere on this page, or start with the "
              "built-in stories."),
            _("Add the built-in stories"),
        )  # fmt: skip
        self.empty.pressed.connect(self.stories_requested)
        self.empty.setMinimumHeight(150)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.table)
        inside.addWidget(self.empty, 1)
        inside.addStretch(0)  # keeps the table at the top if there is no preview below
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw)

    # --- Showing ------------------------------------------------------------------------------------------------

    @Slot(str)
    def choose_next(self, name: str) -> None:
        """Choose the source with this name at the next `show_sources`, if it is one of them."""
        self._next = name

    def show_sources(self, sources: "Sequence[Source]") -> None:
        """Show the sources. The chosen one stays chosen, unless `choose_next` has named another one."""
        self._sources = sources
        names = [source.name for source in sources]
        wanted, self._next = self._next, ""
        if wanted in names:
            self._current = wanted
        elif self._current not in names:
            readable = (source.name for source in sources if not isinstance(source, UnusableSource))
            self._current = next(readable, names[0] if names else "")
        self._fill()
        self.chosen.emit(self._current)

    def show_weights(self, weights: "Mapping[str, float]") -> None:
        """Show the weights of the sources, by name; 1 for those that aren't included."""
        self._weights = dict(weights)
        self._fill()

    def show_unfinished(self, found: "list[Unfinished]") -> None:
        """Show which downloads can be resumed."""
        self._unfinished = {one.name: one for one in found}
        self._fill()

    def _fill(self) -> None:
        now = (tuple(self._sources), self._adding, tuple(self._unfinished.values()), tuple(self._weights.items()))
        self.empty.setVisible(not self._sources and not self._adding)
        self.table.setVisible(not self.empty.isVisibleTo(self))
        if now != self._shown:
            self._shown = now
            parts = [self._part(source) for source in self._sources]
            total = sum(parts) or 1.0
            rows: list[list[Cell | str]] = [
                _cells(source, part / total, self._unfinished.get(source.name))
                for source, part in zip(self._sources, parts, strict=True)
            ]
            if self._adding:
                rows.insert(0, [Cell(_short(self._adding), tip=self._adding), "", "", "", ""])
            self.table.rows.show_rows(rows)
            self._put_row()
            self.table.setFixedHeight(34 + 31 * min(8, max(1, len(rows))))
        places = [place for place, source in enumerate(self._sources) if source.name == self._current]
        if places:
            self.table.selectRow(places[0] + bool(self._adding))
        self.remove.setEnabled(bool(places))
        self._show_actions()

    def _part(self, source: "Source") -> float:
        """The weighted size of a source; 0 if it can't be read."""
        unusable = isinstance(source, UnusableSource)
        return 0.0 if unusable else source.bytes * self._weights.get(source.name, 1.0)

    def _show_actions(self) -> None:
        """Show the buttons that apply to the chosen source."""
        left = self._unfinished.get(self._current)
        source = next((source for source in self._sources if source.name == self._current), None)
        self.resume.setVisible(left is not None and source is not None)
        self.resume.setEnabled(not self._adding)
        if left is not None:
            capped = left.state == "capped"
            self.resume.setText(_("More") if capped else _("Continue"))
            self.resume.setToolTip(
                _("Download the same number of documents again") if capped else _("Resume this download")
            )
        self.notes.setVisible(source is not None and bool(source.notes))
        readable = source is not None and not isinstance(source, UnusableSource)
        self.weighing.setVisible(readable and (len(self._sources) > 1 or self._current in self._weights))
        self.weighing.show_weight(self._weights.get(self._current, 1.0))

    def _put_row(self) -> None:
        """Create the progress widget in the first row again: Qt has deleted it together with the old rows."""
        self._row = None
        if self._adding:
            self._row = AddingRow(self.table)
            self._row.stop_pressed.connect(self.stop_requested)
            self.table.setIndexWidget(self.table.rows.index(0, _STATE), self._row)
            self._draw()

    # --- Adding ---------------------------------------------------------------------------------------------------

    @Slot(str)
    def begin(self, title: str) -> None:
        """Show that a job is adding sources."""
        self._adding, self._progress, self._stopping = title, None, False
        self._fill()
        self._timer.start()

    @Slot(object)
    def take(self, event: object) -> None:
        """Record the progress of the job; a timer shows it."""
        if isinstance(event, Progress):
            if self._progress is None or self._progress.task != event.task:
                self._begun = (time.monotonic(), event.done)
            self._progress = event

    @Slot()
    def show_stopping(self) -> None:
        """Show that the job has been asked to stop."""
        self._stopping = True
        self._draw()

    @Slot()
    def end(self) -> None:
        """Remove the row of the job."""
        self._timer.stop()
        self._adding = ""
        self._fill()

    @Slot()
    def _draw(self) -> None:
        if self._row is None:
            return
        event = self._progress
        share = event.done / event.total if event and event.total else None
        self._row.show_progress(share, self._figures(event) if event else _("reading…"), self._stopping)

    def _figures(self, event: Progress) -> str:
        if isinstance(event, Fetched):
            parts = [_("{n} documents").format(n=number(event.documents)), size(event.bytes)]
            parts += [_("{size}/s").format(size=size(event.speed))] if event.speed else []
            parts += [duration(event.seconds_left)] if event.seconds_left is not None else []
            return " · ".join(parts)
        in_bytes = event.unit == _(BYTES)
        shown = size if in_bytes else number
        text = f"{shown(event.done)} / {shown(event.total)}" if event.total else f"{number(event.done)} {event.unit}"
        began, before = self._begun
        seconds = time.monotonic() - began
        if seconds < 1:
            return text
        speed = (event.done - before) / seconds
        rate = _("{size}/s").format(size=size(speed)) if in_bytes else _("{n}/s").format(n=short_number(round(speed)))
        return f"{text} · {rate}"

    # --- User actions ---------------------------------------------------------------------------------------------

    def current(self) -> str:
        """The name of the chosen source."""
        return self._current

    @Slot()
    def _on_row(self) -> None:
        place = self.table.chosen() - bool(self._adding)
        if 0 <= place < len(self._sources) and self._sources[place].name != self._current:
            self._current = self._sources[place].name
            self._show_actions()
            self.chosen.emit(self._current)

    @Slot(float)
    def _on_weight(self, weight: float) -> None:
        if self._current:
            self.weight_requested.emit(self._current, weight)

    @Slot()
    def _on_resume(self) -> None:
        self.resume_requested.emit(self._current)

    @Slot()
    def _on_notes(self) -> None:
        self.notes_requested.emit(self._current)

    @Slot()
    def _on_remove(self) -> None:
        if self._current and self.remove.isEnabled():
            self.remove_requested.emit(self._current)

    @Slot(QPoint)
    def _on_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if not index.isValid() or index.row() < bool(self._adding):
            return
        self.table.selectRow(index.row())
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        remove = menu.addAction(_("Remove"))
        remove.setEnabled(self.remove.isEnabled())
        remove.triggered.connect(self._on_remove)
        for made in (self.resume, self.notes):
            if made.isVisibleTo(self):
                action = menu.addAction(made.text())
                action.setEnabled(made.isEnabled())
                action.triggered.connect(made.click)
        menu.addAction(_("Open the folder")).triggered.connect(self.folder_requested)
        menu.popup(self.table.viewport().mapToGlobal(place))


def _cells(source: "Source", share_of_all: float, left: "Unfinished | None") -> "list[Cell | str]":
    title = title_of(source)
    name = Cell(_short(title), tip=f"{title}\n{source.origin}")
    share = 100 * share_of_all
    state = Cell(_("Ready · conversations") if source.conversations else _("Ready"), "ok")
    if isinstance(source, UnusableSource):
        state = Cell(_(state_of(source)).capitalize(), "bad", f"{source.problem} {source.to_do}")
    elif left is not None and left.state != "capped":
        known = _(" of {n}").format(n=number(left.known)) if left.known else ""
        state = Cell(_("stopped; can be resumed"), "warn", _("{n} documents").format(n=number(left.documents)) + known)
    elif source.notes:
        count = len(source.notes)
        text = ngettext("Ready · {n} warning", "Ready · {n} warnings", count).format(n=number(count))
        state = Cell(text, "warn", "\n".join(source.notes))
    part = _("< 1\u00a0%") if 0 < share < 1 else percent(share_of_all)
    if isinstance(source, UnusableSource):
        known = bool(source.sha256)
        documents, stored = number(source.documents) if known else "–", size(source.bytes) if known else "–"
        return [name, documents, stored, "–", state]
    return [name, number(source.documents), size(source.bytes), part, state]


def _short(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
