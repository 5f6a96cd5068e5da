"""The displayed curves and their sources: logs read in the background, and the run that trains."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.events import Event, RunStarted
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tabs.training.curve_store import Answer, CurveStore
from llm_studio.ui.tabs.training.external_runs import ExternalRuns
from llm_studio.ui.tabs.training.run_controller import RunController

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project, TokenFacts
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.curves import Curves, Place


class CurvesController(Controller):
    """Holds the curves of the main run, those of runs drawn over it, and the baselines."""

    curves_changed = Signal()
    """The curves of the main run have been read, have changed, or were removed."""
    main_changed = Signal()
    """The page shows another run."""
    overlays_changed = Signal()
    baselines_changed = Signal()
    logs_read = Signal()
    """Logs were read in the background, which has imported most dependencies of a plot."""
    log_grew = Signal(object)
    """Events that another program has added to the log of the main run."""

    def __init__(self, context: PageContext, runs: RunController) -> None:
        super().__init__(context)
        self.main = ""
        """The run that the page shows."""
        self.store = CurveStore()
        self.baselines: Baselines | None = None
        self._overlays: dict[str, str] = {}
        self._runs = runs
        self._external = ExternalRuns(context)
        self._counted: TokenFacts | None = None
        """The tokens for which the baselines were computed."""
        runs.started.connect(self._on_started)
        runs.event_reported.connect(self._on_event)
        runs.ended.connect(self._on_ended)
        runs.renamed.connect(self._on_renamed)
        runs.deleted.connect(self._on_deleted)
        context.listen(tasks.CURVES, succeeded=self._on_curves, failed=self._on_failed)
        context.listen(tasks.BASELINES, succeeded=self._on_baselines)

    @property
    def live(self) -> str:
        """The run that trains in this window; "" if there is none or it isn't known yet."""
        return self.store.live

    @property
    def current(self) -> "Curves | None":
        """The curves of the main run."""
        return self.store.get(self.main)

    @property
    def overlays(self) -> "list[tuple[Curves, str]]":
        """The curves drawn over those of the main run, each with its colour."""
        known = ((self.store.get(name), color) for name, color in self._overlays.items())
        return [(curves, color) for curves, color in known if curves is not None]

    # --- Calls by the page ------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget all curves."""
        self.store, self.main, self._overlays = CurveStore(), "", {}
        self.baselines, self._counted = None, None
        self.curves_changed.emit()

    def show_overview(self, overview: "Overview") -> None:
        """Runs may have been added, removed or continued; the tokens may have changed."""
        names = {run.name for run in overview.runs}
        if self.main and self.main not in names and self.main != self.live:
            self.main = ""
        running = self._runs.running
        active = () if running else self._external.follow(overview, self.live)
        for run in overview.runs:
            if run.name != self.live:
                self.store.let_follow(run.name, run.step, run.name in active)
        if overview.runs or running:
            self._read(grown=not running)
        else:
            self.curves_changed.emit()
        if not running and overview.tokens is not None and overview.tokens != self._counted:
            self._counted = overview.tokens  # not while a run needs the processor
            self.context.request(tasks.baselines(overview.project))

    def set_visible(self, visible: bool) -> None:
        """Whether the page is visible: external runs are followed only then."""
        self._external.visible = visible

    @Slot(str)
    def show_run(self, name: str) -> None:
        """Make another run the main one."""
        self.main = name
        self._overlays.pop(name, None)
        self._read()
        self.main_changed.emit()

    @Slot(dict)
    def show_overlays(self, overlays: dict[str, str]) -> None:
        """Draw these runs over the main one: colours by name."""
        self._overlays = overlays
        self._read_missing_overlays()
        self.overlays_changed.emit()

    # --- Reading ----------------------------------------------------------------------------------------------

    def _read(self, grown: bool = False) -> None:
        """Read the logs of displayed runs that aren't known yet; with `grown` also the additions to the others."""
        shown = tuple(name for name in (self.main, self.live, *self._overlays) if name)
        missing = self.store.wanted(shown, grown)
        if self.main and all(self.store.has(name) for name in shown):
            self.curves_changed.emit()
        if missing or not self.main:
            self._request(missing)

    def _read_missing_overlays(self) -> None:
        if any(not self.store.has(name) for name in self._overlays):
            self._read()

    def _request(self, places: "dict[str, Place | None]") -> None:
        main = "" if self._runs.running else self.main
        if self.project is not None and self.store.begin_reading(main, places):
            self.context.request(tasks.curves(self.project, main, places))

    def _on_curves(self, answer: Answer) -> None:
        self.logs_read.emit()
        if not self.main:
            self.main = answer.main
        self.store.take_answer(answer, self._runs.running)
        news = answer.news.get(self.main)
        if news is not None and news.end == self.store.place(self.main):
            self.log_grew.emit(news.events)
        self.curves_changed.emit()
        self._read_missing_overlays()
        self.main_changed.emit()

    def _on_failed(self, _error: BaseException) -> None:
        self.store.end_reading()

    def _on_baselines(self, found: "Baselines | None") -> None:
        self.baselines = found
        self.baselines_changed.emit()

    # --- The run that trains ----------------------------------------------------------------------------------

    @Slot()
    def _on_started(self) -> None:
        self.store.begin()
        self._request({})  # a page created during a run doesn't know its name

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        self.store.take(event)
        if isinstance(event, RunStarted):
            self.main = event.run
            self._read()
            self.curves_changed.emit()
            self.main_changed.emit()

    @Slot()
    def _on_ended(self) -> None:
        self.store.end()

    @Slot(str, str)
    def _on_renamed(self, old: str, new: str) -> None:
        self.store.rename(old, new)
        self.main = new if self.main == old else self.main

    @Slot(str)
    def _on_deleted(self, run: str) -> None:
        self.store.forget(run)
