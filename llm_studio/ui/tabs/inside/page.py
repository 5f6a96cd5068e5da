"""The page of the tab Inside: views of what happens in a model as it reads a text, at any moment of its run."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QStackedWidget, QVBoxLayout, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.generation import TAB as GENERATION
from llm_studio.ui.tabs.generation import CheckpointTarget
from llm_studio.ui.tabs.generation.parts import NoticeBar
from llm_studio.ui.tabs.inside import MomentTarget
from llm_studio.ui.tabs.inside.look_controller import LOOK, LOOK_PINNED, LookController
from llm_studio.ui.tabs.inside.moments_controller import Found, MomentsController
from llm_studio.ui.tabs.inside.questions import Answer, Question
from llm_studio.ui.tabs.inside.text_box import TextBox
from llm_studio.ui.tabs.inside.view_pane import ViewPane
from llm_studio.ui.tabs.inside.view_stack import ViewStack
from llm_studio.ui.tabs.training import TAB as TRAINING
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.timeline import Timeline, moment_name
from llm_studio.ui.widgets.basics import EmptyState

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.moments import RunMoments

_PAUSE = 250
"""Milliseconds to wait for further changes of the text before it is evaluated."""


class InsidePage(Page):
    """The moments of a run, a text, and the view of the two that is selected."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Inside"), "", parent)
        self.moments = MomentsController(self.context)
        self.look = LookController(self.context, LOOK)
        self.look_pinned = LookController(self.context, LOOK_PINNED)
        self._found: RunMoments | None = None
        self._best = 0
        self._wanted = ""
        """The run whose moments are being read because another tab requested it; "" for none."""
        self._step: int | None = None
        """The step of the selected moment; None for the best checkpoint."""
        self.runs = QComboBox(self)
        self.runs.setAccessibleName(_("Run"))
        self.runs.setToolTip(_("Run"))
        self.runs.setMinimumWidth(130)
        self.head_buttons.addWidget(self.runs)
        self.notice = NoticeBar(self)
        self.body.addWidget(self.notice)
        self._stack = QStackedWidget(self)
        self.empty = EmptyState(self, "", "")
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._make_content())
        self.body.addWidget(self._stack, 1)
        self.first = (self.box.editor,)
        self._text_timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._text_timer.timeout.connect(self._update_views)
        self._connect()
        self._show_nothing()

    def _make_content(self) -> QWidget:
        content = QWidget(self._stack)
        inside = QVBoxLayout(content)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        self.timeline = Timeline(content)
        self.box = TextBox(content)
        self.views = ViewStack(content)
        inside.addWidget(self.timeline)
        inside.addWidget(self.box)
        inside.addWidget(self.views, 1)
        return content

    def _connect(self) -> None:
        self.moments.found.connect(self._show_found)
        self.moments.pinned_changed.connect(self._show_pinned)
        self.look.answered.connect(self._show_answer)
        self.look_pinned.answered.connect(self._show_pinned_answer)
        for look in (self.look, self.look_pinned):
            look.failed.connect(self._on_failed)
            look.progressed.connect(self.views.show_progress)
        self.runs.activated.connect(self._on_run)
        self.empty.pressed.connect(self._go_to_training)
        self.notice.pressed.connect(self._try_again)
        self.timeline.step_chosen.connect(self._on_step)
        self.timeline.talk_requested.connect(self._talk)
        self.timeline.pin_requested.connect(self.moments.pin)
        self.box.changed.connect(self._text_timer.start)
        self.views.changed.connect(self._update_views)
        self.views.not_saved.connect(self.notice.say)
        self.views.text_changed.connect(self.box.set_text)

    # --- The project --------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget everything about the previous project."""
        super().open_project(project)
        self._text_timer.stop()
        self.timeline.stop()
        self.views.forget()
        self.box.forget()
        self.notice.hide()
        self._show_nothing()

    def show_overview(self, overview: "Overview") -> None:
        """Suggest a text in the language of the project."""
        super().show_overview(overview)
        self.box.suggest(overview.settings.project.language)

    def draft(self) -> object:
        """The text, the view, the run, the step, and the run and step of the pinned moment."""
        pinned = self.moments.pinned
        beside = (pinned.pinned.run, pinned.pinned.moment.step) if pinned is not None else ("", 0)
        return self.box.text(), self.views.current(), self.runs.currentText(), self._step, beside

    def take_draft(self, draft: "tuple[str, str, str, int | None, tuple[str, int]] | None") -> None:
        """Restore what `draft` returned."""
        if draft is not None:
            text, view, run, self._step, beside = draft
            self.box.set_text(text)
            self.views.choose(view)
            if run:
                self.moments.read(run)
                self.moments.pin(*beside)

    def show_target(self, target: MomentTarget) -> None:
        """Show the moment of a run that another tab requested."""
        self.timeline.stop()
        self._step = target.step
        self._wanted = target.run
        self.moments.read(target.run)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Query the model, which isn't needed while the page is hidden."""
        super().showEvent(event)
        self._update_views()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802  Qt's
        """Stop the playback, which can't be seen any more."""
        super().hideEvent(event)
        self.timeline.stop()

    @Slot()
    def _go_to_training(self) -> None:
        self.context.tab_requested.emit(TRAINING.name)

    # --- The moments --------------------------------------------------------------------------------------------

    def _show_nothing(self) -> None:
        """Show the empty state: there is no model."""
        self._found, self._step = None, None
        self.runs.hide()
        self.subtitle.setText("")
        self._stack.setCurrentIndex(0)
        self.empty.say(_("No trained model yet"), _(
            "Here you look inside a model that you have trained: what surprises it, what its heads attend to, what "
            "each layer would predict, from its first step to the last."), _("Go to Training"))  # fmt: skip

    @Slot(object)
    def _show_found(self, found: Found) -> None:
        if found.moments is None or not found.moments.weights:
            self._show_nothing()
            return
        run = found.moments.run
        if self._found is not None and run not in (self._found.run, self._wanted):
            self._step = None
        self._wanted = ""
        self._found, self._best = found.moments, found.best
        runs = [one.run for one in found.points]
        if runs != [self.runs.itemText(n) for n in range(self.runs.count())]:
            self.runs.clear()
            self.runs.addItems(runs)
        self.runs.setCurrentText(run)
        self.runs.show()
        self._stack.setCurrentIndex(1)
        self.timeline.show_bests([(one.run, one.best) for one in found.points])
        self.timeline.show_moments(found.moments, self._step if self._step is not None else found.best)
        self._show_pinned()

    @Slot(int)
    def _on_run(self, _index: int) -> None:
        self.timeline.stop()
        self._step = None
        self.moments.read(self.runs.currentText())

    @Slot(int)
    def _on_step(self, step: int) -> None:
        self._step = step
        self._show_pinned()

    @Slot()
    def _show_pinned(self) -> None:
        """Show the views of the pinned model beside those of the first one, or remove them if none is pinned."""
        pinned = self.moments.pinned
        self.timeline.show_pinned(pinned.pinned if pinned is not None else None)
        if self._found is not None and pinned is not None:
            self.views.show_beside(moment_name(self._found.run, self._weights()),
                                   moment_name(pinned.pinned.run, pinned.weights))  # fmt: skip
        else:
            self.views.show_beside("", "")

    @Slot()
    def _talk(self) -> None:
        if self._found is not None:
            step = self._weights()
            target = CheckpointTarget(self._found.run, None if self._step is None else step)
            self.context.target_requested.emit(GENERATION.name, target)

    def _weights(self) -> int:
        """The step of the saved weights that represent the selected moment."""
        if self._found is None or self._step is None:
            return self._best
        nearest = self._found.nearest_weights(self._step)
        return self._best if nearest is None else nearest

    # --- The views ----------------------------------------------------------------------------------------------

    @Slot()
    def _update_views(self) -> None:
        """Request the content of the views if they are visible and out of date."""
        self._text_timer.stop()
        if self._found is None or not self.isVisible():
            return
        self._request_answer(self.views.main, self.look, f"{self._found.run}/{self._weights()}")
        if self.views.pinned is not None and self.moments.pinned is not None:
            self._request_answer(self.views.pinned, self.look_pinned, self.moments.pinned.checkpoint)

    def _request_answer(self, pane: ViewPane, look: LookController, checkpoint: str) -> None:
        question = pane.question(checkpoint, self.box.text())
        if question is not None:
            pane.set_waiting()
            look.ask(question)

    @Slot()
    def _try_again(self) -> None:
        self.look.forget_models()
        self.look_pinned.forget_models()
        self._update_views()

    @Slot(object)
    def _show_answer(self, answer: Answer) -> None:
        self.notice.hide()
        facts = answer.content.facts
        self.subtitle.setText(
            _("Model {name} · step {step} · {layers} layers of {heads} heads · {n} parameters").format(
                name=facts.name.split("/")[0], step=number(facts.step), layers=number(facts.n_layers),
                heads=number(facts.n_heads), n=number(facts.parameters))
        )  # fmt: skip
        self.views.show_answer(self.views.main, answer)

    @Slot(object)
    def _show_pinned_answer(self, answer: Answer) -> None:
        if self.views.pinned is not None:
            self.views.show_answer(self.views.pinned, answer)

    @Slot(object, str)
    def _on_failed(self, _question: Question | None, reason: str) -> None:
        self.views.stop_waiting()
        self.timeline.stop()
        self.notice.say(reason, _("Try again"), bad=True)
