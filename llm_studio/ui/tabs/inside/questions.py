"""What the tab Inside asks, and how a worker answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_studio.jobs import Job
from llm_studio.ui.views.levels import attention_levels

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import ModelFacts
    from llm_studio.workflows.inside.session import InsideSession
    from llm_studio.workflows.overview import Project

_PARAMETERS = 60_000_000
"""Of all models that are kept open together; the one in use is always kept."""


@dataclass(frozen=True)
class Question:
    """What a view of a model shows for a text. Equal questions have equal answers."""

    view: str
    checkpoint: str
    """A reference of a model, as in run-1/500."""
    text: str = ""
    at: int = 0
    """A position in the window of the text that is shown."""
    detail: Any = None
    """What only this view asks."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question: a result of `workflows/inside`, and the names of the model's tokens."""

    question: Question
    facts: "ModelFacts"
    names: "Names"
    result: Any


class Names:
    """Names the tokens of a session's model: see `views.view.TokenNames`."""

    def __init__(self, session: "InsideSession") -> None:
        self.label = session.vocabulary.label
        self._bytes = session.tokenizer.token_bytes
        self._markers = set(session.tokenizer.markers.values())

    def text(self, token: int) -> str | None:
        """A token as a piece of text; None for a marker, or if its bytes are no whole characters."""
        try:
            return None if token in self._markers else self._bytes(token).decode()
        except UnicodeDecodeError:
            return None


class Sessions:
    """The models that are open. Used by one task at a time."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._open: dict[str, InsideSession] = {}

    def get(self, checkpoint: str, job: Job) -> "InsideSession":
        """The session of a model, opened if it isn't yet."""
        from llm_studio.workflows.inside.session import open_session

        session = self._open.pop(checkpoint, None)
        if session is None:
            last = next(reversed(self._open.values()), None)
            session = last.at(checkpoint, job) if last else open_session(self._project, job, checkpoint)
        self._open[checkpoint] = session  # the last one is the one used last
        while sum(one.facts.parameters for one in self._open.values()) > _PARAMETERS and len(self._open) > 1:
            del self._open[next(iter(self._open))]
        return session


def answer(sessions: Sessions, question: Question, job: Job) -> Answer:
    """Answer a question. Runs in a worker."""
    session = sessions.get(question.checkpoint, job)
    job.check()
    result = _RESULTS[question.view](session, question, job)
    return Answer(question, session.facts, Names(session), result)


def _surprise(session: "InsideSession", question: Question, job: Job) -> object:
    return session.surprise(question.text, job)


def _window(session: "InsideSession", question: Question) -> int:
    count = len(session.ids(question.text))
    return session.window_at(count, min(max(question.at, 0), count - 1))


def _attention(session: "InsideSession", question: Question, job: Job) -> object:
    maps = session.attention(question.text, job, _window(session, question))
    return attention_levels(maps, session.head_kinds(job))


def _lens(session: "InsideSession", question: Question, job: Job) -> object:
    return session.lens(question.text, job, _window(session, question))


_RESULTS: dict[str, Callable[["InsideSession", Question, Job], object]] = {
    "surprise": _surprise, "attention": _attention, "lens": _lens,
}  # fmt: skip
