"""The tab Generation: a model of the project goes on with what the user writes, and shows how it chooses."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from llm_studio.errors import StudioError
from llm_studio.events import Event, Notice
from llm_studio.i18n import _, number
from llm_studio.ui.tabs.generation.chat_store import ChatsPage
from llm_studio.ui.tabs.generation.parts import ModelChoice, NoticeBar
from llm_studio.ui.tabs.generation.sampling import SamplingPanel, random_seed
from llm_studio.ui.tasks import SETTINGS, TRAINING, BackgroundJob, Query, Task
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import EmptyState, Segmented, row

if TYPE_CHECKING:
    from llm_studio.config import GenerationSettings
    from llm_studio.jobs import Job
    from llm_studio.workflows.generation.chats import Chat
    from llm_studio.workflows.generation.generate import RunPoints, TextGenerator
    from llm_studio.workflows.generation.next_token import NextToken
    from llm_studio.workflows.overview import Overview, Project

POINTS, LOAD, NEXT, WRITE = "generation/points", "generation/load", "generation/next", "generation/write"
_PAUSE = 150
"""Milliseconds without a further change before the next token is asked for."""


class GenerationPage(ChatsPage):
    """Loads the model that is chosen when the tab is on the screen; keeps every chat in the project."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Generation"), parent)
        self._writer: TextGenerator | None = None
        self._loaded: tuple[str, str, int] | None = None
        """What the writer was loaded for, or is being, or could not be."""
        self._undo: Chat | None = None
        """The chat before the answer that is being replaced."""
        self.choice = ModelChoice(self)
        self.choice.chosen.connect(self._on_chosen)
        self.view = Segmented(self, {"text": _("Text"), "probabilities": _("Probabilities")}, _("What is shown"))
        self.head_buttons.addWidget(self.choice)
        self.head_buttons.addWidget(self.view)
        self.notice = NoticeBar(self)
        self.notice.pressed.connect(self._load_again)
        self.body.addWidget(self.notice)
        self.empty = EmptyState(self, "", "")
        self.empty.pressed.connect(self._go_to_training)
        self.view.chosen.connect(self.talk.show_view)
        self.sampling = SamplingPanel(self)
        self._stack = QStackedWidget(self)
        content = QWidget(self._stack)
        content.setLayout(row(self.talk, self.sampling, spacing=GAP))
        self._stack.addWidget(self.empty)
        self._stack.addWidget(content)
        self.body.addWidget(self._stack, 1)
        self._next_timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._next_timer.timeout.connect(self._ask_next)
        self._connect()
        self._listen()
        self._show_points(())

    def _connect(self) -> None:
        talk = self.talk
        talk.write_asked.connect(self._write)
        talk.stop_requested.connect(self._stop)
        talk.text_changed.connect(self._next_timer.start)
        self.sampling.settings_requested.connect(self.context.settings_requested)
        self.sampling.appended.connect(talk.append_token)

    def _listen(self) -> None:
        self.context.listen(POINTS, succeeded=self._show_points)
        self.context.listen(
            LOAD, reported=self._on_load_reported, succeeded=self._on_loaded, failed=self._on_load_failed
        )
        self.context.listen(NEXT, succeeded=self._on_next, failed=self._on_next_failed)
        self.context.listen(WRITE, started=self._on_write_started, reported=self.talk.take, succeeded=self._on_written,
                    failed=self._on_write_failed, ended=self._on_write_ended)  # fmt: skip
        self.context.listen(SETTINGS, failed=self._on_settings_failed)
        self.context.listen(TRAINING, reported=self._on_training)

    # --- The project ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget model, chat and all of the project before."""
        super().open_project(project)
        self._next_timer.stop()
        self._writer, self._loaded, self._undo = None, None, None
        self.notice.hide()
        self.sampling.forget()
        self._show_points(())

    def show_overview(self, overview: "Overview") -> None:
        """Show the sampler's settings, and look which runs there are."""
        super().show_overview(overview)
        self.sampling.show_settings(overview.settings.generation)
        self._ask_points()

    def leave_project(self) -> None:
        """Send the settings that a slider has just changed."""
        self.sampling.flush()

    def take_checkpoint(self, run: str, step: int) -> None:
        """Choose the model of a run at a step, or the nearest that is kept."""
        if self.choice.choose(run, step):
            self._load()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Only who looks at this tab needs a model."""
        super().showEvent(event)
        self._load()

    @Slot()
    def _go_to_training(self) -> None:
        self.context.tab_requested.emit("training")

    # --- The model --------------------------------------------------------------------------------------------

    def _ask_points(self) -> None:
        project = self.project
        if project is not None:
            self.context.request(Query(POINTS, lambda job: _points(project)))

    def _on_training(self, event: Event) -> None:
        if event.kind == "checkpoint":
            self._ask_points()

    def _show_points(self, points: "tuple[RunPoints, ...]") -> None:
        self.choice.show_points(points)
        self._stack.setCurrentIndex(1 if points else 0)
        self.choice.setVisible(bool(points))
        self.view.setVisible(bool(points))
        if points:
            self._load()
            return
        self.subtitle.setText("")
        if self.overview is not None and self.overview.runs:
            self.empty.say(_("No checkpoint yet"),
                           _("The model can write as soon as the run has saved its first checkpoint."),
                           _("Go to Training"))  # fmt: skip
        else:
            words = _("Here a model that you have trained continues your texts.")
            self.empty.say(_("No trained model yet"), words, _("Go to Training"))

    @Slot()
    def _on_chosen(self) -> None:
        self._load()

    @Slot()
    def _load_again(self) -> None:
        self._loaded = None
        self._load()

    def _load(self) -> None:
        """Load the model that is chosen, unless it is there, or nobody looks."""
        wanted, project = self.choice.current(), self.project
        if project is None or not wanted[0] or not self.isVisible() or self.talk.is_writing or wanted == self._loaded:
            return
        run, which, step = self._loaded = wanted
        self._writer = None
        self.notice.hide()
        self.talk.set_ready(False)
        self.sampling.say_waiting(_("Loading the model…"))
        self.subtitle.setText(_("Loading {run}, step {step}…").format(run=run, step=number(step)))
        self.context.request(Query(LOAD, lambda job: _load_writer(project, job, run, which), page_shows_errors=True))

    def _on_load_reported(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notice.say(event.text)

    def _on_loaded(self, writer: "TextGenerator") -> None:
        self._writer = writer
        run, _slash, folder = writer.name.partition("/")
        which = self.choice.current()[1]
        mark = {"best": _(" (best)"), "last": _(" (last)")}.get(which, "")
        step = number(int(folder.removeprefix("step-")))
        self.subtitle.setText(_("Model {run} · step {step}{mark}").format(run=run, step=step, mark=mark))
        self.talk.asking.offer(writer.conversations)
        self.talk.set_ready(True)
        self._ask_next()

    def _on_load_failed(self, error: BaseException) -> None:
        what = str(error) if isinstance(error, StudioError) else _("The model could not be loaded: {reason}.").format(
            reason=error)  # fmt: skip
        self.notice.say(what, _("Try again"), bad=True)
        self.subtitle.setText(_("No model is loaded."))
        self.sampling.say_waiting(_("No model is loaded."))

    # --- The next token ---------------------------------------------------------------------------------------

    @Slot()
    def _ask_next(self) -> None:
        writer = self._writer
        if writer is not None and not self.talk.is_writing and self.isVisible():
            before, text, asks = self.talk.upcoming()
            self.context.request(Query(NEXT, lambda job: (writer.next_token(text, chat=asks, before=before), asks),
                                 page_shows_errors=True))  # fmt: skip

    def _on_next(self, found: "tuple[NextToken, bool]") -> None:
        self.sampling.show_next(*found)

    def _on_next_failed(self, error: BaseException) -> None:
        self.sampling.say_waiting(error.what if isinstance(error, StudioError) else str(error))

    def _on_settings_failed(self, _error: BaseException) -> None:
        self.sampling.settings_failed()

    # --- Writing ----------------------------------------------------------------------------------------------

    @Slot(object, object, bool, bool)
    def _write(self, chat: "Chat", prompt: str | None, again: bool, asks: bool) -> None:
        """Let the model write after `prompt`, or on; `again`: in place of an answer, with another seed."""
        project, writer, how = self.project, self._writer, self.sampling.how()
        if project is None or writer is None or self.talk.is_writing:
            return
        self.sampling.flush()
        if again or how.seed is None:
            how = how.model_copy(update={"seed": random_seed()})
        old = self.talk.chat
        self._undo = old if chat.id == old.id and len(chat.turns) < len(old.turns) else None
        self.talk.begin(chat, prompt)
        self.context.request(
            BackgroundJob(
                WRITE,
                lambda job: _answer(project, writer, chat, prompt, how, job, asks),
                _("Writing"),
                tab="generation",
            )
        )

    @Slot()
    def _stop(self) -> None:
        self.context.stop_requested.emit(WRITE)

    def _on_write_started(self, _task: Task) -> None:
        if not self.talk.is_writing:  # this page was made while the model writes
            self.talk.begin(self.talk.chat, "")

    def _on_written(self, chat: "Chat") -> None:
        if self.project is None:
            return
        self.talk.show_chat(chat)
        self.ask_chats()
        if self._undo is not None:
            self.tell_replaced(_("The answer was replaced."), self._undo)

    def _on_write_failed(self, _error: BaseException) -> None:
        self.talk.take_back()

    def _on_write_ended(self) -> None:
        self._undo = None
        self.talk.end()
        self._load()  # there may be a newer best one
        self._ask_next()


def _points(project: "Project") -> object:
    from llm_studio.workflows.generation.generate import points

    return points(project)


def _load_writer(project: "Project", job: "Job", run: str, which: str) -> object:
    from llm_studio.workflows.generation.generate import load_generator

    return load_generator(project, job, run, which)


def _answer(
    project: "Project", writer: "TextGenerator", chat: "Chat", prompt: str | None, how: "GenerationSettings",
    job: "Job", asks: bool,
) -> object:  # fmt: skip
    from llm_studio.workflows.generation.generate import answer

    return answer(project, writer, chat, prompt, how, job, asks)
