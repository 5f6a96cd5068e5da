"""Keeps the effect of cleaning and the lengths of the documents up to date."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.ui.tabs.data.cleaning import CleaningCard
    from llm_studio.workflows.data.browsing import Cleaned, Lengths
    from llm_studio.workflows.overview import Overview, Project

LENGTHS, PLAN = "data/lengths", "data/plan"


class TextMeasures(Controller):
    """Requests both, one after the other, when texts or settings have changed. A large corpus is read only when the
    user presses the button.
    """

    known = Signal(bool)
    """The effect of cleaning is known, can't be measured, or isn't measured because the corpus is large. The argument:
    whether the user has requested the measurement.
    """

    def __init__(self, context: PageContext, card: "CleaningCard") -> None:
        super().__init__(context)
        self._card = card
        self._texts: object = ()
        self._settings: object = None
        self._lengths_of: object = None
        self._plan_of: object = None
        self._everything = False
        card.measure_requested.connect(self._on_measure)
        card.stop_requested.connect(self._on_stop)
        context.listen(LENGTHS, reported=card.take, succeeded=self._show_lengths, failed=self._failed,
                    cancelled=self._stopped, ended=self._lengths_ended)  # fmt: skip
        context.listen(PLAN, reported=card.take, succeeded=self._show_plan, failed=self._plan_failed,
                    cancelled=self._stopped, ended=card.end_measuring)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Discard the measurements of the previous project."""
        self._texts, self._settings, self._lengths_of, self._plan_of = (), None, None, None
        self._clear()

    def _clear(self) -> None:
        self._card.end_measuring()
        self._card.offer(False)
        self._card.show_lengths(None)
        self._card.show_outcome(None)

    def show_overview(self, overview: "Overview") -> None:
        """Request what depends on changed texts or settings."""
        self._texts = tuple((source.name, source.sha256) for source in overview.sources)
        self._settings = overview.settings.data if overview.settings_problem is None else None
        self._everything = False
        if not overview.sources:
            self.context.stop_requested.emit(LENGTHS)
            self.context.stop_requested.emit(PLAN)
            self._lengths_of = self._plan_of = ()
            self._clear()
        elif self._texts != self._lengths_of:
            self._request_lengths()
        else:
            self._request_plan()

    def _request_lengths(self) -> None:
        project, everything = self.project, self._everything
        if project is None:
            return

        from llm_studio.workflows.data import browsing

        self._lengths_of = self._texts
        self._card.begin_measuring()
        self.context.request(
            Query(
                LENGTHS,
                lambda job: browsing.lengths(project, job, whatever_it_takes=everything),
                page_shows_errors=True,
            )
        )

    def _request_plan(self) -> None:
        """Request the effect of cleaning, unless it is known for these texts and settings."""
        project, everything, wanted = self.project, self._everything, (self._texts, self._settings)
        if project is None or not self._texts or self._settings is None:
            return
        if wanted == self._plan_of:
            self.known.emit(everything)
            return

        from llm_studio.workflows.data import browsing

        self._plan_of = wanted
        self._card.begin_measuring()
        self.context.request(Query(PLAN, lambda job: browsing.cleaned(project, job, whatever_it_takes=everything),
                                   page_shows_errors=True))  # fmt: skip

    def _show_lengths(self, lengths: "Lengths | None") -> None:
        self._card.show_lengths(lengths)

    def _show_plan(self, cleaned: "Cleaned | None") -> None:
        self._card.show_outcome(cleaned)
        self._card.offer(cleaned is None and bool(self._texts))
        self.known.emit(self._everything)

    def _lengths_ended(self) -> None:
        self._card.end_measuring()
        self._request_plan()

    def _failed(self, error: BaseException) -> None:
        self._card.show_problem(error.what if isinstance(error, StudioError) else _("The texts can't be read."))

    def _plan_failed(self, error: BaseException) -> None:
        """Show the error. If no document would be left, the effects of the rules, measured next, show which rule is
        the cause.
        """
        self._failed(error)
        self.known.emit(self._everything)

    def _stopped(self) -> None:
        """Stopped by the user: don't start again unless requested, or something has changed."""
        self._plan_of = (self._texts, self._settings)
        self._card.offer(True)

    @Slot()
    def _on_measure(self) -> None:
        self._everything = True
        self._plan_of = None
        self._request_lengths()

    @Slot()
    def _on_stop(self) -> None:
        self.context.stop_requested.emit(LENGTHS)
        self.context.stop_requested.emit(PLAN)
