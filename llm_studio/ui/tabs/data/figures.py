"""The two dialogs that look through all texts: what cleaning does, and what the texts are made of; and the weights."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot

from llm_studio.errors import StudioError
from llm_studio.i18n import _, number
from llm_studio.ui.worker import Task

if TYPE_CHECKING:
    from llm_studio.ui.dialogs.cleaning import CleaningDialog
    from llm_studio.ui.dialogs.statistics import StatisticsDialog
    from llm_studio.ui.page import Page
    from llm_studio.workflows.cleaning import Preview
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.statistics import Share, Statistics

_CLEANING, _STATISTICS, _SHARES = "data/cleaning", "data/statistics", "data/shares"


class Figures(QObject):
    """Opens the dialogs and asks, through the page, what they show."""

    def __init__(self, page: "Page") -> None:
        super().__init__(page)
        self._page = page
        self._project: Project | None = None
        self._overview: Overview | None = None
        self._cleaning: CleaningDialog | None = None
        self._statistics: StatisticsDialog | None = None
        page.listen(_CLEANING, reported=self._take_rule, succeeded=self._cleaning_known, failed=self._cleaning_failed)
        page.listen(_STATISTICS, reported=self._take_count, succeeded=self._show_statistics, failed=self._count_failed)
        page.listen(_SHARES, succeeded=self._show_shares)

    def open_project(self, project: "Project | None") -> None:
        """Forget the project before."""
        self._project, self._overview = project, None

    def show_overview(self, overview: "Overview") -> None:
        """Texts or settings may have changed: an open dialog looks anew."""
        before, self._overview = self._overview, overview
        changed = before is None or before.settings.data != overview.settings.data
        if self._cleaning is not None and changed:
            self._cleaning.show_settings(overview.settings)
            self._measure_rules()

    # --- Cleaning -------------------------------------------------------------------------------------------------

    @Slot()
    def show_cleaning(self) -> None:
        """What each rule does."""
        if self._project is None or self._overview is None:
            return
        from llm_studio.ui.dialogs.cleaning import CleaningDialog

        self._cleaning = dialog = CleaningDialog(self._page)
        dialog.show_settings(self._overview.settings)
        dialog.changed.connect(self._page.settings_asked)
        dialog.finished.connect(self._cleaning_closed)
        dialog.open()
        self._measure_rules()

    def _measure_rules(self) -> None:
        project = self._project
        if project is None or self._cleaning is None:
            return
        from llm_studio.workflows import cleaning

        self._cleaning.begin()
        self._page.asked.emit(Task(_CLEANING, lambda job: cleaning.preview(project, None, job, cleaning.SAMPLE),
                                   shows_problems=True))  # fmt: skip

    @Slot()
    def _cleaning_closed(self) -> None:
        self._cleaning = None
        self._page.stop_asked.emit(_CLEANING)

    def _take_rule(self, event: object) -> None:
        if self._cleaning is not None:
            self._cleaning.take(event)

    def _cleaning_known(self, found: "Preview") -> None:
        if self._cleaning is None:
            return
        for rule in found.rules:
            self._cleaning.take(rule)
        text = _("{kept} of {all} documents are kept.").format(
            kept=number(found.kept_documents), all=number(found.documents))  # fmt: skip
        if found.sampled_documents < found.documents:
            text += " " + _("≈: estimated from {n} documents.").format(n=number(found.sampled_documents))
        self._cleaning.end(text)

    def _cleaning_failed(self, error: BaseException) -> None:
        if self._cleaning is not None:
            self._cleaning.end(_told(error))

    # --- Statistics -----------------------------------------------------------------------------------------------

    @Slot()
    def show_statistics(self) -> None:
        """What the texts are made of."""
        project = self._project
        if project is None:
            return
        from llm_studio.ui.dialogs.statistics import StatisticsDialog
        from llm_studio.workflows import statistics

        self._statistics = dialog = StatisticsDialog(self._page)
        dialog.finished.connect(self._statistics_closed)
        dialog.open()
        self._page.asked.emit(Task(_SHARES, lambda job: statistics.shares(project), shows_problems=True))
        self._page.asked.emit(Task(_STATISTICS, lambda job: statistics.measure(project, job), shows_problems=True))

    @Slot()
    def _statistics_closed(self) -> None:
        self._statistics = None
        self._page.stop_asked.emit(_STATISTICS)

    def _take_count(self, event: object) -> None:
        if self._statistics is not None:
            self._statistics.take(event)

    def _show_statistics(self, found: "Statistics") -> None:
        if self._statistics is not None:
            self._statistics.show_statistics(found)

    def _count_failed(self, error: BaseException) -> None:
        if self._statistics is not None:
            self._statistics.show_problem(_told(error))

    def _show_shares(self, shares: "list[Share]") -> None:
        if self._statistics is not None:
            self._statistics.show_shares(shares)


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, StudioError) else _("The texts can't be read.")
