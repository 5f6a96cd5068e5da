"""*Prepare and train*: a time limit, the resulting plan, and the button that starts it."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QDialog, QProgressBar, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.dialogs.prepare_parts import FewTextsCard, HandChanges, OriginChoice, PlanFigures, UnfinishedCard
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.time_choice import TimeChoice

if TYPE_CHECKING:
    from llm_studio.workflows.other_models import OtherModel
    from llm_studio.workflows.training.planner import RunPlan

_TICKS = 1000
_DELAY = 300
"""Milliseconds without a change after which a plan is requested."""


class PrepareDialog(QDialog):
    """`ui/window/preparation.py` handles its requests, and responds with the `show_...` methods."""

    plan_requested = Signal(float, dict, str)
    """Minutes, settings that override the plan, and the model to start from, "" for none."""
    start_requested = Signal(object)
    """The displayed RunPlan."""
    resume_requested = Signal(str)
    """The name of the interrupted run."""
    more_texts_requested = Signal()
    stories_requested = Signal()

    def __init__(self, minutes: float, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("Prepare and train"))
        self.setMinimumWidth(620)
        self._plan: RunPlan | None = None
        self._waiting = False
        """Whether another job must end before a plan can be made."""
        self._run: str | None = None
        """The run that can be resumed, "" for none; None while unknown."""
        self.unfinished = UnfinishedCard(self)
        self.time = TimeChoice(self, _("How long may the model train?"), minutes)
        self.origin = OriginChoice(self)
        self.figures = PlanFigures(self)
        self.fold = button("", self, self._on_fold, "link")
        self.hand = HandChanges(self)
        self.hand.hide()
        self.few = FewTextsCard(self)
        self.state = label("", self, "muted", wrap=True)
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(_("Planning"))
        room = self.progress.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # keeps the buttons in place
        self.progress.setSizePolicy(room)
        self.start = button(_("Start"), self, self._on_start, "primary")
        self.resume = button("", self, self._on_resume)
        self.resume.hide()
        self._lay_out()
        self._delay = QTimer(self, singleShot=True, interval=_DELAY)
        self._delay.timeout.connect(self._request)
        self.time.changed.connect(self.plan_again)
        self.hand.changed.connect(self.plan_again)
        self.few.more_requested.connect(self.more_texts_requested)
        self.few.stories_requested.connect(self.stories_requested)
        self.few.shorter_requested.connect(self._on_shorter)
        self.few.model_requested.connect(self.origin.open)
        self.origin.changed.connect(self._on_origin)
        self._show_fold()
        self.plan_again()

    def _lay_out(self) -> None:
        inside = self._inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 16, 20, 16)
        inside.setSpacing(GAP)
        time = Card(self)
        time.content.addWidget(self.time)
        time.content.addWidget(self.origin)
        self.figures.content.addLayout(row(self.fold, None))
        self.figures.content.addWidget(self.hand)
        foot = row(None, button(_("Cancel"), self, self.reject), self.start, self.resume)
        for part in (self.unfinished, time, self.figures, self.few):
            inside.addWidget(part)
        inside.addStretch(1)
        inside.addWidget(self.state)
        inside.addWidget(self.progress)
        inside.addLayout(foot)

    def show_unfinished(self, run: str, text: str) -> None:
        """Offer to resume this run instead of a new one, with facts about it; "" for none."""
        self._run = run
        self.unfinished.show_text(text)
        self.figures.heading.setText(_("What a new run would do") if run else _("What will be done"))
        self.start.setText(_("Start a new run") if run else _("Start"))
        self.resume.setText(_("Resume “{run}”").format(run=run))
        self.resume.setVisible(bool(run))
        main, other = (self.resume, self.start) if run else (self.start, self.resume)
        set_role(main, "primary")
        set_role(other, "")
        main.setDefault(True)
        self._allow_start()
        self._fit()

    def show_models(self, models: "tuple[OtherModel, ...]") -> None:
        """Offer to start from one of these models."""
        self.origin.show_models(models)
        self._fit()

    def show_plan(self, plan: "RunPlan", few_texts: str, *, origin: str, stories: bool) -> None:
        """Show the requested plan. `few_texts`: the note about too few texts; `origin`: that about the model it starts
        from; `stories`: whether some can be added."""
        if self._waiting or self._delay.isActive():  # already out of date
            return
        self._plan = plan
        self._show_waiting(False)
        self.figures.show_plan(plan, origin)
        self.hand.show_plan(plan)
        if plan.more_texts:
            models = self.origin.offers_models and plan.origin is None
            self.few.show_help(few_texts, self.time.shorter, stories=stories, models=models)
        self._allow_start()
        short = plan.memory > plan.free
        steps = _("Trains the tokenizer, prepares the tokens and trains the model. You can watch it.")
        if plan.origin is not None:
            steps = _("Prepares the tokens and trains the model. You can watch it.")
        self._say(_("This needs more memory than is free.") if short else steps, "bad" if short else "muted")
        self._fit()

    def show_problem(self, text: str) -> None:
        """Show why there is no plan."""
        self._say(text, "bad")
        self._show_waiting(False)
        self.hand.show_plan(self._plan)

    def show_progress(self, part: float) -> None:
        """Show the progress of the measurement for a plan, 0 to 1."""
        if self._plan is None:
            self.progress.setRange(0, _TICKS)
            self.progress.setValue(round(_TICKS * part))

    def wait(self, text: str) -> None:
        """Show which job must end before a plan can be made; `plan_again` follows."""
        self._forget(text)
        self._waiting = True
        self._delay.stop()

    @Slot()
    def plan_again(self) -> None:
        """The inputs have changed: clear outdated figures, and request a plan in a moment."""
        self._waiting = False
        self._forget(_("Planning: which model suits the texts, this computer and the time…"))
        self._delay.start()

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        self._delay.stop()
        super().done(result)
        self.deleteLater()

    def _forget(self, text: str) -> None:
        self._plan = None
        self.figures.show_plan(None)
        self.hand.show_plan(None)
        self.few.hide()
        self._allow_start()
        self._show_waiting(True)
        self._say(text, "muted")

    def _show_waiting(self, waiting: bool) -> None:
        self.progress.setRange(0, 0)  # until progress is reported
        self.progress.setVisible(waiting)

    def _allow_start(self) -> None:
        """Enable the start button for a plan that fits, once it is known whether a run can be resumed instead."""
        plan = self._plan
        self.start.setEnabled(plan is not None and plan.memory <= plan.free and self._run is not None)

    def _say(self, text: str, role: str) -> None:
        set_role(self.state, role)
        self.state.setText(text)

    def _show_fold(self) -> None:
        self.fold.setText(("▾ " if self.hand.isVisibleTo(self) else "▸ ") + _("Change by hand"))

    def _fit(self) -> None:
        """Adjust the height to the parts."""
        self._inside.activate()
        self.resize(self.width(), max(self.height(), self._inside.totalHeightForWidth(self.width())))

    @Slot()
    def _request(self) -> None:
        self.plan_requested.emit(self.time.minutes, dict(self.hand.changes), self.origin.reference)

    @Slot()
    def _on_fold(self) -> None:
        self.hand.setVisible(not self.hand.isVisibleTo(self))
        self._show_fold()
        self._fit()

    @Slot()
    def _on_origin(self) -> None:
        """Another model determines the shape: manual changes, made for the previous one, are discarded."""
        self.hand.forget()
        self.plan_again()

    @Slot()
    def _on_shorter(self) -> None:
        shorter = self.time.shorter
        if shorter is not None:
            self.time.choose(shorter)

    @Slot()
    def _on_resume(self) -> None:
        if self._run:
            run = self._run
            self.accept()
            self.resume_requested.emit(run)

    @Slot()
    def _on_start(self) -> None:
        if self._plan is not None:
            plan = self._plan
            self.accept()
            self.start_requested.emit(plan)
