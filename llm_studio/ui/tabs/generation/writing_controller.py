"""The job that generates text."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.i18n import N_, _
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.generation.chats_controller import ChatsController
from llm_studio.ui.tabs.generation.model_controller import ModelController
from llm_studio.ui.tasks import BackgroundJob, Task

if TYPE_CHECKING:
    from llm_studio.config import GenerationSettings
    from llm_studio.jobs import Job
    from llm_studio.workflows.generation.chats import Chat, Turn
    from llm_studio.workflows.generation.generate import TextGenerator
    from llm_studio.workflows.overview import Project

WRITE = "generation/write"


class WritingController(Controller):
    """Lets the loaded model write; a replaced answer can be restored with a toast."""

    started = Signal()
    event_reported = Signal(object)
    written = Signal(object)
    """The Chat with the generated text."""
    failed = Signal()
    ended = Signal()

    def __init__(self, context: PageContext, model: ModelController, chats: ChatsController) -> None:
        super().__init__(context)
        self._model, self._chats = model, chats
        self._replaced: Chat | None = None
        """The chat before the answer that is being replaced."""
        context.listen(WRITE, started=self._on_started, reported=self.event_reported.emit, succeeded=self._on_written,
                       failed=self._on_failed, ended=self._on_ended)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Forget the answer that is being replaced."""
        self._replaced = None

    @property
    def is_possible(self) -> bool:
        """Whether a model is loaded."""
        return self.project is not None and self._model.generator is not None

    def write(self, chat: "Chat", turn: "Turn", sampling: "GenerationSettings", replaced: "Chat | None") -> None:
        """Let the model write in `turn`, which follows `chat`. `replaced`: the chat that a toast can restore."""
        project, generator = self.project, self._model.generator
        if project is None or generator is None:
            return
        self._replaced = replaced
        self.context.request(BackgroundJob(
            WRITE, lambda job: _answer(project, generator, chat, turn, sampling, job), N_("Writing"),
            tab="generation",
        ))  # fmt: skip

    @Slot()
    def stop(self) -> None:
        """Stop the model; its text so far is kept."""
        self.context.stop_requested.emit(WRITE)

    def _on_started(self, _task: Task) -> None:
        self.started.emit()

    def _on_written(self, chat: "Chat") -> None:
        if self.project is None:
            return
        self.written.emit(chat)
        self._chats.list_chats()
        if self._replaced is not None:
            self._chats.offer_undo(_("The answer was replaced."), self._replaced)

    def _on_failed(self, _error: BaseException) -> None:
        self.failed.emit()

    def _on_ended(self) -> None:
        self._replaced = None
        self.ended.emit()


def _answer(
    project: "Project", generator: "TextGenerator", chat: "Chat", turn: "Turn", sampling: "GenerationSettings",
    job: "Job",
) -> object:  # fmt: skip
    from llm_studio.workflows.generation.generate import answer

    return answer(project, generator, chat, turn, sampling, job)
