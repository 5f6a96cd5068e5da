"""The timeline of a run: the weights at each of its moments, and the texts that the model writes for fixed prompts.

Writing should take at most 1 % of the run's time. So the seconds per step and per forward pass are measured from time
to time; they determine how long the texts are, and whether every moment has texts. This decision depends on the clock.
It affects no weights, but it is recorded nevertheless, so that a run that is killed and resumed, or repeated, has the
same texts.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from llm_studio.errors import Cancelled
from llm_studio.events import MomentStored, Notice
from llm_studio.i18n import _, number, size
from llm_studio.inference.greedy import GreedyTokens, passes, write_greedily
from llm_studio.jobs import Job
from llm_studio.runs import moments, snapshots
from llm_studio.runs.moments import Candidate, GreedyText, Moment
from llm_studio.training import evaluation, memory
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.saving import CheckpointSaver, RunContext
from llm_studio.training.step import Updater

KIND = "moments"
"""The kind of these decisions in the run's log of decisions."""
FRACTION, SHORTEST_FRACTION = 0.0055, 0.0085
"""Fraction of a run's time planned for its texts, and for texts of the minimum length, based on the pace measured at
its beginning. They take up to 1.4 times as much: most are written in the first tenth, before a machine becomes
faster."""
ALWAYS = 1.0
"""Seconds that texts of the minimum length may always take: 1 % of a run of one minute is too little."""
SHORTEST, LONGEST = 10, 48
"""Minimum and maximum tokens of a text; texts have the minimum until the pace is known."""
LEAST = 12
"""Minimum number of moments with texts, however long they take."""
PROMPTS = 8
"""Maximum number of prompts: the first ones of the run are used."""
TOP = 10
"""Number of candidates for the first token that are stored with their probabilities."""
_RARER = 1.1
"""Factor between the spacings of texts that are tried."""
_FIRST, _GROWTH = 3, 4
"""The pace is measured after `_FIRST` steps, and each time the number of steps has grown by the factor `_GROWTH`."""


@dataclass(frozen=True)
class Pace:
    """Seconds per step, and per forward pass, which generates one token of each text."""

    step_seconds: float
    pass_seconds: float

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Pace | None":
        """The pace in a decision; None if its values are missing or invalid."""
        try:
            made = Pace(float(values["step_seconds"]), float(values["pass_seconds"]))
        except (KeyError, TypeError, ValueError):
            return None
        return made if made.step_seconds > 0 and made.pass_seconds > 0 else None


@dataclass(frozen=True)
class TextPlan:
    """Each text has at most `tokens` tokens, and about one in `every` moments has texts."""

    tokens: int
    every: float


def plan_texts(last: int, pace: Pace | None, passes_of: Callable[[int], int]) -> TextPlan:
    """The longest texts that a run of `last` steps has time for; if even the shortest take too long, fewer moments have
    texts.

    `passes_of`: number of forward passes at a moment, as a function of the tokens per text.
    """
    if pace is None:
        return TextPlan(SHORTEST, 1.0)
    seconds = last * pace.step_seconds
    for tokens in range(LONGEST, SHORTEST, -1):
        if moments.count(last) * passes_of(tokens) * pace.pass_seconds <= FRACTION * seconds:
            return TextPlan(tokens, 1.0)
    possible = max(SHORTEST_FRACTION * seconds, ALWAYS) / pace.pass_seconds
    every = 1.0
    while moments.count(last, every) * passes_of(SHORTEST) > possible and moments.count(last, _RARER * every) >= LEAST:
        every *= _RARER
    return TextPlan(SHORTEST, every)


class Timeline:
    """Stores the moments of one run. Every process must call its methods; only the first one writes."""

    def __init__(
        self, context: RunContext, update: Updater, saves: CheckpointSaver, took: Callable[[float], object], job: Job,
        notify: Callable[[Notice], object],
    ) -> None:  # fmt: skip
        """`took` is called with the seconds that each moment took. If `job` is stopped, its texts are skipped."""
        self._context, self._update, self._saves = context, update, saves
        self._took, self._job, self._notify = took, job, notify
        self._chat = context.learns_answers(update.settings)
        self._prompts = context.prompts[:PROMPTS]
        self._ids = [evaluation.prompt_ids(context.tokenizer, prompt, self._chat) for prompt in self._prompts]
        self._pace: Pace | None = None
        self._steps, self._passes = _Mean(), _Mean()
        self._written = -1  # the step of the last moment with texts
        self._warned = self._reported = False

    def begin(self, step: int) -> None:
        """Prepare for the steps after `step`: at the start, after a resume or a rollback."""
        group, made = self._context.group, self._context.decisions.latest(KIND, step)
        self._pace = Pace.from_dict(group.broadcast(made.values if made else {}))
        self._steps, self._passes = _Mean(), _Mean()
        # several processes stop only between two steps, so no texts can be missing
        self._written = (step or -1) if group.count > 1 else moments.last_step(self._context.folder)
        if not self._reported:
            self._reported = True
            self._report_storage()

    def _report_storage(self) -> None:
        """Report a notice if the weights are stored as int8, or take more disk space than the setting allows."""
        training = self._update.settings.training
        limit = training.snapshot_megabytes * 1_000_000
        found = snapshots.storage(self._update.model.parameter_count(), moments.count(training.max_steps), limit)
        if not limit or found.precision == "float16":
            return
        text = _("The weights at {count} moments of the run are stored as int8, {size} in all: as float16 they would "
                 "take more than the {limit} of training.snapshot_megabytes.")  # fmt: skip
        if found.total > limit:
            text = _("The weights at {count} moments of the run are stored as int8, {size} in all: more than the "
                     "{limit} of training.snapshot_megabytes, since so many are always kept.")  # fmt: skip
        self._notify(Notice(text.format(count=number(found.count), size=size(found.total), limit=size(limit))))

    def stepped(self, seconds: float) -> None:
        """Note the duration of a step."""
        self._steps.add(seconds, 1)

    def is_due(self, step: int) -> bool:
        """Whether `record` has something to do after `step` steps."""
        return moments.is_due(step, self._update.settings.training.max_steps) or _is_measured(step)

    def record(self, now: TrainingProgress) -> None:
        """Store the moment and measure the pace, if due at the current step."""
        began = self._context.clock.seconds
        if _is_measured(now.step):
            self._measure(now.step)
        if moments.is_due(now.step, self._update.settings.training.max_steps):
            self._saves.snapshot(self._update, now.step)
            self.write_texts(now)
        self._took(self._context.clock.seconds - began)

    def write_texts(self, now: TrainingProgress) -> None:
        """Write the texts of the current step, if they are due and missing: a stop may have prevented them."""
        last = self._update.settings.training.max_steps
        plan = plan_texts(last, self._pace, lambda tokens: passes([len(ids) for ids in self._ids], tokens))
        if now.step <= self._written or not moments.is_due(now.step, last, plan.every):
            return
        texts = self._texts(plan.tokens)
        if texts is None:
            return
        self._written = now.step
        if self._context.group.first:
            moment = Moment(now.step, now.tokens, texts)
            self._context.writer.write_now(lambda: moments.append(self._context.folder, moment))
        self._context.writer.report(MomentStored(now.step, now.tokens, now.seconds))

    def _texts(self, tokens: int) -> tuple[GreedyText, ...] | None:
        """The model's texts for the prompts, () in all processes except the first; None after a stop or if memory runs
        out."""
        model, tokenizer = self._update.writer(), self._context.tokenizer
        if model is None or not self._context.group.first:
            return ()
        began, computed = self._context.clock.seconds, 0

        def check() -> None:
            nonlocal computed
            self._job.check()
            computed += 1

        stop = evaluation.stop_tokens(tokenizer, self._chat)
        try:
            written = write_greedily(model, self._ids, tokens, stop, TOP, check)
        except Cancelled:
            return None
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            if not self._warned:
                self._notify(Notice(_("There was not enough memory to let the model write."), "warning"))
            self._warned = True
            return None
        self._passes.add(self._context.clock.seconds - began, computed)
        return tuple(self._text(prompt, text) for prompt, text in zip(self._prompts, written, strict=True))

    def _text(self, prompt: str, written: GreedyTokens) -> GreedyText:
        tokenizer, decoder = self._context.tokenizer, self._context.tokenizer.stream()
        pieces = [decoder.push(pair.token) for pair in written.tokens]
        if pieces:
            pieces[-1] += decoder.finish()
        ids = tuple(pair.token for pair in written.tokens)
        probabilities = tuple(_rounded(pair.probability) for pair in written.tokens)
        top = tuple(Candidate(pair.token, tokenizer.decode([pair.token]), _rounded(pair.probability))
                    for pair in written.top)  # fmt: skip
        return GreedyText(prompt, ids, tuple(pieces), probabilities, written.ended, top)

    def _measure(self, step: int) -> None:
        """Decide on the pace after `step` steps, or repeat the recorded decision."""
        context, pace = self._context, self._pace
        log, made = context.decisions, context.decisions.made_at(KIND, step)
        if made is not None:
            pace = Pace.from_dict(made.values)
        elif step > log.last_step(KIND) and not log.full and self._steps.mean and self._passes.mean:
            new = Pace(_rounded(self._steps.mean), _rounded(self._passes.mean))
            context.writer.write_now(lambda: log.record(step, KIND, **asdict(new)))
            pace = new
            self._steps, self._passes = _Mean(first=False), _Mean(first=False)
        self._pace = Pace.from_dict(context.group.broadcast(asdict(pace) if pace else {}))


class _Mean:
    """Mean seconds of repeated operations. With `first`, the first measurement is left out, since it takes longer."""

    def __init__(self, first: bool = True) -> None:
        self._first, self._seconds, self._count = first, 0.0, 0

    def add(self, seconds: float, count: int) -> None:
        """Add `count` operations that took `seconds` in all."""
        if self._first:
            self._first = False
            return
        self._seconds, self._count = self._seconds + seconds, self._count + count

    @property
    def mean(self) -> float:
        """Seconds per operation; 0 if there are none."""
        return self._seconds / self._count if self._count else 0.0


def _is_measured(step: int) -> bool:
    """Whether the pace is measured after `step` steps."""
    while step > _FIRST and step % _GROWTH == 0:
        step //= _GROWTH
    return step == _FIRST


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
