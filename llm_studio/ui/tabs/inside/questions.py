"""The queries of the tab Inside, and the functions with which a worker thread answers them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.views.contributions import GUESSES, ContributionsFound, ContributionsRequest
from llm_studio.ui.views.embeddings import EmbeddingsFound, EmbeddingsRequest
from llm_studio.ui.views.levels import attention_levels
from llm_studio.ui.views.view import Content, TokenChoice
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.ablation import AblationStudy
    from llm_studio.workflows.inside.results import HeadKinds, ShownToken
    from llm_studio.workflows.inside.session import InsideSession
    from llm_studio.workflows.overview import Project

_PARAMETERS = 60_000_000
"""Maximum total number of parameters of the models that are kept open; the one in use is always kept."""
_COUNTED, _FREQUENT, _FEWEST = 3000, 300, 3
"""Number of frequent tokens searched for words, maximum number of words on the map, and minimum size of a map."""


@dataclass(frozen=True)
class Question:
    """A query of a view. Equal questions have equal answers."""

    view: str  # a key of `_RESULTS`
    checkpoint: str
    """The reference of a model, as in run-1/500."""
    text: str = ""
    at: int = 0
    """The token position to show, or one in the window to show; -1 if none was chosen."""
    detail: Any = None
    """The options of the view: see `View.request`."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question."""

    question: Question
    content: Content


class Names:
    """Converts the token IDs of a session's model to text: see `views.view.TokenNames`."""

    def __init__(self, session: "InsideSession") -> None:
        self.label = session.vocabulary.label
        self._bytes = session.tokenizer.token_bytes
        self._markers = set(session.tokenizer.markers.values())

    def text(self, token: int) -> str | None:
        """The token's text as input; None for a special token, or if its bytes aren't valid UTF-8 by themselves."""
        try:
            return None if token in self._markers else self._bytes(token).decode()
        except UnicodeDecodeError:
            return None


class Sessions:
    """The open models of a project, with cached results. Not thread-safe: used by one task at a time."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._open: dict[str, InsideSession] = {}
        self._study: tuple[str, AblationStudy] | None = None
        self._frequent: tuple[str, list[int]] | None = None
        self.kinds: dict[str, HeadKinds] = {}
        """The measured behaviour of the heads, by model name."""

    def get(self, checkpoint: str, job: Job) -> "InsideSession":
        """The session of a model, which is opened if it isn't yet."""
        from llm_studio.workflows.inside.session import open_session

        session = self._open.pop(checkpoint, None)
        if session is None:
            last = next(reversed(self._open.values()), None)
            session = last.at(checkpoint, job) if last else open_session(self._project, job, checkpoint)
        self._open[checkpoint] = session  # least recently used first
        while sum(one.facts.parameters for one in self._open.values()) > _PARAMETERS and len(self._open) > 1:
            del self._open[next(iter(self._open))]
        return session

    def study(self, session: "InsideSession", job: Job) -> "AblationStudy":
        """The ablation study of a model; the last one is cached."""
        from llm_studio.workflows.inside.ablation import AblationStudy

        if self._study is None or self._study[0] != session.facts.name:
            self._study = session.facts.name, AblationStudy(session, job)
        return self._study[1]

    def frequent(self, session: "InsideSession") -> list[int]:
        """The most frequent tokens that are a word of at least three letters, or its beginning, most frequent first."""
        key = session.tokenizer.fingerprint
        if self._frequent is None or self._frequent[0] != key:
            tokens = session.frequent_tokens(_COUNTED)
            self._frequent = key, [one for one in tokens if _is_word(session.vocabulary.label(one))][:_FREQUENT]
        return self._frequent[1]


def _is_word(label: str) -> bool:
    return label.startswith(" ") and len(label) > 3 and label[1:].isalpha()


def answer(sessions: Sessions, question: Question, job: Job) -> Answer:
    """Answer a question. Runs in a worker thread."""
    session = sessions.get(question.checkpoint, job)
    job.check()
    result = _RESULTS[question.view](sessions, session, question, job)
    starts = _starts(session.tokens(session.ids(question.text)))
    return Answer(question, Content(result, Names(session), session.facts, starts))


def _starts(tokens: "tuple[ShownToken, ...]") -> tuple[int, ...]:
    """The index of each token's first character in the text."""
    ends = list(itertools.accumulate(len(token.text) for token in tokens))
    return (0, *ends[:-1])


def _surprise(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return session.surprise(question.text, job)


def _window(session: "InsideSession", question: Question) -> int:
    count = len(session.ids(question.text))
    return session.window_at(count, min(max(question.at, 0), count - 1))


def _attention(sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    maps = session.attention(question.text, job, _window(session, question))
    return attention_levels(maps, sessions.kinds.get(session.facts.name))


def _heads(sessions: Sessions, session: "InsideSession", _question: Question, job: Job) -> object:
    if session.facts.name not in sessions.kinds:
        sessions.kinds[session.facts.name] = session.head_kinds(job)
    return sessions.kinds[session.facts.name]


def _lens(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return session.lens(question.text, job, _window(session, question))


def _contributions(_sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    request: ContributionsRequest = question.detail
    ids = session.ids(question.text)
    position = question.at if 0 <= question.at < len(ids) else len(ids) - 1
    guesses = session.next_tokens(question.text, job, position, GUESSES)
    token, problem = guesses[0].id, ""
    if request.token is not None:
        token, problem = _token_of(session, request.token, token)
    other = None
    if request.lead:
        other = next((one.id for one in guesses if one.id != token), token)
        if request.other is not None:
            other, problem = _token_of(session, request.other, other)
    parts = session.contributions(question.text, job, position, token, other)
    if token not in (one.id for one in guesses):
        guesses = (*guesses[: GUESSES - 1], parts.token)
    return ContributionsFound(session.tokens(ids), parts, guesses, problem)


def _token_of(session: "InsideSession", choice: TokenChoice, default: int) -> tuple[int, str]:
    """The ID of a token that may have been chosen in a model with another tokenizer, and "". If this model has no such
    token: `default`, and a message.
    """
    if choice.id < session.facts.vocab_size and session.vocabulary.label(choice.id) == choice.label:
        return choice.id, ""
    same = session.vocabulary.exactly(choice.label)
    if same is not None:
        return same, ""
    return default, _("“{text}” is not a token of this model.").format(text=visible(choice.label))


def _embeddings(sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    request: EmbeddingsRequest = question.detail
    frequent = sessions.frequent(session)
    problem, token = "", frequent[0] if frequent else 0
    if request.chosen is not None:
        token, problem = _token_of(session, request.chosen, token)
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
    drawn = session.embedding_map(tokens) if request.on_map else None
    return EmbeddingsFound(token, session.similar_tokens(token), drawn, problem)


def _parts(sessions: Sessions, session: "InsideSession", question: Question, job: Job) -> object:
    return sessions.study(session, job).effect(question.detail, job, question.text)


def _worth(sessions: Sessions, session: "InsideSession", _question: Question, job: Job) -> object:
    return sessions.study(session, job).importance(job)


_RESULTS: dict[str, Callable[[Sessions, "InsideSession", Question, Job], object]] = {
    "surprise": _surprise, "attention": _attention, "lens": _lens, "contributions": _contributions,
    "embeddings": _embeddings, "parts": _parts, "heads": _heads, "worth": _worth,
}  # fmt: skip
