"""The available models, the loaded one, and its prediction of the next token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.errors import StudioError
from llm_studio.events import Event, Notice
from llm_studio.i18n import _
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tasks import TRAINING, Query
from llm_studio.workflows.generation.chats import Turn

if TYPE_CHECKING:
    from llm_studio.jobs import Job
    from llm_studio.workflows.generation.generate import RunPoints, TextGenerator
    from llm_studio.workflows.generation.next_token import NextToken
    from llm_studio.workflows.overview import Overview, Project

POINTS, LOAD, NEXT = "generation/points", "generation/load", "generation/next"
PROMPTS = "generation/prompts"

Choice = tuple[str, str, int]
"""Run, checkpoint ("best", "last" or a step) and step."""


class ModelController(Controller):
    """Loads the selected model once, until another one is selected or `reload` is called."""

    points_changed = Signal(object)
    """A tuple of RunPoints."""
    loading = Signal(str, int)
    """Run and step of the model that is being loaded."""
    loaded = Signal(object)
    """The TextGenerator."""
    failed = Signal(str)
    """Why the model can't be loaded."""
    notice = Signal(str)
    """A notice about the loaded model."""
    next_token = Signal(object)
    """A NextToken."""
    next_failed = Signal(str)
    prompts_read = Signal(object)
    """The tokens of the requested prompts."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.generator: TextGenerator | None = None
        self._requested: Choice | None = None
        """The choice that is loaded, is being loaded, or failed to load."""
        self._prompts_of: Sequence[Turn] = ()
        """The turns whose prompts were last requested."""
        context.listen(POINTS, succeeded=self._on_points)
        context.listen(LOAD, reported=self._on_reported, succeeded=self._on_loaded, failed=self._on_failed)
        context.listen(NEXT, succeeded=self._on_next, failed=self._on_next_failed)
        context.listen(PROMPTS, succeeded=self.prompts_read.emit, failed=self._on_prompts_failed)
        context.listen(TRAINING, reported=self._on_training)

    def open_project(self, project: "Project | None") -> None:
        """Forget the model."""
        self.generator, self._requested, self._prompts_of = None, None, ()
        self.points_changed.emit(())

    def show_overview(self, overview: "Overview") -> None:
        """The available checkpoints may have changed."""
        self._read_points()

    def load(self, choice: Choice) -> None:
        """Load this choice, unless it was the last request."""
        project = self.project
        if project is None or choice == self._requested:
            return
        run, checkpoint, step = self._requested = choice
        self.generator, self._prompts_of = None, ()
        self.loading.emit(run, step)
        self.context.request(Query(LOAD, lambda job: _load(project, job, run, checkpoint), page_shows_errors=True))

    def reload(self, choice: Choice) -> None:
        """Load this choice in any case."""
        self._requested = None
        self.load(choice)

    def request_next(self, turns: Sequence[Turn]) -> None:
        """Compute the candidates for the next token after these turns."""
        generator = self.generator
        if generator is not None:
            self.context.request(Query(NEXT, lambda job: generator.next_token(turns), page_shows_errors=True))

    def request_prompts(self, turns: Sequence[Turn]) -> None:
        """Compute the surprise of the model at each token of the user's texts, unless it is known."""
        generator = self.generator
        # the model's last text comes after all prompts
        question = *turns[:-1], *(Turn(turn.prompt, question=turn.question) for turn in turns[-1:])
        if generator is not None and question != self._prompts_of:
            self._prompts_of = question
            self.context.request(
                Query(PROMPTS, lambda job: generator.prompt_tokens(turns, job), page_shows_errors=True)
            )

    def _read_points(self) -> None:
        project = self.project
        if project is not None:
            self.context.request(Query(POINTS, lambda job: _points(project)))

    def _on_training(self, event: Event) -> None:
        if event.kind == "checkpoint":
            self._read_points()

    def _on_points(self, points: "tuple[RunPoints, ...]") -> None:
        self.points_changed.emit(points)

    def _on_reported(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notice.emit(event.text)

    def _on_loaded(self, generator: "TextGenerator") -> None:
        self.generator = generator
        self.loaded.emit(generator)

    def _on_failed(self, error: BaseException) -> None:
        reason = _("The model could not be loaded: {reason}.").format(reason=error)
        self.failed.emit(str(error) if isinstance(error, StudioError) else reason)

    def _on_next(self, found: "NextToken") -> None:
        self.next_token.emit(found)

    def _on_prompts_failed(self, _error: BaseException) -> None:
        """Leave the prompts unchanged; a persistent problem also affects the next token, which reports it."""

    def _on_next_failed(self, error: BaseException) -> None:
        self.next_failed.emit(error.what if isinstance(error, StudioError) else str(error))


def _points(project: "Project") -> object:
    from llm_studio.workflows.generation.generate import points

    return points(project)


def _load(project: "Project", job: "Job", run: str, checkpoint: str) -> object:
    from llm_studio.workflows.generation.generate import load_generator

    return load_generator(project, job, run, checkpoint)
