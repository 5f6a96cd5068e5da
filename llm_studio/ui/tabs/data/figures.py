"""The measurements behind the cleaning dialog, the effects of the rules, and the dialog with statistics."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot

from llm_studio.errors import StudioError
from llm_studio.events import RuleMeasured
from llm_studio.i18n import _, number
from llm_studio.ui.controller import Controller
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.ui.dialogs.cleaning import CleaningDialog
    from llm_studio.ui.dialogs.statistics import StatisticsDialog
    from llm_studio.ui.page import Page
    from llm_studio.ui.tabs.data.cleaning import CleaningCard
    from llm_studio.workflows.data.cleaning import CleaningPreview
    from llm_studio.workflows.data.statistics import Share, Statistics
    from llm_studio.workflows.overview import Overview, Project

_CLEANING, _STATISTICS, _SHARES = "data/cleaning", "data/statistics", "data/shares"


class Figures(Controller):
    """Opens the two dialogs, and measures what they and the rules of the card show."""

    def __init__(self, page: "Page", card: "CleaningCard") -> None:
        super().__init__(page.context)
        self._page, self._card, self._rules = page, card, card.rules
        self._tried: object = None
        """The texts and settings for which the effects of the rules are known or being measured: see `_now`."""
        self._cleaning: CleaningDialog | None = None
        self._statistics: StatisticsDialog | None = None
        self._preview: CleaningPreview | None = None
        self.context.listen(
            _CLEANING,
            reported=self._take_rule,
            succeeded=self._cleaning_known,
            failed=self._cleaning_failed,
            cancelled=self._cleaning_stopped,
            ended=card.end_measuring,
        )
        card.stop_requested.connect(self._on_stop)
        self.context.listen(
            _STATISTICS, reported=self._take_count, succeeded=self._show_statistics, failed=self._count_failed
        )
        self.context.listen(_SHARES, succeeded=self._show_shares)

    def open_project(self, project: "Project | None") -> None:
        """Forget the effects of the rules on the previous project."""
        self._forget()

    def show_overview(self, overview: "Overview") -> None:
        """If texts or settings have changed, discard the measurements, and update an open dialog."""
        if self._tried is not None and self._tried != self._now():
            self._tried = self._preview = None
            self.context.stop_requested.emit(_CLEANING)
            if overview.sources and not _is_large(overview):
                self._rules.mark_effects_stale()
            else:
                self._rules.forget_effects()
        if self._cleaning is not None:
            self._cleaning.show_settings(overview.settings)
            self._measure_rules()

    def _forget(self) -> None:
        self._tried = self._preview = None
        self._rules.forget_effects()

    def _now(self) -> object:
        """The current texts and rules, in a form that can be compared; None if they can't be measured."""
        here = self.overview
        if here is None or not here.sources or here.settings_problem is not None:
            return None
        rules = here.settings.data.model_dump(exclude={"weights", "validation_share"})
        return tuple((source.name, source.sha256) for source in here.sources), tuple(rules.items())

    @Slot(bool)
    def measure_rules(self, requested: bool) -> None:
        """Measure the effects of the rules if the corpus is small or the user has requested it."""
        here = self.overview
        if here is not None and (requested or not _is_large(here)):
            self._measure_rules()

    # --- Cleaning -------------------------------------------------------------------------------------------------

    @Slot(str)
    def show_cleaning(self, rule: str = "") -> None:
        """Open the dialog with what each rule does, at `rule` if it isn't ""."""
        if self.project is None or self.overview is None:
            return
        from llm_studio.ui.dialogs.cleaning import CleaningDialog

        self._cleaning = dialog = CleaningDialog(self._page)
        dialog.show_settings(self.overview.settings)
        dialog.changed.connect(self.context.settings_requested)
        dialog.finished.connect(self._cleaning_closed)
        if rule:
            dialog.show_rule(rule)
        dialog.open()
        self._measure_rules()

    def _measure_rules(self) -> None:
        """Measure the effects of the rules, unless they are known or being measured."""
        project, now = self.project, self._now()
        if project is None or now is None:
            return
        if self._preview is not None and self._tried == now:
            self._show_preview(self._preview)
            return
        if self._cleaning is not None:
            self._cleaning.begin()
        if self._tried == now:
            return
        if self._cleaning is None:
            self._card.begin_measuring()
        from llm_studio.workflows.data import cleaning

        self._tried = now
        self.context.request(Query(_CLEANING, lambda job: cleaning.preview(project, None, job, cleaning.SAMPLE),
                                   page_shows_errors=True))  # fmt: skip

    @Slot()
    def _on_stop(self) -> None:
        self.context.stop_requested.emit(_CLEANING)

    @Slot()
    def _cleaning_closed(self) -> None:
        self._cleaning = None
        if self._preview is None and self.overview is not None and _is_large(self.overview):
            self.context.stop_requested.emit(_CLEANING)

    def _take_rule(self, event: object) -> None:
        self._card.take(event)
        if isinstance(event, RuleMeasured):
            self._rules.show_effect(event)
        if self._cleaning is not None:
            self._cleaning.take(event)

    def _cleaning_known(self, found: "CleaningPreview") -> None:
        self._preview = found
        self._show_preview(found)

    def _show_preview(self, found: "CleaningPreview") -> None:
        for rule in found.rules:
            self._rules.show_effect(rule)
        if self._cleaning is None:
            return
        for rule in found.rules:
            self._cleaning.take(rule)
        text = _("{kept} of {all} documents are kept.").format(
            kept=number(found.kept_documents), all=number(found.documents))  # fmt: skip
        if found.sampled_documents < found.documents:
            text += " " + _("≈: estimated from {n} documents.").format(n=number(found.sampled_documents))
        self._cleaning.end(text)

    def _cleaning_stopped(self) -> None:
        self._forget()
        if self._cleaning is not None:
            self._cleaning.end(_("Stopped."))

    def _cleaning_failed(self, error: BaseException) -> None:
        self._tried = None
        if self._cleaning is not None:
            self._cleaning.end(_reported(error))

    # --- Statistics -----------------------------------------------------------------------------------------------

    @Slot()
    def show_statistics(self) -> None:
        """Open the dialog with the statistics of the texts."""
        project = self.project
        if project is None:
            return
        from llm_studio.ui.dialogs.statistics import StatisticsDialog
        from llm_studio.workflows.data import sources, statistics

        self._statistics = dialog = StatisticsDialog(
            self._page, sources.titles(self.overview.sources if self.overview else ())
        )
        dialog.finished.connect(self._statistics_closed)
        dialog.open()
        self.context.request(Query(_SHARES, lambda job: statistics.shares(project), page_shows_errors=True))
        self.context.request(Query(_STATISTICS, lambda job: statistics.measure(project, job), page_shows_errors=True))

    @Slot()
    def _statistics_closed(self) -> None:
        self._statistics = None
        self.context.stop_requested.emit(_STATISTICS)

    def _take_count(self, event: object) -> None:
        if self._statistics is not None:
            self._statistics.take(event)

    def _show_statistics(self, found: "Statistics") -> None:
        if self._statistics is not None:
            self._statistics.show_statistics(found)

    def _count_failed(self, error: BaseException) -> None:
        if self._statistics is not None:
            self._statistics.show_problem(_reported(error))

    def _show_shares(self, shares: "list[Share]") -> None:
        if self._statistics is not None:
            self._statistics.show_shares(shares)


def _is_large(overview: "Overview") -> bool:
    """Whether the corpus is so large that trying all rules takes more than a few seconds."""
    from llm_studio.workflows.data import browsing

    return overview.characters > browsing.QUICK // 2


def _reported(error: BaseException) -> str:
    return str(error) if isinstance(error, StudioError) else _("The texts can't be read.")
