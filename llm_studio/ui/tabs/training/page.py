"""The tab Training: start, watch, stop and resume; the curves, the runs and what the model says."""

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from llm_studio.events import CheckpointSaved, Event, Notice, RunStarted
from llm_studio.i18n import _, size
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.training import state, tasks
from llm_studio.ui.tabs.training.curve_store import Answer, CurveStore
from llm_studio.ui.tabs.training.external_runs import ExternalRuns
from llm_studio.ui.tabs.training.view import TrainingView
from llm_studio.ui.tasks import TRAINING, Task

if TYPE_CHECKING:
    from llm_studio.workflows.generation.favourites import Favourite
    from llm_studio.workflows.overview import Overview, Project, TokenFacts
    from llm_studio.workflows.training.curves import Baselines, Place

_PERIOD, _SLOWEST = 100, 500
"""Milliseconds between two drawings."""
_SHARE = 40
"""Drawing takes at most one fortieth of the time of one core."""
_FIGURES_EVERY = 3
_LOOK_EVERY = 10.0
"""Seconds between two looks at the runs while one trains."""


class TrainingPage(TrainingView):
    """Events only change arrays; a timer draws them, while the page is seen and when there is something new."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._stale = False
        self._ticks = 0
        self._looked = 0.0
        self._favourites_read = False
        self._counted: TokenFacts | None = None
        """The tokens whose baselines are known."""
        self._elsewhere = ExternalRuns(self)
        self._timer = QTimer(self, interval=_PERIOD)
        self._timer.timeout.connect(self._tick)
        self._connect()

    def _connect(self) -> None:
        self.runs.overlays_changed.connect(self._on_overlays)
        self.runs.main_asked.connect(self._show_run)
        self.context.listen(TRAINING, started=self._on_started, reported=self._on_event, ended=self._on_ended)
        self.context.listen(tasks.CURVES, succeeded=self._on_curves, failed=self._on_no_curves)
        self.context.listen(tasks.BASELINES, succeeded=self._on_baselines)
        self.context.listen(tasks.FAVOURITES, succeeded=self._on_favourites)
        self.context.listen(tasks.RENAME, succeeded=self._on_renamed)
        self.context.listen(tasks.DELETE, succeeded=self._on_deleted)
        self.context.listen(tasks.EXPORT, succeeded=self._on_exported)

    # --- Where the project stands -----------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Another project: nothing of the old one stays."""
        super().open_project(project)
        self._known = CurveStore()
        self._main, self._running, self._stopping, self._stale = "", False, False, False
        self._favourites_read, self._counted, self._next = False, None, None
        self.runs.forget()
        self.samples.show_favourites(())
        self._plan_anew(None)
        self.card.show_overlays([])
        self.card.show_baselines(None)
        self._show_main()
        self._show_state()

    @Slot(object)
    def show_overview(self, overview: "Overview") -> None:
        """Runs, tokens or settings have changed."""
        super().show_overview(overview)
        self._stale, self.card.texts = False, overview.tokens
        names = {run.name for run in overview.runs}
        if self._main and self._main not in names and self._main != self._known.live:
            self._main = ""
        going_on = self._elsewhere.going_on(overview, self._known.live) if not self._running else ()
        for run in overview.runs:
            if run.name != self._known.live:
                self._known.let_follow(run.name, run.step, run.name in going_on)
        if overview.runs or self._running:
            self._read(further=not self._running)
        else:
            self._show_main()
        self._ask_more(overview)
        self._plan_anew(overview)
        self._show_state()
        if not self._running:
            self._do_next()

    def _ask_more(self, overview: "Overview") -> None:
        """Baselines and favourites, once each; baselines not while a training needs the processor."""
        if not self._favourites_read:
            self._favourites_read = True
            self.context.request(tasks.favourites(overview.project))
        if not self._running and overview.tokens is not None and overview.tokens != self._counted:
            self._counted = overview.tokens
            self.context.request(tasks.baselines(overview.project))

    def _show_state(self) -> None:
        """Head, offer and table, as things stand."""
        here, running = self.overview, self._running
        busy = running or self._stale or here is None
        newest = state.newest(here) if here else None
        offer = None
        if here is not None and not busy:
            offer = state.blocked(here) or state.unfinished(here, self._is_paused())
        self.offer.show_offer(offer)
        self.plan.setVisible(offer is None and not running and here is not None)
        for made in (self._save, self._pause, self._stop):
            made.setVisible(running)
        self._save.setEnabled(bool(self._known.live) and not self._stopping)
        self._pause.setEnabled(not self._stopping)
        self._stop.setEnabled(not self._stopping)
        self._start.setVisible(not running and offer is None)
        self._start.setEnabled(not busy)
        self._start.setText(_("Start a new run") if newest else _("Start training"))
        self._further.setVisible(not running and offer is None and newest is not None and newest.state == "finished")
        self._further.setEnabled(not busy)
        shown = next((run for run in here.runs if run.name == self._main), None) if here else None
        self._state = _(shown.state) if shown else ""
        self._say_subtitle()
        if here is not None:
            blocks = state.blocked(here) is not None and here.steps.tokens.value == "to do"
            self.runs.show_runs(here, self._main, self._known.live if running else "", busy or blocks)
        self._wake()

    # --- Curves -----------------------------------------------------------------------------------------------

    def _read(self, further: bool = False) -> None:
        """Read in the background what is shown and not known yet; and `further` what is known, where logs grow."""
        shown = tuple(name for name in (self._main, self._known.live, *self.runs.overlays) if name)
        wanted = self._known.wanted(shown, further)
        if self._main and all(self._known.has(name) for name in shown):
            self._show_main()
        if wanted or not self._main:
            self._ask_curves(wanted)

    def _ask_curves(self, places: "dict[str, Place | None]") -> None:
        main = "" if self._running else self._main
        if self.project is not None and self._known.begin_reading(main, places):
            self.context.request(tasks.curves(self.project, main, places))

    def _on_curves(self, answer: Answer) -> None:
        self.card.make_plot()
        if not self._main:
            self._main = answer.main
        self._known.take_answer(answer, self._running)
        news = answer.news.get(self._main)
        if news is not None and news.end == self._known.place(self._main):
            self.log.add_past(news.events)
        self._show_main()
        self._show_state()

    def _on_no_curves(self, _error: BaseException) -> None:
        self._known.end_reading()

    def _show_main(self) -> None:
        """Give what is known to the parts of the page."""
        curves = self._known.get(self._main)
        if curves is not self.card.curves:
            self.card.show_curves(curves)
            self.samples.show_curves(curves)
            self.log.show_past(curves)
        self._on_overlays(self.runs.overlays)
        if curves is None:
            self.figures.show_nothing()
            self.doctor.examine(None, None, None, False)
        self._wake()

    @Slot(dict)
    def _on_overlays(self, overlays: dict[str, str]) -> None:
        if any(not self._known.has(name) for name in overlays):
            self._read()
        known = ((self._known.get(name), color) for name, color in overlays.items())
        self.card.show_overlays([(curves, color) for curves, color in known if curves is not None])
        self._wake()

    @Slot(str)
    def _show_run(self, name: str) -> None:
        self._main = name
        self.runs.overlays.pop(name, None)
        self._read()
        self._show_state()

    def _on_baselines(self, found: "Baselines | None") -> None:
        self.card.show_baselines(found)
        self._wake()

    # --- The running training ---------------------------------------------------------------------------------

    def _on_started(self, task: Task) -> None:
        self._running, self._stopping, self._looked = True, False, 0.0
        self._known.begin()
        self._ask_curves({})  # made anew in the middle of it: which run is it?
        self._show_state()

    def _on_event(self, event: Event) -> None:
        self._known.take(event)
        if isinstance(event, RunStarted | CheckpointSaved):
            self._look_again()
        if isinstance(event, RunStarted):
            self._main = event.run
            self._read()
            self._show_main()
            self._show_state()
        if isinstance(event, Notice) and event.level == "warning":
            self.context.toast_requested.emit(Toast(event.text))
        self.log.take(event)
        self._wake()

    def _look_again(self) -> None:
        """Let the table of runs follow, not more often than it is worth."""
        now = time.monotonic()
        if self.project is not None and now - self._looked > _LOOK_EVERY:
            self._looked = now
            self.context.request(tasks.overview(self.project))

    def _on_ended(self) -> None:
        self._running, self._stopping = False, False
        self._stale = True  # until the overview that follows
        self._known.end()
        self._show_state()

    @Slot()
    def _tick(self) -> None:
        """Draw what is new; sleep where nothing is."""
        window = self.window()
        if not self.isVisible() or window.isMinimized():
            self._timer.stop()
            return
        self._ticks += 1
        curves = self.card.curves
        self.card.running = self._running and curves is not None and curves.run == self._known.live
        drawn = self.card.draw()
        self.log.draw()
        if not drawn and not self._running:
            self._timer.stop()
        if curves is not None and (
            self._ticks % _FIGURES_EVERY == 0 or not self._running or self._timer.interval() > 3 * _PERIOD
        ):
            self.figures.show_curves(curves, self.card.running, self._state)
            self.samples.follow(curves)
            self.doctor.examine(curves, self.overview, self.card.baselines, self.card.running)
        if self.card.plot is not None:
            self._timer.setInterval(min(_SLOWEST, max(_PERIOD, round(1000 * _SHARE * self.card.plot.cost))))

    def _wake(self) -> None:
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Draw again from now on."""
        super().showEvent(event)
        self._wake()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Draw no more."""
        super().hideEvent(event)
        self._timer.stop()

    # --- The user's hand --------------------------------------------------------------------------------------

    def _on_renamed(self, names: tuple[str, str]) -> None:
        old, new = names
        self._known.rename(old, new)
        self._main = new if self._main == old else self._main

    def _on_deleted(self, answer: tuple[str, int]) -> None:
        run, freed = answer
        self._known.forget(run)
        self.context.toast_requested.emit(Toast(_("“{run}” deleted: {size} freed.").format(run=run, size=size(freed))))

    def _on_favourites(self, found: "tuple[Favourite, ...]") -> None:
        self.samples.show_favourites(found)
