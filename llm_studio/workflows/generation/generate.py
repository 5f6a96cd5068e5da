"""Generating text with a trained model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_studio.config import SPECIAL_TOKENS, GenerationSettings, Settings
from llm_studio.errors import ProjectError
from llm_studio.events import Event, Progress, TextWritten, TokenWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.runs.checkpoint import best
from llm_studio.runs.locate import BEST, LAST, listed, locate, reference_of
from llm_studio.runs.record import best_of
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.next_token import NextToken, known_ids, resumed, token_text
from llm_studio.workflows.generation.stop_strings import StopStrings

if TYPE_CHECKING:
    from torch import Tensor

    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.generate import Reader, SampledToken
    from llm_studio.inference.probabilities import ScoredToken
    from llm_studio.model.transformer import Transformer

__all__ = ["BEST", "LAST", "RunPoints", "TextGenerator", "answer", "load_generator", "points"]

_END, USER, ASSISTANT = SPECIAL_TOKENS
_MOST_SCORED = 16
"""Number of texts whose probabilities are cached."""


class TextGenerator:
    """A model with its tokenizer: text in, text out.

    `conversations`: the model was trained on conversations, so it can answer questions and stops at the end of a turn.
    """

    def __init__(
        self, model: "Transformer", tokenizer: "Tokenizer", settings: Settings, name: str, conversations: bool = False
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self.name = name
        self.conversations = conversations
        self._reader: Reader | None = None
        """Key/value cache of the last text that `next_token` read."""
        self._scored: dict[tuple[int, ...], list[ScoredToken]] = {}

    def settings_with(self, changes: Mapping[str, object]) -> GenerationSettings:
        """The project's settings with `changes` by name. Raises ConfigError."""
        return self._settings.replaced({f"generation.{name}": value for name, value in changes.items()}).generation

    def generate(self, prompt: str, job: Job, sampling: GenerationSettings, *, chat: bool = False) -> str:
        """The text that follows `prompt`, reported as it is generated; the text so far if the job is stopped.

        An empty prompt starts a new document. With `chat` the prompt is a question, <|user|>prompt<|assistant|>, and
        the text its answer. Raises ProjectError if the tokenizer has no tokens for that.
        """
        texts: list[str] = []
        turn = chats.Turn(prompt, question=chat)
        for _sampled, text in StopStrings(sampling.stop).until(self._sample((turn,), job, sampling)):
            texts.append(text)
            job.report(TextWritten(text))
        return "".join(texts)

    def generate_turn(
        self, prompt: str, job: Job, sampling: GenerationSettings, *, chat: bool = False
    ) -> chats.Turn:  # fmt: skip
        """Like `generate`, token by token: each is reported as TokenWritten, and all are in the returned turn.

        The bytes of an incomplete character at the end become U+FFFD, in the last token.
        """
        return self.continue_chat((chats.Turn(prompt, question=chat),), job, sampling)

    def continue_chat(self, turns: Sequence[chats.Turn], job: Job, sampling: GenerationSettings) -> chats.Turn:
        """The last of `turns` with the text that follows all of them, generated as in `generate_turn`.

        Its earlier versions are kept. A text that the model or a stop string had ended is continued past that end.
        """
        began = time.perf_counter()
        turn = turns[-1]
        before, _decoder = resumed(self._tokenizer, turn)
        stops = StopStrings(sampling.stop, past_first=chats.STOPPED in turn.notes)
        new: list[chats.Token] = []
        for (sampled, whole), text in stops.until(self._sample(turns, job, sampling)):
            if sampled is None:
                event: Event = TextWritten(text)
                if new:
                    new[-1] = replace(new[-1], text=new[-1].text + text)
            else:
                new.append(token := self._token(sampled, text, is_cut=text != whole))
                event = TokenWritten(token.id, token.text, token.probability, token.alternatives)
            job.report(event)
            if len(new) % 10 == 0:
                job.report(Progress(_("Writing"), len(new), sampling.max_tokens, _("tokens")))
        notes = self._notes(turns, new, sampling, job, bool(stops.found))
        written = turn.with_tree(turn.tree.branch(0, [*before, *new], notes))
        seconds = round(turn.seconds + time.perf_counter() - began, 3)
        if before and not turn.seconds:
            seconds = 0.0
        return replace(written, seconds=seconds, seed=sampling.seed or 0, model=self.name)

    def _notes(
        self, turns: Sequence[chats.Turn], new: Sequence[chats.Token], sampling: GenerationSettings, job: Job,
        stopped: bool,
    ) -> tuple[str, ...]:  # fmt: skip
        """Notes on the tokens `new`, generated after `turns`; `stopped`: a stop string ended them."""
        at_limit = not stopped and len(new) >= sampling.max_tokens
        ended = not (stopped or at_limit or job.stop_requested)
        found = {
            chats.PROMPT_CUT: len(self._ids(turns)) > self._model.settings.max_seq_len,
            chats.ENDED: ended and not new,
            chats.FINISHED: ended and bool(new),
            chats.STOPPED: stopped,
            chats.REPEATED: chats.repeats([token.id for token in new]),
            chats.LIMIT: at_limit,
        }
        return tuple(note for note, holds in found.items() if holds)

    def next_token(self, turns: Sequence[chats.Turn]) -> NextToken:
        """The distribution of the next token after these turns."""
        logits, context = self._read(self._ids(turns))
        return NextToken(turns, logits, context, self._tokenizer, self._stop_tokens(turns[-1].question))

    def _read(self, ids: list[int]) -> "tuple[Tensor, list[int]]":
        """The logits after `ids`, and the context. If the last text is a prefix, only the rest is read."""
        from llm_studio.inference.generate import Reader

        reader, self._reader = self._reader, None  # taken: another thread starts without it
        known = [] if reader is None else reader.context
        if reader is None or len(ids) > reader.length or ids[:-1][: len(known)] != known:
            reader, known = Reader(self._model), []
        logits = reader.read(ids[len(known) :]).cpu()
        context, self._reader = list(reader.context), reader
        return logits, context

    def explain(
        self, prompt: str, job: Job, sampling: GenerationSettings, *, chat: bool = False, rows: int = 10
    ) -> str:  # fmt: skip
        """Like `generate`, but each token is reported as TokenExplained, with `rows` candidates."""
        turn = chats.Turn(prompt, question=chat)
        stop = self._stop_tokens(chat)
        for sampled in self._sampled((turn,), job, sampling, end=()):
            found = NextToken((turn,), sampled.logits.cpu(), list(sampled.context), self._tokenizer, stop)
            job.report(found.explained(sampled.token, sampling, rows))
            turn = found.chosen(sampled.token)
            if sampled.token in stop or any(string in turn.text for string in sampling.stop):
                break
        return "".join(text for _turn, text in StopStrings(sampling.stop).until([(turn, turn.text)]))

    def prompt_tokens(self, turns: Sequence[chats.Turn], job: Job) -> tuple[tuple[chats.Token, ...], ...]:
        """The tokens of each turn's prompt, each with the model's probability given the text before it."""
        found: list[tuple[chats.Token, ...]] = []
        while len(found) < len(turns):
            job.check()
            read = chats.context(turns[: len(turns) - len(found)])
            pieces = [piece for turn in read for piece in self._pieces(turn)]  # prompt, text, prompt, text ...
            ids = [token for piece in pieces for token in piece]
            scored = iter(self._score(ids))
            tokens = [self._with_text(piece, [next(scored) for _token in piece]) for piece in pieces]
            found = [*tokens[::2], *found]
        return tuple(found)

    def _score(self, ids: list[int]) -> "list[ScoredToken]":
        """The probability of each token. Some texts are cached, since a chat scores its earlier turns again and
        again."""
        from llm_studio.inference.probabilities import score_text

        if tuple(ids) not in self._scored:
            if len(self._scored) >= _MOST_SCORED:
                self._scored.pop(next(iter(self._scored)))
            first = self._tokenizer.end_of_text
            self._scored[tuple(ids)] = score_text(self._model, ids, first, chats.MOST_ALTERNATIVES)
        return self._scored[tuple(ids)]

    def _with_text(self, ids: Sequence[int], scored: "Sequence[ScoredToken]") -> tuple[chats.Token, ...]:
        """The tokens of a prompt, without the markers around it."""
        decoder, markers = self._tokenizer.stream(), self._tokenizer.markers.values()
        return tuple(
            chats.Token(token, decoder.push(token), chats.rounded(one.probability), self._alternatives(one))
            for token, one in zip(ids, scored, strict=True) if token not in markers
        )  # fmt: skip

    def _ids(self, turns: Sequence[chats.Turn]) -> list[int]:
        """The model's input ids, with generated tokens as they were sampled; only the last text of a chat is
        included."""
        ids = [token for turn in chats.context(turns) for piece in self._pieces(turn) for token in piece]
        return ids or [self._tokenizer.end_of_text]

    def _pieces(self, turn: chats.Turn) -> tuple[list[int], list[int]]:
        """The ids of a turn's prompt (a question with its markers), and of the text after it."""
        prompt, text = self._tokenizer.encode(turn.prompt), known_ids(self._tokenizer, turn)
        if turn.question:
            user, assistant = self._markers()
            prompt = [user, *self._tokenizer.encode(turn.prompt.strip()), assistant]
        return prompt, self._tokenizer.encode(turn.text) if text is None else text

    def _markers(self) -> tuple[int, int]:
        """The ids of <|user|> and <|assistant|>. Raises ProjectError."""
        known = self._tokenizer.markers
        if USER not in known or ASSISTANT not in known:
            raise ProjectError(
                _("The tokenizer of this model has no {user} and {assistant}: it can't be asked questions.").format(
                    user=USER, assistant=ASSISTANT
                ),
                _("Let it continue a text instead."),
            )
        return known[USER], known[ASSISTANT]

    def _stop_tokens(self, question: bool) -> tuple[int, ...]:
        """The tokens that end the generated text. An answer ends where the next turn of either side begins."""
        known = self._tokenizer.markers
        names = [USER, ASSISTANT] if question else [USER] if self.conversations else []
        return (self._tokenizer.end_of_text, *(known[name] for name in names if name in known))

    def _token(self, sampled: "SampledToken", text: str, is_cut: bool) -> chats.Token:
        """A sampled token with the characters that it completes; if a stop string cuts them, the token is unknown."""
        from llm_studio.inference.probabilities import most_likely

        scored = most_likely(sampled.logits, sampled.token, chats.MOST_ALTERNATIVES)
        token = chats.UNKNOWN if is_cut else sampled.token
        return chats.Token(token, text, chats.rounded(scored.probability), self._alternatives(scored))

    def _alternatives(self, scored: "ScoredToken") -> tuple[tuple[str, float], ...]:
        return tuple((token_text(self._tokenizer, token), chats.rounded(p)) for token, p in scored.best)

    def _sample(
        self, turns: Sequence[chats.Turn], job: Job, sampling: GenerationSettings
    ) -> "Iterator[tuple[tuple[SampledToken | None, str], str]]":
        """Yield ((token, text), text) for each token with the characters that it completes, as `StopStrings.until`
        expects it. In the last item, the rest of an incomplete character, the token is None."""
        _before, decoder = resumed(self._tokenizer, turns[-1])
        for sampled in self._sampled(turns, job, sampling, self._stop_tokens(turns[-1].question)):
            text = decoder.push(sampled.token)
            yield (sampled, text), text
        text = decoder.finish()
        yield (None, text), text

    def _sampled(
        self, turns: Sequence[chats.Turn], job: Job, sampling: GenerationSettings, end: Sequence[int]
    ) -> "Iterator[SampledToken]":
        """The tokens that follow `turns`, up to one of `end`; if the text had ended, the first is not one of these."""
        from llm_studio.inference.generate import generate_with_logits

        past_end = end if {chats.FINISHED, chats.ENDED} & set(turns[-1].notes) else ()
        for sampled in generate_with_logits(self._model, self._ids(turns), sampling, end, past_end):
            if job.stop_requested:
                break
            yield sampled


def load_generator(
    project: Project, job: Job, run: str | None = None, checkpoint: str = BEST
) -> TextGenerator:  # fmt: skip
    """Load the model that `checkpoint` names: "best", "last" or a step of `run`, or any reference of `runs/locate.py`.

    If the best or last checkpoint is damaged, the newest intact one is used instead (of any run if `run` is None), and
    this is reported to the job. Raises ProjectError if nothing was trained, CheckpointError if the model can't be read.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model

    model = locate(project, reference_of(run, checkpoint), job.report)
    tokenizer = Tokenizer.from_json(model.tokenizer_json())
    loaded = load_model(model, tokenizer.vocab_size)
    return TextGenerator(loaded, tokenizer, project.settings(), model.name, model.conversations)


def answer(
    project: Project, generator: TextGenerator, chat: chats.Chat, turn: chats.Turn, sampling: GenerationSettings,
    job: Job,
) -> chats.Chat:  # fmt: skip
    """Generate the text after `turn`, append the turn to the chat and save it; returns the new chat.

    `turn` may be a new prompt, or contain a text to be continued. If the job is stopped, the text so far is saved.
    """
    written = generator.continue_chat((*chat.turns, turn), job, sampling)
    return chats.write(project, chat.followed_by(written))


@dataclass(frozen=True)
class RunPoints:
    """The steps of a run whose model can be loaded; `best` and `last` are those of checkpoints."""

    run: str
    best: int
    last: int
    steps: tuple[int, ...]
    """Latest first, including the snapshots."""
    is_best: bool = False
    """Whether this run has the best model of the project."""


def points(project: Project) -> tuple[RunPoints, ...]:
    """The steps that can be loaded for every run with a checkpoint, newest run first."""
    found: list[RunPoints] = []
    runs = registry.listed(project)
    for run in reversed(runs):
        models = listed(project, run.name)
        saved = [model.checkpoint for model in reversed(models) if model.checkpoint]
        best_one = best(saved)
        if best_one is not None:
            found.append(RunPoints(run.name, best_one.step, saved[-1].step, tuple(model.step for model in models)))
    best_run = best_of(run for run in runs if any(one.run == run.name for one in found))
    return tuple(replace(one, is_best=best_run is not None and one.run == best_run.name) for one in found)
