"""The tab Diagnostics: what this machine has, what is in the way, and what it is doing right now."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.i18n import _, number, size
from llm_studio.ui.desktop import open_log_folder
from llm_studio.ui.dialogs.problem import details
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.diagnostics.gpu_card import GpuCard
from llm_studio.ui.tabs.diagnostics.parts import FindingList, Gauge
from llm_studio.ui.tasks import Query
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import Card, button, label

if TYPE_CHECKING:
    from llm_studio.workflows.machine.diagnosis import Finding
    from llm_studio.workflows.machine.gauges import Gpu, Reading
    from llm_studio.workflows.overview import Project

_REPORT, _GAUGES, _COPY = "diagnostics/report", "diagnostics/gauges", "diagnostics/copy"
_EVERY = 1000


class DiagnosticsPage(Page):
    """Asks for the report when it is first looked at, and for the gauges each second while it is on the screen."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Diagnostics"), _("What this computer offers for training, and what limits it."), parent)
        self.findings: list[Finding] = []
        self._reading: Reading | None = None
        self._stale = True
        self._waiting = False
        self._timer = QTimer(self, interval=_EVERY)
        self._timer.timeout.connect(self._look)
        self.again = button(_("Refresh"), self, self._ask)
        self.log = button(_("Open the log's folder"), self, open_log_folder)
        tip = _("The report and the end of the log, without your name and the path of your home folder")
        self.copy = button(_("Copy everything"), self, self._copy, "primary", tip)
        for made in (self.again, self.log, self.copy):
            self.head_buttons.addWidget(made)
        columns = QHBoxLayout()
        columns.setSpacing(GAP)
        left, right = QVBoxLayout(), QVBoxLayout()
        self._card = Card(self, _("This computer"))
        self._state = label("", self._card, "muted", wrap=True)
        self._card.content.addWidget(self._state)
        self._list: QWidget | None = None
        self.gpu = GpuCard(self)
        self.gpu.leads.connect(self._give_way)
        left.addWidget(self.gpu)
        left.addWidget(self._card)
        left.addStretch(1)
        right.addWidget(self._make_gauges())
        right.addStretch(1)
        columns.addLayout(left, 3)
        columns.addLayout(right, 2)
        self.body.addLayout(columns, 1)
        self.context.listen(_REPORT, succeeded=self._show_findings, failed=self._show_problem)
        self.context.listen(_GAUGES, succeeded=self._show_reading, failed=self._stop_looking, ended=self._on_looked)
        self.context.listen(_COPY, succeeded=self._put_on_clipboard)

    def _make_gauges(self) -> Card:
        card = self._now = Card(self, _("Right now"))
        self.processor = Gauge(card, _("Processor"))
        self.memory = Gauge(card, _("Memory"))
        self.disk = Gauge(card, _("Disk of the project"))
        self._cards_of_gpus: list[tuple[Gauge, Gauge]] = []
        self._gpu_place = QVBoxLayout()
        self._gpu_place.setSpacing(8)
        card.content.addWidget(self.processor)
        card.content.addWidget(self.memory)
        card.content.addLayout(self._gpu_place)
        card.content.addWidget(self.disk)
        self._caption = label(_("Measured every second while this tab is visible."), card, "caption", wrap=True)
        card.content.addWidget(self._caption)
        return card

    # --- When to look -----------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Another project may be on another disk."""
        super().open_project(project)
        self._reading, self._stale, self._waiting = None, True, False
        if self.isVisible():
            self._ask()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Begin to look."""
        super().showEvent(event)
        self._timer.start()
        self._look()
        if self._stale:
            self._ask()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Nothing is measured that nobody sees."""
        super().hideEvent(event)
        self._timer.stop()

    def _folder(self) -> Path:
        return self.project.root if self.project else Path.home()

    # --- The report -------------------------------------------------------------------------------------------

    @Slot()
    def _ask(self) -> None:
        folder = self._folder()
        self._stale = False
        self.again.setEnabled(False)
        self.copy.setEnabled(False)
        self._state.setText(_("Examining this computer…"))
        self._state.show()
        self.gpu.look()
        self.context.request(Query(_REPORT, lambda job: _diagnose(folder), page_shows_errors=True))

    @Slot(bool)
    def _give_way(self, to_card: bool) -> None:
        """A page has one primary action."""
        set_role(self.copy, "" if to_card else "primary")

    def _show_findings(self, findings: "list[Finding]") -> None:
        self.findings = findings
        self.again.setEnabled(True)
        self.copy.setEnabled(True)
        bad = sum(not finding.ok for finding in findings)
        self._state.setText(_("Everything looks fine.") if not bad else _("A triangle marks what limits it."))
        if self._list is not None:
            self._list.hide()
            self._list.deleteLater()
        self._list = FindingList(self._card, findings)
        self._card.content.addWidget(self._list)

    def _show_problem(self, error: BaseException) -> None:
        self.again.setEnabled(True)
        self._state.setText(_("This computer could not be examined: {reason}").format(reason=error))
        self.findings = []
        self._card.setToolTip(details(error))

    @Slot()
    def _copy(self) -> None:
        findings = list(self.findings)
        self.context.request(Query(_COPY, lambda job: _as_text(findings)))

    def _put_on_clipboard(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.toast_requested.emit(
            Toast(_("The report is on the clipboard; your name and home folder are masked."))
        )

    # --- The gauges -------------------------------------------------------------------------------------------

    @Slot()
    def _look(self) -> None:
        if self._waiting:  # a slow disk: its answer first
            return
        folder, before = self._folder(), self._reading
        self._waiting = True
        self.context.request(Query(_GAUGES, lambda job: _look(folder, before), page_shows_errors=True))

    def _on_looked(self) -> None:
        self._waiting = False

    def _stop_looking(self, error: BaseException) -> None:
        self._timer.stop()
        self._caption.setText(_("The gauges can't be read: {reason}").format(reason=error))

    def _show_reading(self, reading: "Reading") -> None:
        self._reading = reading
        if reading.processor_use is not None:
            use = reading.processor_use
            self.processor.show_share(_percent(use), use, may_be_full=True)
        self.memory.show_share(_used(reading.memory_used, reading.memory_total),
                               100 * reading.memory_used / max(1, reading.memory_total))  # fmt: skip
        used = reading.disk_total - reading.disk_free
        free = _("{size} free").format(size=size(reading.disk_free))
        self.disk.name.setText(_("Disk of the project") if self.project else _("Disk of your home folder"))
        self.disk.show_share(free, 100 * used / max(1, reading.disk_total), str(self._folder()))
        if len(reading.gpus) != len(self._cards_of_gpus):
            self._make_gpu_gauges(reading.gpus)
        for gpu, (use, memory) in zip(reading.gpus, self._cards_of_gpus, strict=True):
            temperature = "" if gpu.temperature is None else _("{degrees} °C").format(degrees=gpu.temperature)
            use.show_share(_percent(gpu.use), gpu.use, temperature, may_be_full=True)
            memory.show_share(
                _used(gpu.memory_used, gpu.memory_total), 100 * gpu.memory_used / max(1, gpu.memory_total)
            )

    def _make_gpu_gauges(self, gpus: "tuple[Gpu, ...]") -> None:
        for pair in self._cards_of_gpus:
            for gauge in pair:
                self._gpu_place.removeWidget(gauge)
                gauge.hide()
                gauge.deleteLater()
        parent = self._now
        self._cards_of_gpus = [
            (Gauge(parent, gpu.name), Gauge(parent, _("Memory of the graphics card"))) for gpu in gpus
        ]
        for pair in self._cards_of_gpus:
            for gauge in pair:
                self._gpu_place.addWidget(gauge)


def _percent(value: float | None) -> str:
    return "–" if value is None else _("{n} %").format(n=number(value))


def _used(used: int, total: int) -> str:
    return _("{used} of {total}").format(used=size(used), total=size(total))


def _diagnose(folder: Path) -> "list[Finding]":
    from llm_studio.workflows.machine.diagnosis import diagnose

    return diagnose(folder)


def _look(folder: Path, before: "Reading | None") -> "Reading":
    from llm_studio.workflows.machine.gauges import look

    return look(folder, before)


def _as_text(findings: "list[Finding]") -> str:
    from llm_studio.workflows.machine.report import as_text

    return as_text(findings)
