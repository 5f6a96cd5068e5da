"""The page of the tab Model: settings as a form and as a file, the resulting model and its cost, and advice."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.config.presets import presets
from llm_studio.i18n import _, short_number
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.model import TAB
from llm_studio.ui.tabs.model.blocks import blocks
from llm_studio.ui.tabs.model.config_controller import ConfigController
from llm_studio.ui.tabs.model.cost import FactsColumn
from llm_studio.ui.tabs.model.drawing import ArchitectureCard
from llm_studio.ui.tabs.model.plan_controller import PlanController
from llm_studio.ui.tabs.model.probe import StepTime
from llm_studio.ui.tabs.model.settings_card import SettingsCard
from llm_studio.ui.tabs.training import TAB as TRAINING
from llm_studio.ui.tabs.understand import TAB as UNDERSTAND
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Segmented, button
from llm_studio.workflows.model_advice import Advice, Plan
from llm_studio.workflows.projects import cost_of

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


class ModelPage(Page):
    """Form and file on the left, the drawing in the middle, cost and advice on the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Model"), _("A decoder-only Transformer. Each setting immediately shows its cost."), parent)
        self.config = ConfigController(self.context)
        self.step_time = StepTime(self.context)
        self.plan = PlanController(self.context, self.step_time)
        names = {name: f"{_(preset.title)} {_size_of(preset.settings)}" for name, preset in presets().items()}
        self.presets = Segmented(self, names, _("Preset"))
        self.presets.choose("")
        self.settings = SettingsCard(self)
        self.form, self.file = self.settings.form, self.settings.file
        self.architecture = ArchitectureCard(self)
        self.facts = FactsColumn(self)
        self.train_button = button(_("Train this model →"), self, self._train, "primary")
        self.first = (self.form.fields["model.d_model"].editor,)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.head_buttons.addWidget(self.presets)
        right = QVBoxLayout()
        right.setSpacing(GAP)
        right.addWidget(self.facts, 1)
        right.addWidget(self.train_button)
        columns = QHBoxLayout()
        columns.setSpacing(GAP)
        columns.addWidget(self.settings, 38)
        columns.addWidget(self.architecture, 38)
        columns.addLayout(right, 32)
        self.body.addLayout(columns, 1)

    def _connect(self) -> None:
        form, file, config = self.form, self.file, self.config
        self.presets.chosen.connect(self._apply_preset)
        form.previewed.connect(self.plan.preview)
        form.changed.connect(config.change)
        form.changed.connect(self._show_usable)
        form.marked.connect(self._show_usable)
        form.unfolded.connect(self._remember_fold)
        file.checked.connect(self.plan.preview)
        file.saved_changed.connect(self._show_usable)
        file.save_requested.connect(config.save)
        config.free.connect(file.save)
        config.text_read.connect(file.show_file)
        config.unreadable.connect(file.show_unreadable)
        config.saved.connect(file.saved)
        self.plan.previewed.connect(self._show_model)
        self.step_time.changed.connect(self._show_time)
        self.architecture.more.clicked.connect(self._read_more)
        self.facts.cost.measure_pressed.connect(self.step_time.begin)
        self.facts.advice.taken.connect(self._take_advice)

    # --- The project ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget the old project."""
        super().open_project(project)
        self.settings.forget()
        self.form.more.set_open(self.context.preferences.more_settings)

    def leave_project(self) -> None:
        """Use pending input."""
        super().leave_project()
        self._take()

    def _take(self) -> None:
        if self.project is not None:
            self.settings.take()

    def unsaved(self) -> str:
        """Why the edited config.yaml can't be saved."""
        return self.file.why_stuck() if self.project is not None else ""

    def discard_unsaved(self) -> None:
        """Restore the text of the file."""
        self.file.discard()

    def draft(self) -> object:
        """The unsaved text of config.yaml."""
        return self.file.draft()

    def take_draft(self, draft: "tuple[str, str | None] | None") -> None:
        """Continue with that text."""
        if draft is not None:
            self.settings.show_file()
            self.file.take_draft(*draft)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Read the available memory; steps may be measured from now on."""
        super().showEvent(event)
        self.plan.read_machine()
        self.step_time.set_visible(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Use pending input."""
        super().hideEvent(event)
        self.step_time.set_visible(False)
        self._take()

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_overview(self, overview: "Overview") -> None:
        """Show the project's settings; the user's current input is kept."""
        super().show_overview(overview)
        broken = overview.settings_problem is not None  # the settings are then only defaults
        if broken:
            self.settings.show_file()
            self.form.forget()
        settings = self.config.with_changes(overview.settings)
        self.form.show_settings(settings, overview.tokenizer.vocab_size if overview.tokenizer else 0)
        if self.form.has_wrong or self.file.is_changed or broken:
            self.plan.refresh()
        else:
            self.plan.preview(settings)
        self._show_usable()

    @Slot(object)
    def _show_model(self, plan: Plan) -> None:
        model = plan.settings.model
        self.architecture.show_model(blocks(model, plan.cost.parts, plan.cost.vocab_size), model.n_layers)
        preset = next((p.name for p in presets().values() if p.settings.model == model), "")
        self.presets.choose(preset if plan.here.settings_problem is None else "")
        self._show_facts(plan)

    @Slot()
    def _show_time(self) -> None:
        plan = self.plan.plan
        if plan is not None:
            self._show_facts(plan)

    def _show_facts(self, plan: Plan) -> None:
        time = self.step_time
        self.facts.show_plan(plan, has_gpu=self.plan.has_gpu)
        self.facts.cost.show_time(plan.settings, time.forecast, time.note, time.may_measure)

    @Slot()
    def _show_usable(self) -> None:
        """Enable the actions that are possible with the file and the input."""
        broken = self.overview is not None and self.overview.settings_problem is not None
        unsaved_wrong = bool(self.file.problems) and self.file.is_changed
        usable = not broken and not unsaved_wrong
        tip = "" if usable else _("config.yaml can’t be used as it is: fix the marked lines first.")
        self.settings.enable_form(usable, tip)
        for name in presets():
            self.presets.enable(name, usable, tip)
        self.train_button.setEnabled(usable and not self.form.has_wrong)
        self.train_button.setToolTip(tip)
        self.facts.advice.setVisible(not broken)

    # --- What the user does -----------------------------------------------------------------------------------

    @Slot(str)
    def _apply_preset(self, name: str) -> None:
        self.form.forget()
        self.file.discard()
        self.config.apply_preset(name)

    @Slot(object)
    def _take_advice(self, piece: Advice) -> None:
        if piece.changes:
            self.config.change(dict(piece.changes))
            settings = self.config.with_changes(self.plan.settings)
            self.form.show_settings(settings)
            self.plan.preview(settings)
            self._show_usable()
            self.form.reveal(next(iter(piece.changes)))
        elif piece.tab:
            self.context.tab_requested.emit(piece.tab)

    @Slot(bool)
    def _remember_fold(self, is_open: bool) -> None:
        self.context.preferences.more_settings = is_open
        self.context.preferences.save()

    @Slot()
    def _read_more(self) -> None:
        self.context.target_requested.emit(UNDERSTAND.name, TAB.lesson)

    def _train(self) -> None:
        self.settings.take()
        self.context.tab_requested.emit(TRAINING.name)


def _size_of(settings: Settings) -> str:
    """The size of a preset's model, rounded: 1 M."""
    millions = cost_of(settings, settings.model.vocab_size).parts.total / 1e6
    return f"{round(millions)}\u00a0M" if millions >= 1 else short_number(millions * 1e6)
