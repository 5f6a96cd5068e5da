"""Generating text with a trained model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
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

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.generate import SampledToken
    from llm_studio.inference.probabilities import TokenProb
    from llm_studio.model.transformer import Transformer
    from llm_studio.workflows.generation.next_token import NextToken

__all__ = ["BEST", "LAST", "RunPoints", "TextGenerator", "answer", "load_generator", "points"]

_END, USER, ASSISTANT = SPECIAL_TOKENS


class TextGenerator:
    """A model with its tokenizer: text in, text out. `conversations`: the model was trained on conversations.

    Such a model can be asked questions, and stops where a turn ends.
    """

    def __init__(
        self, model: "Transformer", tokenizer: "Tokenizer", settings: Settings, name: str, conversations: bool = False
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self.name = name
        self.conversations = conversations

    def settings_with(self, changes: Mapping[str, object]) -> GenerationSettings:
        """The project's settings with `changes` by name. Raises ConfigError."""
        return self._settings.replaced({f"generation.{name}": value for name, value in changes.items()}).generation

    def generate(self, prompt: str, job: Job, sampling: GenerationSettings, *, chat: bool = False) -> str:
        """The text that follows `prompt`, reported as it is generated; the text so far if the job is stopped.

        An empty prompt starts a new document. With `chat` the prompt is a question, <|user|>prompt<|assistant|>, and
        the text its answer. Raises ProjectError if the tokenizer has no tokens for that.
        """
        texts: list[str] = []
        for _token, text in self._sample((chats.Turn(prompt, question=chat),), job, sampling):
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
        """The last of `turns` with the text that follows all of them, generated as in `generate_turn`."""
        from llm_studio.inference.probabilities import most_likely

        began = time.perf_counter()
        ids = self._ids(turns)
        tokens: list[chats.Token] = []
        texts: list[str] = []
        for sampled, text in self._sample(turns, job, sampling):
            texts.append(text)
            if sampled is None:
                event: Event = TextWritten(text)
                if tokens:
                    tokens[-1] = replace(tokens[-1], text=tokens[-1].text + text)
            else:
                model_prob, best_tokens = most_likely(sampled.logits, sampled.token, chats.MOST_ALTERNATIVES)
                probability, alternatives = round(model_prob, chats.DECIMALS), self._with_text(best_tokens)
                tokens.append(chats.Token(sampled.token, text, probability, alternatives))
                event = TokenWritten(sampled.token, text, probability, alternatives)
            job.report(event)
            if len(tokens) % 10 == 0:
                job.report(Progress(_("Writing"), len(tokens), sampling.max_tokens, _("tokens")))
        return chats.Turn(
            notes=self._notes(ids, tokens, sampling, job),
            prompt=turns[-1].prompt, text="".join(texts), tokens=tuple(tokens), count=len(tokens),
            seconds=round(time.perf_counter() - began, 3), seed=sampling.seed or 0, model=self.name,
            question=turns[-1].question,
        )  # fmt: skip

    def _notes(
        self, ids: Sequence[int], tokens: Sequence[chats.Token], sampling: GenerationSettings, job: Job
    ) -> tuple[str, ...]:
        """What is to be known about `tokens`, generated after `ids`."""
        found = {
            chats.PROMPT_CUT: len(ids) > self._model.settings.max_seq_len,
            chats.ENDED: not tokens and not job.stop_requested,
            chats.REPEATED: chats.repeats([token.id for token in tokens]),
            chats.LIMIT: len(tokens) >= sampling.max_tokens,
        }
        return tuple(note for note, holds in found.items() if holds)

    def next_token(self, text: str, *, chat: bool = False, before: Sequence[chats.Turn] = ()) -> "NextToken":
        """The distribution of the token after `text`, which follows the turns `before`; with `chat`, of its answer."""
        from llm_studio.inference.generate import Reader
        from llm_studio.workflows.generation.next_token import NextToken

        reader = Reader(self._model)
        logits = reader.read(self._ids((*before, chats.Turn(text, question=chat)))).cpu()
        return NextToken(text, logits, reader.context, self._tokenizer)

    def _ids(self, turns: Sequence[chats.Turn]) -> list[int]:
        """The input of the model: plain turns as one text, questions and answers each after their marker. Texts before
        the last one are left out."""
        ids: list[int] = []
        for questions, group in groupby(chats.context(turns), key=lambda turn: turn.question):
            if not questions:
                ids += self._tokenizer.encode("".join(turn.prompt + turn.text for turn in group))
                continue
            user, assistant = self._markers()
            for turn in group:
                encode = self._tokenizer.encode
                ids += [user, *encode(turn.prompt.strip()), assistant, *encode(turn.text)]
        return ids or [self._tokenizer.end_of_text]

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
        """The tokens that end the generated text. An answer ends where the next turn of either begins."""
        known = self._tokenizer.markers
        names = [USER, ASSISTANT] if question else [USER] if self.conversations else []
        return (self._tokenizer.end_of_text, *(known[name] for name in names if name in known))

    def _with_text(self, tokens: "list[TokenProb]") -> tuple[tuple[str, float], ...]:
        from llm_studio.workflows.generation.next_token import token_text

        return tuple((token_text(self._tokenizer, token), round(p, chats.DECIMALS)) for token, p in tokens)

    def _sample(
        self, turns: Sequence[chats.Turn], job: Job, sampling: GenerationSettings
    ) -> "Iterator[tuple[SampledToken | None, str]]":
        """Each token with the characters that it completes; last, without a token, the rest of a character."""
        from llm_studio.inference.generate import generate_with_logits

        decoder = self._tokenizer.stream()
        stop = self._stop_tokens(turns[-1].question)
        for sampled in generate_with_logits(self._model, self._ids(turns), sampling, stop):
            if job.stop_requested:
                break
            yield sampled, decoder.push(sampled.token)
        yield None, decoder.finish()


def load_generator(
    project: Project, job: Job, run: str | None = None, checkpoint: str = BEST
) -> TextGenerator:  # fmt: skip
    """Load the model that `checkpoint` names: "best", "last" or a step of `run`, or any reference of `runs/locate.py`.

    If the best or last checkpoint is damaged, the newest intact one is used, of an earlier run if `run` is None, and
    this is reported to the job. Raises ProjectError if nothing was trained, CheckpointError if the model can't be read.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model

    model = locate(project, reference_of(run, checkpoint), job.report)
    tokenizer = Tokenizer.from_json(model.tokenizer_json())
    loaded = load_model(model, vocab_size=tokenizer.vocab_size)
    return TextGenerator(loaded, tokenizer, project.settings(), model.name, model.conversations)


def answer(
    project: Project, generator: TextGenerator, chat: chats.Chat, prompt: str | None, sampling: GenerationSettings,
    job: Job, question: bool = False,
) -> chats.Chat:  # fmt: skip
    """The chat after one more turn, saved in the project: `prompt` and the text that the model generates after it.

    With `question` the prompt is asked in the form of conversations, and the text is its answer. Without a prompt the
    model continues its last answer. If the job is stopped, the text generated so far is saved.
    """
    if prompt is None and chat.turns:
        old = chat.turns[-1]
        more = generator.continue_chat(chat.turns, job, sampling)
        turn = replace(
            old, text=old.text + more.text, tokens=(*old.tokens, *more.tokens) if old.tokens else (),
            count=old.count + more.count, seconds=old.seconds + more.seconds, seed=sampling.seed or 0,
            model=generator.name, notes=more.notes,
        )  # fmt: skip
        return chats.write(project, chat.before(len(chat.turns) - 1).followed_by(turn))
    new = chats.Turn(prompt or "", question=question)
    return chats.write(project, chat.followed_by(generator.continue_chat((*chat.turns, new), job, sampling)))


@dataclass(frozen=True)
class RunPoints:
    """The steps of a run of which a model can be loaded; `best` and `last` are those of checkpoints."""

    run: str
    best: int
    last: int
    steps: tuple[int, ...]
    """Latest first, including the snapshots."""
    is_best: bool = False
    """Of these runs, it has the best model."""


def points(project: Project) -> tuple[RunPoints, ...]:
    """The steps that can be loaded of every run that has a checkpoint, newest run first."""
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
