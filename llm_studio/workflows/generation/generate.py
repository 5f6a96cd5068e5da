"""Letting a trained model write."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.config import SPECIAL_TOKENS, GenerationSettings, Settings
from llm_studio.errors import CheckpointError, ProjectError
from llm_studio.events import Event, Notice, Progress, TextWritten, TokenWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.generate import SampledToken
    from llm_studio.inference.inspect import TokenProb
    from llm_studio.model.transformer import Transformer
    from llm_studio.runs.checkpoint import Checkpoint
    from llm_studio.workflows.generation.next_token import NextToken

BEST, LAST = "best", "last"
_END, USER, ASSISTANT = SPECIAL_TOKENS
_LONGEST_STEP = 20
"""Digits: a longer number is no step's."""


class TextGenerator:
    """A model loaded from a checkpoint, with its tokenizer: text in, text out."""

    def __init__(
        self, model: "Transformer", tokenizer: "Tokenizer", settings: Settings, name: str, chats_too: bool = False
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self.name = name
        self.chat = chats_too
        """Whether the model was trained on conversations: then it can be asked, and stops where a turn ends."""

    def settings_with(self, changes: Mapping[str, object]) -> GenerationSettings:
        """The project's settings with `changes` by name. Raises ConfigError."""
        return self._settings.replaced({f"generation.{name}": value for name, value in changes.items()}).generation

    def write(self, prompt: str, job: Job, how: GenerationSettings, *, chat: bool = False) -> str:
        """What the model writes after `prompt`, also reported piece by piece; what there is when the job is stopped.

        An empty prompt lets the model begin a document. With `chat` the prompt is a question,
        <|user|>prompt<|assistant|>, and the text its answer. Raises ProjectError where the tokenizer has no tokens
        for that.
        """
        pieces: list[str] = []
        for _drawn, piece in self._drawn((chats.Turn(prompt, question=chat),), job, how):
            pieces.append(piece)
            job.report(TextWritten(piece))
        return "".join(pieces)

    def write_tokens(self, prompt: str, job: Job, how: GenerationSettings, *, chat: bool = False) -> chats.Turn:
        """As `write`, token by token: each is reported as TokenWritten, and all are in the answer.

        Characters left half at the end are U+FFFD, in the last token.
        """
        return self.go_on((chats.Turn(prompt, question=chat),), job, how)

    def go_on(self, turns: Sequence[chats.Turn], job: Job, how: GenerationSettings) -> chats.Turn:
        """The last of `turns` with what the model writes after all of them, as `write_tokens` does."""
        from llm_studio.inference.inspect import most_likely

        began = time.perf_counter()
        tokens: list[chats.Token] = []
        pieces: list[str] = []
        for drawn, piece in self._drawn(turns, job, how):
            pieces.append(piece)
            if drawn is None:
                rest: Event = TextWritten(piece)
                if tokens:
                    tokens[-1] = replace(tokens[-1], text=tokens[-1].text + piece)
            else:
                own, best = most_likely(drawn.logits, drawn.token, chats.MOST_ALTERNATIVES)
                probability, others = round(own, chats.DECIMALS), self._named(best)
                tokens.append(chats.Token(drawn.token, piece, probability, others))
                rest = TokenWritten(drawn.token, piece, probability, others)
            job.report(rest)
            if len(tokens) % 10 == 0:
                job.report(Progress(_("Writing"), len(tokens), how.max_tokens, _("tokens")))
        return chats.Turn(
            prompt=turns[-1].prompt, text="".join(pieces), tokens=tuple(tokens), count=len(tokens),
            seconds=round(time.perf_counter() - began, 3), seed=how.seed or 0, model=self.name,
            question=turns[-1].question,
        )  # fmt: skip

    def next_token(self, text: str, *, chat: bool = False, before: Sequence[chats.Turn] = ()) -> "NextToken":
        """What might follow `text`, after the turns `before`; with `chat`, how its answer might begin."""
        from llm_studio.inference.generate import Reader
        from llm_studio.inference.inspect import no_gradients
        from llm_studio.workflows.generation.next_token import NextToken

        reader = Reader(self._model)
        with no_gradients():
            logits = reader.read(self._ids((*before, chats.Turn(text, question=chat)))).cpu()
        return NextToken(text, logits, reader.context, self._tokenizer)

    def _ids(self, turns: Sequence[chats.Turn]) -> list[int]:
        """What the model reads: plain turns as one text, questions and answers each behind their marker."""
        ids: list[int] = []
        for questions, group in groupby(turns, key=lambda turn: turn.question):
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
                _("The tokenizer of this model has no {user} and {assistant}: it can't be asked.").format(
                    user=USER, assistant=ASSISTANT
                ),
                _("Let it go on with a beginning instead."),
            )
        return known[USER], known[ASSISTANT]

    def _stops(self, asked: bool) -> tuple[int, ...]:
        """The tokens that end what is written. An answer ends where anyone's next turn begins."""
        known = self._tokenizer.markers
        names = [USER, ASSISTANT] if asked else [USER] if self.chat else []
        return (self._tokenizer.end_of_text, *(known[name] for name in names if name in known))

    def _named(self, likely: "list[TokenProb]") -> tuple[tuple[str, float], ...]:
        from llm_studio.workflows.generation.next_token import token_text

        return tuple((token_text(self._tokenizer, token), round(own, chats.DECIMALS)) for token, own in likely)

    def _drawn(
        self, turns: Sequence[chats.Turn], job: Job, how: GenerationSettings
    ) -> "Iterator[tuple[SampledToken | None, str]]":
        """Each token with the characters that it completes; last, without a token, what is left of a character."""
        from llm_studio.inference.generate import generate_with_logits

        decoder = self._tokenizer.stream()
        stop = self._stops(turns[-1].question)
        for drawn in generate_with_logits(self._model, self._ids(turns), how, stop):
            if job.stop_requested:
                break
            yield drawn, decoder.push(drawn.token)
        yield None, decoder.finish()


def load_generator(project: Project, job: Job, run: str | None = None, which: str = BEST) -> TextGenerator:
    """A Writer from a run's checkpoint: `which` is "best", "last", a step's number or a checkpoint's folder.

    A step of which only a snapshot is left is read from that.

    Raises ProjectError where nothing was trained, CheckpointError where the one asked for can't be read. Where
    "best" or "last" is damaged, the newest intact one serves, one of an earlier run if none is named, and the job
    is told.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.device import choose
    from llm_studio.inference.inspect import model_of
    from llm_studio.runs import checkpoint, snapshots

    found = _snapshot(project, run, which)
    chosen = found[0] if found else _choose(project, job, run, which)
    checkpoint.verify(chosen)
    settings = chosen.settings()
    tokenizer = Tokenizer.from_json(chosen.tokenizer_json())
    compute = choose(settings.training.model_copy(update={"device": "auto", "precision": "float32"}))
    weights = snapshots.read(found[1]) if found else chosen.weights()
    model = model_of(settings.model, chosen.state.vocab_size, weights).to(compute.device)
    name = f"{chosen.path.parent.name}/{found[1].stem if found else chosen.path.name}"
    return TextGenerator(model, tokenizer, project.settings(), name, chosen.conversations)


def answer(
    project: Project, writer: TextGenerator, chat: chats.Chat, prompt: str | None, how: GenerationSettings, job: Job,
    question: bool = False,
) -> chats.Chat:  # fmt: skip
    """The chat after one more turn, kept in the project: `prompt` and what the model writes after it.

    With `question` the prompt is asked in the form of conversations, and what is written is its answer. Without a
    prompt the model goes on with its last answer. What was written when the job is stopped is kept.
    """
    if prompt is None and chat.turns:
        old = chat.turns[-1]
        more = writer.go_on(chat.turns, job, how)
        turn = replace(
            old, text=old.text + more.text, tokens=(*old.tokens, *more.tokens) if old.tokens else (),
            count=old.count + more.count, seconds=old.seconds + more.seconds, seed=how.seed or 0, model=writer.name,
        )  # fmt: skip
        return chats.write(project, chat.before(len(chat.turns) - 1).followed_by(turn))
    asked = chats.Turn(prompt or "", question=question)
    return chats.write(project, chat.followed_by(writer.go_on((*chat.turns, asked), job, how)))


@dataclass(frozen=True)
class RunPoints:
    """The steps of a run that a model can be loaded from; `best` and `last` where it has a checkpoint."""

    run: str
    best: int
    last: int
    steps: tuple[int, ...]
    """The latest first, snapshots among them."""


def points(project: Project) -> tuple[RunPoints, ...]:
    """What can be loaded, of every run that has a checkpoint, the newest run first."""
    from llm_studio.runs import checkpoint, registry, snapshots

    found: list[RunPoints] = []
    for run in reversed(registry.listed(project)):
        folder = registry.folder(project, run.name)
        saved = checkpoint.listed(folder)
        best = checkpoint.best(saved)
        if best is not None:
            steps = {*snapshots.listed(folder), *(one.step for one in saved)}
            found.append(RunPoints(run.name, best.step, saved[-1].step, tuple(sorted(steps, reverse=True))))
    return tuple(found)


def _snapshot(project: Project, run: str | None, which: str) -> "tuple[Checkpoint, Path] | None":
    """The snapshot of a step that has no checkpoint, and a checkpoint of its run, for settings and tokenizer."""
    from llm_studio.runs import checkpoint, registry, snapshots

    if run is None or not which.isdecimal() or len(which) >= _LONGEST_STEP:
        return None
    folder = registry.folder(project, run)
    file = snapshots.listed(folder).get(int(which))
    if file is None or any(saved.step == int(which) for saved in checkpoint.listed(folder)):
        return None
    beside, _damaged = checkpoint.newest_intact(folder)
    return (beside, file) if beside else None


def _choose(project: Project, job: Job, run: str | None, which: str) -> "Checkpoint":
    from llm_studio.runs import checkpoint, registry

    step = int(which) if which.isdecimal() and len(which) < _LONGEST_STEP else None
    if which not in (BEST, LAST) and step is None:
        return checkpoint.read(_existing_folder(which))
    names = [registry.read(project, run).name] if run else [r.name for r in reversed(registry.listed(project))]
    if step is not None:
        return _of_step(project, names, step)
    damaged: list[str] = []
    for name in names:
        folder = registry.folder(project, name)
        found = _best_or_last(folder, which, job)
        if found:
            for other in damaged:
                job.report(Notice(_("Every checkpoint of the run “{name}” is damaged: the run “{other}” is used "
                                    "instead.").format(name=other, other=name), "warning"))  # fmt: skip
            return found
        if checkpoint.newest_intact(folder)[1]:
            damaged.append(name)
    if damaged:
        raise CheckpointError(_("Every checkpoint of the run “{name}” is damaged.").format(name=damaged[0]),
                              _("Start a new run."))  # fmt: skip
    raise ProjectError(_("This project has no trained model yet."),
                       _("Train one first: “llm-studio train {path}”.").format(path=quoted(project.root)),
                       "training")  # fmt: skip


def _of_step(project: Project, names: list[str], step: int) -> "Checkpoint":
    """The checkpoint of a step, in the first of these runs that has one."""
    from llm_studio.runs import checkpoint, registry

    saved = [found for name in names for found in checkpoint.listed(registry.folder(project, name))]
    of_step = next((found for found in saved if found.step == step), None)
    if of_step is None:
        raise CheckpointError(
            _("There is no checkpoint of step {step}.").format(step=step),
            _("There are: {steps}.").format(steps=", ".join(str(found.step) for found in saved) or _("none")),
        )
    return of_step


def _best_or_last(folder: Path, which: str, job: Job) -> "Checkpoint | None":
    from llm_studio.runs import checkpoint

    saved = checkpoint.listed(folder)
    wanted = checkpoint.best(saved) if which == BEST else (saved[-1] if saved else None)
    return wanted and _intact(wanted, folder, job)


def _existing_folder(which: str) -> Path:
    try:
        path = Path(which).expanduser()
        there = path.is_dir()
    except (OSError, RuntimeError):  # a name too long, or the home of no one
        path, there = Path(which), False
    if not there:
        raise CheckpointError(_("“{which}” is no checkpoint.").format(which=which),
                              _("Say best, last, the number of a step, or a checkpoint's folder."))  # fmt: skip
    return path


def _intact(wanted: "Checkpoint", folder: Path, job: Job) -> "Checkpoint | None":
    from llm_studio.runs import checkpoint

    try:
        checkpoint.verify(wanted)
    except CheckpointError as error:
        other, _damaged = checkpoint.newest_intact(folder)
        if other:
            job.report(Notice(_("{problem} Step {step} is used instead.").format(problem=error.what, step=other.step),
                              "warning"))  # fmt: skip
        return other
    return wanted
