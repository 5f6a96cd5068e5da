"""Asks what is inside the model, one question at a time."""

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from llm_studio.errors import StudioError
from llm_studio.events import Event, Progress
from llm_studio.i18n import _
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext
from llm_studio.ui.tabs.inside.questions import Answer, Question, Sessions, answer
from llm_studio.ui.tasks import Query

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project

LOOK, LOOK_PINNED = "inside/look", "inside/look-pinned"
"""Keys of the questions about the chosen moment, and about the one that is pinned beside it."""


class LookController(Controller):
    """Requests answers. The newest question wins, but while only the moment changes, the one that is being computed
    is still shown: else nothing would be seen while the slider moves."""

    answered = Signal(object)
    """An Answer."""
    failed = Signal(object, str)
    """The Question, and why it has no answer."""
    progressed = Signal(float)
    """How much of a long computation is done, from 0 to 1."""

    def __init__(self, context: PageContext, key: str) -> None:
        super().__init__(context)
        self._key = key
        self._sessions: Sessions | None = None
        self._pending: Question | None = None
        self._next: Question | None = None
        context.listen(key, reported=self._on_reported, succeeded=self._on_answered, failed=self._on_failed,
                       cancelled=self._on_ended)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Forget the models."""
        self._sessions = Sessions(project) if project is not None else None
        self._pending, self._next = None, None

    def forget_models(self) -> None:
        """Read models again when they are needed."""
        if self.project is not None:
            self._sessions = Sessions(self.project)

    def ask(self, question: Question) -> None:
        """Ask, unless it is being answered already."""
        pending = self._pending
        if question == pending:
            self._next = None
        elif pending is not None and replace(pending, checkpoint=question.checkpoint) == question:
            self._next = question
        else:
            self._request(question)

    @property
    def is_computing(self) -> bool:
        """Whether a question has no answer yet."""
        return self._pending is not None

    def _request(self, question: Question) -> None:
        sessions = self._sessions
        if sessions is None:
            return
        self._pending, self._next = question, None
        self.context.request(Query(self._key, lambda job: answer(sessions, question, job), page_shows_errors=True))

    def _on_reported(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total:
            self.progressed.emit(event.done / event.total)

    def _on_answered(self, found: Answer) -> None:
        self._on_ended()
        self.answered.emit(found)

    def _on_failed(self, error: BaseException) -> None:
        question = self._pending
        self._on_ended()
        reason = _("This could not be computed: {reason}.").format(reason=error)
        self.failed.emit(question, str(error) if isinstance(error, StudioError) else reason)

    def _on_ended(self) -> None:
        following = self._next
        self._pending = None
        if following is not None:
            self._request(following)
