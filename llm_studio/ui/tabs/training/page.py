"""The tab Training: start, watch, stop and resume runs; curves, the table of runs, and samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.export import TAB as EXPORT_TAB
from llm_studio.ui.tabs.inside import TAB as INSIDE_TAB
from llm_studio.ui.tabs.inside import MomentTarget
from llm_studio.ui.tabs.training import state, tasks
from llm_studio.ui.tabs.training.curves_controller import CurvesController
from llm_studio.ui.tabs.training.forecast_controller import ForecastController
from llm_studio.ui.tabs.training.head import RunButtons, subtitle
from llm_studio.ui.tabs.training.plan import PlanCard
from llm_studio.ui.tabs.training.ready_card import MORE_MINUTES, Ready, ReadyCard
from llm_studio.ui.tabs.training.ready_controller import ReadyController
from llm_studio.ui.tabs.training.resume_card import ResumeCard
from llm_studio.ui.tabs.training.run_controller import RunController
from llm_studio.ui.tabs.training.run_view import RunView
from llm_studio.ui.tabs.training.samples_controller import SamplesController

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.run_health import Finding


class TrainingPage(Page):
    """Connects its parts with five controllers: of runs, curves, the forecast, samples and the end of a run."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Training"), "", parent)
        self.run = RunController(self.context)
        self.curves = CurvesController(self.context, self.run)
        self.forecast = ForecastController(self.context)
        self.favourites = SamplesController(self.context)
        self.end = ReadyController(self.context, self.run)
        self.buttons = RunButtons(self, self.head_buttons)
        self.offer = ResumeCard(self)
        self.ready = ReadyCard(self)
        self.plan = PlanCard(self)
        self.view = RunView(self)
        self.body.addWidget(self.offer)
        self.body.addWidget(self.ready)
        self.body.addWidget(self.plan)
        self.first = (self.view.runs.table, self.view.card.controls.smoothing)
        self.body.addWidget(self.view, 1)
        self._connect_controllers()
        self._connect_parts()

    def _connect_controllers(self) -> None:
        self.run.changed.connect(self._show_state)
        self.run.event_reported.connect(self.view.add_event)
        self.curves.curves_changed.connect(self._show_curves)
        self.curves.main_changed.connect(self._show_state)
        self.curves.overlays_changed.connect(self._show_overlays)
        self.curves.baselines_changed.connect(self._show_baselines)
        self.curves.logs_read.connect(self.view.card.make_plot)
        self.curves.log_grew.connect(self.view.log.add_past)
        self.forecast.changed.connect(self._show_plan)
        self.favourites.favourites_changed.connect(self.view.samples.show_favourites)
        self.end.changed.connect(self._show_state)
        self.context.listen(tasks.EXPORT, succeeded=self._on_exported)

    def _connect_parts(self) -> None:
        buttons, runs, samples = self.buttons, self.view.runs, self.view.samples
        buttons.save_requested.connect(self.run.save)
        buttons.pause_requested.connect(self.run.pause)
        buttons.stop_requested.connect(self._on_stop)
        buttons.keep_training_requested.connect(self._on_keep_training)
        buttons.start_requested.connect(self._on_start)
        buttons.plan_requested.connect(self.context.preparation_requested)
        self.offer.accepted.connect(self._on_offer_accepted)
        self.offer.restart_requested.connect(self._on_start)
        self.offer.by_hand_requested.connect(self._on_by_hand)
        self.ready.write_requested.connect(self._on_write)
        self.ready.more_requested.connect(self._on_more)
        self.ready.export_requested.connect(self._on_export_model)
        self.ready.closed.connect(self.end.close)
        self.plan.measure_requested.connect(self.forecast.measure)
        self.plan.fit_requested.connect(self.forecast.find_fit)
        self.plan.drop_requested.connect(self.forecast.drop_fit)
        self.view.doctor.chosen.connect(self._on_finding_chosen)
        self.view.card.export_requested.connect(self._on_export)
        self.view.card.inside_requested.connect(self._on_inside)
        runs.overlays_changed.connect(self.curves.show_overlays)
        runs.main_requested.connect(self._on_main_requested)
        runs.resume_requested.connect(self.run.resume)
        runs.keep_training_requested.connect(self.run.keep_training)
        runs.rename_requested.connect(self.run.rename)
        runs.delete_requested.connect(self.run.delete)
        samples.favourite_changed.connect(self.favourites.change)
        samples.chat_requested.connect(self.favourites.chat)

    # --- Showing ----------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget everything about the previous project."""
        self.view.runs.forget()
        super().open_project(project)
        self._show_baselines()
        self._show_state()

    def show_overview(self, overview: "Overview") -> None:
        """Runs, tokens or settings have changed."""
        self.view.card.texts = overview.tokens
        super().show_overview(overview)
        self._show_state()
        self.run.start_next()

    @Slot()
    def _show_state(self) -> None:
        """Update head, offer and table."""
        overview, running, live = self.overview, self.run.running, self.curves.live
        busy = running or self.run.stale or bool(self.run.preparing) or overview is None
        newest = state.newest(overview) if overview else None
        offer = None
        if overview is not None and not busy:
            paused = newest is not None and self.run.is_paused(newest.name)
            offer = state.offer(overview, paused)
        self.offer.show_offer(offer)
        ended = self.end.run if overview is not None and not busy and offer is None else None
        baselines = self.curves.baselines
        self.ready.show_ready(Ready(ended, self.end.quality, self.end.progress, baselines) if ended else None)
        idle = not running and not self.run.preparing
        self.plan.setVisible(offer is None and ended is None and idle and overview is not None)
        self.buttons.show_state(
            self.run, live, newest, not busy, offer is not None, ended is None, self.forecast.too_long
        )
        shown = self.curves.current
        line = subtitle(self.run, overview, live, shown.max_steps if shown and shown.run == live else None)
        if line is not None:
            self.subtitle.setText(line)
        if overview is not None:
            blocked = state.blocked(overview) is not None and overview.steps.tokens.value == "to do"
            self.view.runs.show_runs(overview, self.curves.main, live if running else "", busy or blocked)
        self.view.show_state(overview, running, live, self.run.stale)

    @Slot()
    def _show_plan(self) -> None:
        forecast = self.forecast
        self.plan.show_plan(forecast.forecast, forecast.fit, forecast.activity, too_long=forecast.too_long)
        self._show_state()

    @Slot()
    def _show_curves(self) -> None:
        self.view.show_curves(self.curves.current)
        self._show_overlays()

    @Slot()
    def _show_overlays(self) -> None:
        self.view.show_overlays(self.curves.overlays)

    @Slot()
    def _show_baselines(self) -> None:
        self.view.card.show_baselines(self.curves.baselines)
        self.view.drawing.wake()
        self._show_state()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Follow external runs again from now on."""
        super().showEvent(event)
        self.curves.set_visible(True)
        self.end.set_visible(True)
        if not self.plan.isHidden():
            self.forecast.refresh()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Stop following external runs."""
        super().hideEvent(event)
        self.curves.set_visible(False)
        self.end.set_visible(False)

    # --- What the user does -----------------------------------------------------------------------------------

    def _on_start(self) -> None:
        self.run.start(self.forecast.changes)

    def _on_stop(self) -> None:
        self.run.stop(self.curves.live)

    def _on_keep_training(self) -> None:
        newest = state.newest(self.overview) if self.overview else None
        if newest is not None:
            self.view.runs.ask_for_more_steps(newest)

    def _on_offer_accepted(self) -> None:
        offer = self.offer.offer
        if offer is not None and offer.by_hand:
            self.context.preparation_requested.emit()
        elif offer is not None and offer.tab:
            self.context.tab_requested.emit(offer.tab)
        elif offer is not None:
            self.run.resume(offer.run)

    def _on_by_hand(self) -> None:
        if self.offer.offer is not None:
            self.context.tab_requested.emit(self.offer.offer.tab)

    def _on_write(self) -> None:
        if self.end.run is not None:
            self.favourites.chat(self.end.run.name, None)

    def _on_more(self) -> None:
        if self.end.run is not None:
            self.run.train_longer(self.end.run.name, MORE_MINUTES)

    def _on_export_model(self) -> None:
        self.context.tab_requested.emit(EXPORT_TAB.name)

    @Slot(object)
    def _on_finding_chosen(self, finding: "Finding") -> None:
        self.run.follow_advice(finding, self.curves.main, self.curves.live)

    @Slot(str)
    def _on_main_requested(self, name: str) -> None:
        self.view.runs.overlays.pop(name, None)
        self.curves.show_run(name)

    @Slot(str, int)
    def _on_inside(self, run: str, step: int) -> None:
        self.context.target_requested.emit(INSIDE_TAB.name, MomentTarget(run, step))

    @Slot(str, str)
    def _on_export(self, kind: str, path: str) -> None:
        card = self.view.card
        if kind == "csv" and card.curves is not None:
            self.context.request(tasks.export(card.curves, Path(path)))
        elif card.save_picture(path):
            self._on_exported(Path(path))
        else:
            text = _("The picture could not be written to {path}.").format(path=path)
            self.context.toast_requested.emit(Toast(text))

    def _on_exported(self, path: Path) -> None:
        self.context.toast_requested.emit(Toast(_("Saved: {path}").format(path=path)))
