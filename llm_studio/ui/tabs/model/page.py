"""The tab Model: settings as a form and as a file, what they make, what it costs, and what to think of it."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.config.presets import presets
from llm_studio.errors import ConfigError
from llm_studio.i18n import _, short_number
from llm_studio.jobs import Job
from llm_studio.ui.tabs.model import TAB
from llm_studio.ui.tabs.model.blocks import blocks
from llm_studio.ui.tabs.model.cost import FactsColumn
from llm_studio.ui.tabs.model.drawing import ArchitectureCard
from llm_studio.ui.tabs.model.pending import PendingSettings
from llm_studio.ui.tabs.model.probe import FORECAST, PROBE, StepTime
from llm_studio.ui.tabs.model.settings_card import FILE, FORM, FilePage
from llm_studio.ui.tabs.model.writer import PRESET, SAVE, TEXT, ConfigWriter
from llm_studio.ui.tabs.training import TAB as TRAINING
from llm_studio.ui.tabs.understand import TAB as UNDERSTAND
from llm_studio.ui.tasks import SETTINGS, BackgroundJob, Query, Task
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Segmented, button
from llm_studio.workflows.model_advice import Advice, Plan
from llm_studio.workflows.projects import cost_of

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Machine, Overview, Project

_MACHINE = "model/machine"


class ModelPage(FilePage):
    """Form and file at the left, the drawing in the middle, cost and advice at the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Model"), _("A decoder-only Transformer. Each setting immediately shows its cost."), parent)
        self._machine: Machine | None = None
        self._shown = Settings()
        self._pending = PendingSettings()
        self.writer = ConfigWriter(self)
        self.step_time = StepTime(self)
        names = {name: f"{_(preset.title)} {_size_of(preset.settings)}" for name, preset in presets().items()}
        self.presets = Segmented(self, names, _("Preset"))
        self.presets.choose("")
        self.head_buttons.addWidget(self.presets)
        columns = QHBoxLayout()
        columns.setSpacing(GAP)
        columns.addWidget(self._settings_card(), 38)
        self.architecture = ArchitectureCard(self)
        columns.addWidget(self.architecture, 38)
        columns.addLayout(self._facts_column(), 32)
        self.body.addLayout(columns, 1)
        self._connect()

    def _facts_column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(GAP)
        self.facts = FactsColumn(self)
        self.train_button = button(_("Train this model →"), self, self._train, "primary")
        column.addWidget(self.facts, 1)
        column.addWidget(self.train_button)
        return column

    def _connect(self) -> None:
        self.presets.chosen.connect(self._apply_preset)
        self.views.chosen.connect(self._choose_view)
        self.form.previewed.connect(self._preview)
        self.form.changed.connect(self._change)
        self.form.marked.connect(self._show_standing)
        self.file.checked.connect(self._preview)
        self.file.saved_changed.connect(self._show_standing)
        self.architecture.more.clicked.connect(self._read_more)
        self.facts.cost.measure_pressed.connect(self.step_time.begin)
        self.facts.advice.taken.connect(self._take_advice)
        time, writer = self.step_time, self.writer
        self.file.save_requested.connect(writer.save)
        writer.free.connect(self.file.save)
        writer.task_requested.connect(self.context.task_requested)
        writer.toast_requested.connect(self.context.toast_requested)
        time.task_requested.connect(self.context.task_requested)
        time.stop_requested.connect(self.context.stop_requested)
        time.changed.connect(self._show_plan)
        self.context.listen(TEXT, succeeded=self.file.show_file, failed=self._text_failed)
        self.context.listen(SAVE, succeeded=self.file.saved, ended=writer.save_ended)
        self.context.listen(PRESET, succeeded=writer.preset_applied)
        self.context.listen(_MACHINE, succeeded=self._machine_known)
        self.context.listen(SETTINGS, started=self._settings_started, ended=self._pending.end_write)
        self.context.listen(FORECAST, succeeded=time.estimated, failed=time.failed)
        self.context.listen(PROBE, succeeded=time.measured, failed=time.failed, ended=time.ended)
        self.context.listeners.listen_to_all(started=self._task_started, ended=time.job_ended)

    # --- What the window tells --------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget the old project."""
        super().open_project(project)
        self._pending.forget()
        self.writer.open_project(project)
        self.form.forget()
        self.file.forget()
        self.step_time.forget()
        self.views.choose(FORM)
        self.stack.setCurrentWidget(self.form)

    def leave_project(self) -> None:
        """Take what was written."""
        if self.project is not None:
            self.form.take()
            self.file.save()

    @Slot(object)
    def show_overview(self, overview: "Overview") -> None:
        """Show the project's settings; what the user is writing stays."""
        super().show_overview(overview)
        self.writer.read(overview.project)
        if overview.settings_problem is not None:
            self.show_file_view()
            self.form.forget()
        settings = self._pending.applied_to(overview.settings)
        known = overview.tokenizer.vocab_size if overview.tokenizer else 0
        self.form.show_settings(settings, known)
        broken = overview.settings_problem is not None  # then its settings are only the defaults
        if not self.form.has_wrong and not self.file.is_changed and not broken:
            self._preview(settings)
        else:
            self._preview(self._shown)
        self._show_standing()

    def _task_started(self, task: Task) -> None:
        if isinstance(task, BackgroundJob):  # it stops a measurement
            self.step_time.job_started(task.key)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Look how much memory there is."""
        super().showEvent(event)
        self.context.request(Query(_MACHINE, _look_at_machine, page_shows_errors=True))
        self.step_time.show_page(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Take what was written."""
        super().hideEvent(event)
        self.step_time.show_page(False)
        self.leave_project()

    def _machine_known(self, machine: "Machine") -> None:
        self._machine = machine
        self._preview(self._shown)

    # --- Showing ----------------------------------------------------------------------------------------------

    @Slot(object)
    def _preview(self, settings: Settings) -> None:
        """Show what these settings make and cost."""
        self._shown = settings
        here = self.overview
        if here is None:
            return
        plan = self._plan(here)
        facts = blocks(settings.model, plan.cost.parts, plan.cost.vocab_size)
        self.architecture.show_model(facts, settings.model.n_layers)
        usual = next((p.name for p in presets().values() if p.settings.model == settings.model), "")
        self.presets.choose(usual if here.settings_problem is None else "")
        self.step_time.plan(here, settings, plan.cost, self._machine)
        self._show_plan()

    def _plan(self, here: "Overview") -> Plan:
        same_vocabulary = self._shown.model.vocab_size == here.settings.model.vocab_size
        vocab_size = here.cost.vocab_size if same_vocabulary else self._shown.model.vocab_size
        memory = self._machine.memory if self._machine else None
        return Plan(here, self._shown, cost_of(self._shown, vocab_size), memory, self.step_time.measured_seconds)

    @Slot()
    def _show_plan(self) -> None:
        if self.overview is not None:
            has_gpu = self._machine is not None and self._machine.has_gpu
            self.facts.show_plan(self._plan(self.overview), self.step_time, has_gpu=has_gpu)

    @Slot()
    def _show_standing(self) -> None:
        """What may be pressed, as the file and what is written in it stand."""
        broken = self.overview is not None and self.overview.settings_problem is not None
        unsaved_wrong = bool(self.file.problems) and self.file.is_changed
        usable = not broken and not unsaved_wrong
        tip = "" if usable else _("config.yaml can’t be used as it is: fix the marked lines first.")
        self.views.enable(FORM, usable, tip)
        for name in presets():
            self.presets.enable(name, usable, tip)
        self.train_button.setEnabled(usable and not self.form.has_wrong)
        self.train_button.setToolTip(tip)
        self.facts.advice.setVisible(not broken)

    def _text_failed(self, error: BaseException) -> None:
        if isinstance(error, ConfigError):
            self.file.show_unreadable(error)

    # --- What the user does -----------------------------------------------------------------------------------

    @Slot(str)
    def _choose_view(self, view: str) -> None:
        if view == FILE:
            self.form.take()
            self.show_file_view()
            return
        self.file.save()
        self.stack.setCurrentWidget(self.form)

    @Slot(dict)
    def _change(self, changes: dict[str, object]) -> None:
        self._pending.add(changes)
        self.context.settings_requested.emit(changes)
        self._show_standing()

    def _settings_started(self, _task: Task) -> None:
        self._pending.begin_write()

    @Slot(str)
    def _apply_preset(self, name: str) -> None:
        self.form.forget()
        self.file.discard()
        self.writer.apply_preset(name)

    @Slot(object)
    def _take_advice(self, piece: Advice) -> None:
        if piece.changes:
            self._change(dict(piece.changes))
            settings = self._pending.applied_to(self._shown)
            self.form.show_settings(settings)
            self._preview(settings)
        elif piece.tab:
            self.context.tab_requested.emit(piece.tab)

    @Slot()
    def _read_more(self) -> None:
        self.context.target_requested.emit(UNDERSTAND.name, TAB.lesson)

    def _train(self) -> None:
        self.form.take()
        self.file.save()
        self.context.tab_requested.emit(TRAINING.name)


def _size_of(settings: Settings) -> str:
    """The size of a preset's model, roundly: 1 M."""
    millions = cost_of(settings, settings.model.vocab_size).parts.total / 1e6
    return f"{round(millions)} M" if millions >= 1 else short_number(millions * 1e6)


def _look_at_machine(job: Job) -> "Machine":
    from llm_studio.workflows.overview import machine

    return machine()
