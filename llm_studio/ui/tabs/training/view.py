"""What is on the tab Training, from top to bottom, and what its head says."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from llm_studio.i18n import _, number, short_number
from llm_studio.ui.icons import put_icon
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tabs.training import state, tasks
from llm_studio.ui.tabs.training.curve_store import CurveStore
from llm_studio.ui.tabs.training.curves import CurvesCard
from llm_studio.ui.tabs.training.doctor import DoctorLine
from llm_studio.ui.tabs.training.figures import Figures
from llm_studio.ui.tabs.training.log import LogPanel
from llm_studio.ui.tabs.training.plan import TrainingPlan
from llm_studio.ui.tabs.training.resume_card import ResumeCard
from llm_studio.ui.tabs.training.runs import RunsPanel
from llm_studio.ui.tabs.training.samples import SamplesPane
from llm_studio.ui.tasks import TRAINING, Task
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import button

if TYPE_CHECKING:
    from llm_studio.workflows.training.run_health import Finding


_OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon"}


class TrainingView(TrainingPlan):
    """The parts of the page, joined where one shows what was chosen in another."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Training"), "", parent)
        self._known = CurveStore()
        self._main = ""
        """The run that the page is about."""
        self._running, self._stopping = False, False
        self._state = ""
        self._make_buttons()
        self.offer = ResumeCard(self)
        self.figures = Figures(self)
        self.card, self.samples = CurvesCard(self), SamplesPane(self)
        self.doctor = DoctorLine(self.card)
        self.runs = RunsPanel(self.card)
        self._next: Task | None = None
        """What follows when the training that runs has been stopped."""
        self.log = LogPanel(self)
        self._lay_out()
        self.offer.accepted.connect(self._on_offer)
        self.offer.start_anew.connect(self._on_start)
        self.doctor.chosen.connect(self._on_remedy)
        self.card.export_asked.connect(self._on_export)
        self.card.stepped.connect(self._on_stepped)
        self.runs.resume_asked.connect(self._resume)
        self.runs.further_asked.connect(self._train_further)
        self.runs.rename_asked.connect(self._rename)
        self.runs.delete_asked.connect(self._delete)
        self.samples.chosen.connect(self._on_sample)
        self.samples.favourite_changed.connect(self._on_favourite)
        self.samples.talk_asked.connect(self._on_talk)

    def _make_buttons(self) -> None:
        self._save = button(_("Save now"), self, self._on_save, tip=_("Write a checkpoint and continue"))
        self._pause = button(
            _("Pause"), self, self._on_pause, tip=_("Save and stop for now; “Resume” continues exactly there")
        )
        self._stop = button(
            _("Stop"),
            self,
            self._on_stop,
            "danger",
            _("Save and stop, to start another one; it can still be resumed from the table of runs"),
        )
        self._further = button(_("Keep training…"), self, self._on_further)
        self._start = button(_("Start training"), self, self._on_start, "primary")
        put_icon(self._pause, "pause-fill")
        put_icon(self._stop, "stop-fill", "bad")
        for made in (self._save, self._pause, self._stop, self._further, self._start):
            self.head_buttons.addWidget(made)

    def _lay_out(self) -> None:
        self.card.content.addWidget(self.doctor)
        self.card.content.addWidget(self.runs)
        self.samples.setMinimumWidth(236)
        self.samples.setMaximumWidth(330)
        middle = QHBoxLayout()
        middle.setSpacing(GAP)
        middle.addWidget(self.card, 8)
        middle.addWidget(self.samples, 3)
        self.body.addWidget(self.offer)
        self.body.addWidget(self.plan)
        self.body.addWidget(self.figures)
        self.body.addLayout(middle, 1)
        self.body.addWidget(self.log)

    def _say_subtitle(self) -> None:
        here = self.overview
        if self._stopping:
            self.subtitle.setText(_("Saving and stopping…"))
        elif self._running and not self._known.live:
            self.subtitle.setText(_("Getting ready…"))
        elif here is not None:
            training = here.settings.training
            tokens = training.batch_size * training.gradient_accumulation_steps * here.settings.model.max_seq_len
            plan = _("{n} parameters · {steps} steps · {tokens} tokens per batch")
            plan = plan.format(
                n=short_number(here.cost.parts.total), steps=number(training.max_steps), tokens=number(tokens)
            )
            run = next((run for run in here.runs if run.name == self._known.live), None)
            optimizer = run.settings["training"].get("optimizer", "adamw") if run else training.optimizer
            live = _("Run “{run}”").format(run=self._known.live) + f" · {_OPTIMIZERS.get(optimizer, optimizer)} · "
            self.subtitle.setText((live if self._running else "") + plan)

    def _is_paused(self) -> bool:
        from llm_studio.workflows.training import runs

        newest = state.newest(self.overview) if self.overview else None
        return newest is not None and self.project is not None and runs.offers_resume(self.project, newest)

    def _on_further(self) -> None:
        newest = state.newest(self.overview) if self.overview else None
        if newest is not None:
            self.runs.ask_further(newest)

    def _on_offer(self) -> None:
        offer = self.offer.offer
        if offer is not None and offer.tab:
            self.context.tab_requested.emit(offer.tab)
        elif offer is not None:
            self._resume(offer.run)

    @Slot(str, str)
    def _on_export(self, kind: str, path: str) -> None:
        if kind == "csv" and self.card.curves is not None:
            self.context.request(tasks.export(self.card.curves, Path(path)))
        elif self.card.save_picture(path):
            self._on_exported(Path(path))
        else:
            self.context.toast_requested.emit(Toast(_("The picture could not be written to {path}.").format(path=path)))

    def _on_exported(self, path: Path) -> None:
        self.context.toast_requested.emit(Toast(_("Saved: {path}").format(path=path)))

    @Slot(float)
    def _on_stepped(self, step: float) -> None:
        if not math.isnan(step) and self.card.plot is not None and self.card.plot.hasFocus():
            self.samples.choose_step(step)

    @Slot(int)
    def _on_sample(self, step: int) -> None:
        if self.card.plot is not None and self.card.plot.hasFocus():  # it is the plot that has chosen this sample
            return
        self.card.point(math.nan if step < 0 else float(step))

    def _on_pause(self) -> None:
        self._stopping = True
        for made in (self._save, self._pause, self._stop):
            made.setEnabled(False)
        self._say_subtitle()
        self.context.stop_requested.emit(TRAINING)

    def _on_stop(self) -> None:
        if self.project is not None and self._known.live:
            self.context.request(tasks.set_aside(self.project, self._known.live))
        self._on_pause()

    @Slot(object)
    def _on_remedy(self, finding: "Finding") -> None:
        """Do what the line under the curves offers: where a training runs, once it is stopped and saved."""
        if finding.remedy == "texts":
            self.context.tab_requested.emit("data")
        elif self.project is not None:
            if finding.remedy != "stop":
                again = finding.remedy == "anew"
                self._next = tasks.train(self.project, "" if again else self._main, finding.changes,
                                         self._main if again else None)  # fmt: skip
            if self._running:
                self._on_stop()
            else:
                self._do_next()

    def _do_next(self) -> None:
        then, self._next = self._next, None
        if then is not None:
            self.context.request(then)
