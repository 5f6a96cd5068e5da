"""The report about this computer: what it has, and what limits training."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.workflows.machine.diagnosis import Finding
    from llm_studio.workflows.overview import Project

REPORT, TEXT, LOG = "diagnostics/report", "diagnostics/copy", "diagnostics/log"
_LOG_LINES = 300


class DiagnosisController(Controller):
    """Examines the computer when the page is first visible, again for another project, and on request."""

    started = Signal()
    examined = Signal()
    """`findings` has changed."""
    failed = Signal(object)
    """The exception that prevented the examination."""
    text_made = Signal(str)
    """The report and the end of the log, with the user's name masked."""
    log_read = Signal(object)
    """The last lines of the program's log."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.findings: list[Finding] = []
        self._visible = False
        self._stale = True
        context.listen(REPORT, succeeded=self._on_examined, failed=self._on_failed)
        context.listen(TEXT, succeeded=self.text_made.emit)
        context.listen(LOG, succeeded=self.log_read.emit)

    def open_project(self, project: "Project | None") -> None:
        """Another project may be on another disk."""
        self._stale = True
        self._examine_if_stale()

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible: otherwise nothing is examined unless requested."""
        self._visible = visible
        self._examine_if_stale()

    def _examine_if_stale(self) -> None:
        if self._visible and self._stale:
            self.examine()

    @Slot()
    def examine(self) -> None:
        """Examine this computer, with the disk of the project."""
        folder = self.project.root if self.project else Path.home()
        self._stale = False
        self.started.emit()
        self.context.request(Query(REPORT, lambda job: _diagnose(folder), page_shows_errors=True))
        self.context.request(Query(LOG, lambda job: _end_of_log()))

    @Slot()
    def make_text(self) -> None:
        """Create the report as a text to send to someone."""
        findings = list(self.findings)
        self.context.request(Query(TEXT, lambda job: _as_text(findings)))

    def _on_examined(self, findings: "list[Finding]") -> None:
        self.findings = findings
        self.examined.emit()

    def _on_failed(self, error: BaseException) -> None:
        self.findings = []
        self.failed.emit(error)


def _diagnose(folder: Path) -> "list[Finding]":
    from llm_studio.workflows.machine.diagnosis import diagnose

    return diagnose(folder)


def _as_text(findings: "list[Finding]") -> str:
    from llm_studio.workflows.machine.report import as_text

    return as_text(findings)


def _end_of_log() -> "list[str]":
    from llm_studio.workflows.machine.report import end_of_log

    return end_of_log(_LOG_LINES)
