"""Requests the answers to the questions of the views, one at a time."""

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
"""Task keys of the questions about the selected moment, and about the pinned one."""


class LookController(Controller):
    """Requests answers. A new question replaces the one that is being answered. If they differ only in the model, it
    waits instead, so that the views keep changing while the slider moves.
    """

    answered = Signal(object)
    """An Answer."""
    failed = Signal(object, str)
    """The Question, and a message why it could not be answered."""
    progressed = Signal(float)
    """The progress of a computation, from 0 to 1."""

    def __init__(self, context: PageContext, key: str) -> None:
        super().__init__(context)
        self._key = key
        self._sessions: Sessions | None = None
        self._pending: Question | None = None
        self._next: Question | None = None
        context.listen(key, reported=self._on_reported, succeeded=self._on_answered, failed=self._on_failed,
                       cancelled=self._on_ended)  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """Discard the models and questions of the previous project."""
        self._sessions = Sessions(project) if project is not None else None
        self._pending, self._next = None, None

    def forget_models(self) -> None:
        """Discard the open models, so that they are loaded again when needed."""
        if self.project is not None:
            self._sessions = Sessions(self.project)

    def ask(self, question: Question) -> None:
        """Request the answer to a question, unless it is being computed already."""
        pending = self._pending
        if question == pending:
            self._next = None
        elif pending is not None and replace(pending, checkpoint=question.checkpoint) == question:
            self._next = question
        else:
            self._request(question)

    @property
    def is_computing(self) -> bool:
        """Whether an answer is being computed."""
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
