"""What the tab Inside asks, and how a worker answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.views.embeddings import EmbeddingsFound, EmbeddingsRequest
from llm_studio.ui.views.levels import attention_levels

if TYPE_CHECKING:
    from llm_studio.workflows.inside.ablation import AblationStudy
    from llm_studio.workflows.inside.results import ModelFacts
    from llm_studio.workflows.inside.session import InsideSession
    from llm_studio.workflows.overview import Project

_PARAMETERS = 60_000_000
"""Of all models that are kept open together; the one in use is always kept."""
_COUNTED, _FREQUENT, _FEWEST = 3000, 300, 3
"""Tokens that are looked through for frequent words, such words on the map, and the fewest that make a map."""


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
    tokens: int
    """Of the text, with the one that begins it."""
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
        self._study: tuple[str, AblationStudy] | None = None
        self._frequent: tuple[str, list[int]] | None = None

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

    def start_of(self, session: "InsideSession", job: Job) -> "InsideSession | None":
        """The model of the same run at step 0; None if it can't be opened, or is this one."""
        if session.ref.step == 0:
            return None
        try:
            return self.get(f"{session.ref.run}/0", job)
        except StudioError:
            return None

    def study(self, session: "InsideSession", job: Job) -> "AblationStudy":
        """The measure for what is lost without some parts; the last one is kept."""
        from llm_studio.workflows.inside.ablation import AblationStudy

        if self._study is None or self._study[0] != session.facts.name:
            self._study = session.facts.name, AblationStudy(session, job)
        return self._study[1]

    def frequent(self, session: "InsideSession") -> list[int]:
        """Frequent tokens that are a word of some letters, or the beginning of one, most frequent first."""
        key = session.tokenizer.fingerprint
        if self._frequent is None or self._frequent[0] != key:
            tokens = session.frequent_tokens(_COUNTED)
            self._frequent = key, [one for one in tokens if _is_word(session.vocabulary.label(one))][:_FREQUENT]
        return self._frequent[1]


def _is_word(label: str) -> bool:
    return label.startswith(" ") and len(label) > 3 and label[1:].isalpha()


def answer(sessions: Sessions, question: Question, job: Job) -> Answer:
    """Answer a question. Runs in a worker."""
    session = sessions.get(question.checkpoint, job)
    job.check()
    result = _RESULTS[question.view](sessions, session, question, job)
    return Answer(question, session.facts, Names(session), len(session.ids(question.text)), result)


def _surprise(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return session.surprise(question.text, job)


def _window(session: "InsideSession", question: Question) -> int:
    count = len(session.ids(question.text))
    return session.window_at(count, min(max(question.at, 0), count - 1))


def _attention(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    maps = session.attention(question.text, job, _window(session, question))
    return attention_levels(maps, session.head_kinds(job))


def _lens(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return session.lens(question.text, job, _window(session, question))


def _embeddings(sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    request: EmbeddingsRequest = question.detail
    start = sessions.start_of(session, job)
    frequent = sessions.frequent(session)
    problem, token = "", frequent[0] if frequent else 0
    try:
        token = session.vocabulary.named(request.token) if request.token else token
    except StudioError as error:
        problem = error.what
    tokens: list[int] | None = frequent
    if request.on_map == "all":
        tokens = None
    elif request.on_map == "words":
        tokens, missing = session.vocabulary.words(request.words)
        tokens = list(dict.fromkeys([*tokens, token]))
        if missing:
            problem = _("Not one token, so not on the map: {words}.").format(words=", ".join(missing))
    if tokens is not None and len(tokens) < _FEWEST:
        tokens = list(dict.fromkeys([*tokens, *(one.id for one in session.similar_tokens(token))]))
    job.check()
    maps = [one.embedding_map(tokens) if one is not None and request.on_map else None for one in (session, start)]
    near = [one.similar_tokens(token) if one is not None else () for one in (session, start)]
    return EmbeddingsFound(token, near[0], near[1], maps[0], maps[1], problem)


def _parts(sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return sessions.study(session, job).effect(question.detail, job, question.text)


def _worth(sessions: Sessions, session: "InsideSession", _question: Question, job: Job) -> object:
    return sessions.study(session, job).importance(job)


_RESULTS: dict[str, Callable[[Sessions, "InsideSession", Question, Job], object]] = {
    "surprise": _surprise, "attention": _attention, "lens": _lens, "embeddings": _embeddings, "parts": _parts,
    "worth": _worth,
}  # fmt: skip
