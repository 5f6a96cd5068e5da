"""The page of the tab Diagnostics: what this computer has, what limits it, and its current load."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.diagnostics.diagnosis_controller import DiagnosisController
from llm_studio.ui.tabs.diagnostics.gauges_card import GaugesCard
from llm_studio.ui.tabs.diagnostics.gpu_card import GpuCard
from llm_studio.ui.tabs.diagnostics.log_card import LogCard
from llm_studio.ui.tabs.diagnostics.readings_controller import ReadingsController
from llm_studio.ui.tabs.diagnostics.report_card import ReportCard
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import button

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gauges import Reading


class DiagnosticsPage(Page):
    """The graphics card and the report on the left, the gauges on the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Diagnostics"), _("What this computer offers for training, and what limits it."), parent)
        self.diagnosis = DiagnosisController(self.context)
        self.readings = ReadingsController(self.context)
        self.again = button(_("Refresh"), self, self.diagnosis.examine)
        self.log = LogCard(self)
        tip = _("The report and the end of the log, without your name and the path of your home folder")
        self.copy = button(_("Copy everything"), self, self.diagnosis.make_text, "primary", tip)
        self.gpu = GpuCard(self)
        self.report = ReportCard(self)
        self.gauges = GaugesCard(self)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        for part in (self.again, self.copy):
            self.head_buttons.addWidget(part)
        left, right = QVBoxLayout(), QVBoxLayout()
        left.addWidget(self.gpu)
        left.addWidget(self.report)
        left.addStretch(1)
        right.addWidget(self.gauges)
        right.addWidget(self.log, 1)
        columns = QHBoxLayout()
        columns.setSpacing(GAP)
        columns.addLayout(left, 3)
        columns.addLayout(right, 2)
        self.body.addLayout(columns, 1)

    def _connect(self) -> None:
        self.diagnosis.started.connect(self._on_started)
        self.diagnosis.examined.connect(self._show_findings)
        self.diagnosis.failed.connect(self._show_problem)
        self.diagnosis.log_read.connect(self.log.show_lines)
        self.diagnosis.text_made.connect(self._put_on_clipboard)
        self.readings.changed.connect(self._show_reading)
        self.readings.failed.connect(self.gauges.show_problem)
        self.gpu.leads.connect(self._give_way)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Start reading the gauges, and examine the computer if that wasn't done yet."""
        super().showEvent(event)
        self.readings.set_visible(True)
        self.diagnosis.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Stop measuring while the page is hidden."""
        super().hideEvent(event)
        self.readings.set_visible(False)
        self.diagnosis.set_visible(False)

    @Slot()
    def _on_started(self) -> None:
        self.again.setEnabled(False)
        self.copy.setEnabled(False)
        self.report.begin()
        self.gpu.look()

    @Slot()
    def _show_findings(self) -> None:
        self.again.setEnabled(True)
        self.copy.setEnabled(True)
        self.report.show_findings(self.diagnosis.findings)

    @Slot(object)
    def _show_problem(self, error: BaseException) -> None:
        self.again.setEnabled(True)
        self.report.show_problem(error)

    @Slot(object)
    def _show_reading(self, reading: "Reading") -> None:
        self.gauges.show_reading(reading, self.project.root if self.project else None)

    @Slot(bool)
    def _give_way(self, to_card: bool) -> None:
        """Ensure that the page has only one primary action."""
        set_role(self.copy, "" if to_card else "primary")

    @Slot(str)
    def _put_on_clipboard(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.toast_requested.emit(
            Toast(_("The report is on the clipboard; your name and home folder are masked."))
        )
