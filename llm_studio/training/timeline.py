"""The timeline of a run: at each of its moments the weights, and what the model writes after the fixed prompts.

Writing takes time, of which the run shall lose 1 % at most. So from time to time the seconds that a step and a pass
through the model take are measured, and it follows from them how long the texts are, and whether each moment has some.
That is a decision of the clock: no weight depends on it, but it is recorded all the same, so that a run that is killed
and resumed, or repeated, has the same texts.
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
"""Of decisions in the journal of a run."""
FRACTION, SHORTEST_FRACTION = 0.0055, 0.0085
"""Of a run's time that its texts may take, and that the shortest may, by the pace measured at its beginning. They take
up to 1.4 times as much: most are written in its first tenth, before a machine becomes faster."""
ALWAYS = 1.0
"""Seconds that the shortest texts may take in any case: 1 % of a run of one minute is too little."""
SHORTEST, LONGEST = 10, 48
"""Tokens of a text; the shortest are written before the pace is known."""
LEAST = 12
"""Moments with texts, whatever they cost."""
PROMPTS = 8
"""Of the prompts of a run, so many of the first."""
TOP = 10
"""Candidates for the first token that are stored with their probabilities."""
_RARER = 1.1
"""Times as rare, in each attempt to find out how many moments can have texts."""
_FIRST, _GROWTH = 3, 4
"""The pace is measured after so many steps, and whenever there are so many times as many."""


@dataclass(frozen=True)
class Pace:
    """What a step takes, and one pass through the model, which writes a token of each text."""

    step_seconds: float
    pass_seconds: float

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Pace | None":
        """The pace in a decision; None where it makes no sense."""
        try:
            made = Pace(float(values["step_seconds"]), float(values["pass_seconds"]))
        except (KeyError, TypeError, ValueError):
            return None
        return made if made.step_seconds > 0 and made.pass_seconds > 0 else None


@dataclass(frozen=True)
class TextPlan:
    """How many `tokens` a text has, and that one in about `every` so many moments has texts."""

    tokens: int
    every: float


def plan_texts(last: int, pace: Pace | None, passes_of: Callable[[int], int]) -> TextPlan:
    """The longest texts that a run of `last` steps has the time for; if need be not at each moment.

    `passes_of`: those of a moment whose texts have so many tokens.
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
    """Stores the moments of one run. Every process must call it; the first one writes."""

    def __init__(
        self, context: RunContext, update: Updater, saves: CheckpointSaver, took: Callable[[float], object], job: Job,
        notify: Callable[[Notice], object],
    ) -> None:  # fmt: skip
        """`took` is called with the seconds of each moment. Texts are given up when `job` is asked to stop."""
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
        """Stand at `step`: at the beginning, after a resume or a rollback."""
        group, made = self._context.group, self._context.decisions.latest(KIND, step)
        self._pace = Pace.from_dict(group.broadcast(made.values if made else {}))
        self._steps, self._passes = _Mean(), _Mean()
        # several processes stop between two steps, so that no moment is missing
        self._written = (step or -1) if group.count > 1 else moments.last_step(self._context.folder)
        if not self._reported:
            self._reported = True
            self._report_storage()

    def _report_storage(self) -> None:
        """Say if the weights are stored less precisely than usual, or take more disk space than was allowed."""
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
        """A step took so long."""
        self._steps.add(seconds, 1)

    def is_due(self, step: int) -> bool:
        """Whether something is to be done after `step` steps."""
        return moments.is_due(step, self._update.settings.training.max_steps) or _is_measured(step)

    def record(self, now: TrainingProgress) -> None:
        """Store the moment of this step, if there is one."""
        began = self._context.clock.seconds
        if _is_measured(now.step):
            self._measure(now.step)
        if moments.is_due(now.step, self._update.settings.training.max_steps):
            self._saves.snapshot(self._update, now.step)
            self.write_texts(now)
        self._took(self._context.clock.seconds - began)

    def write_texts(self, now: TrainingProgress) -> None:
        """Let the model write, where texts of this step are due and not there: a stop may have prevented them."""
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
        """What the model writes after the prompts, nothing in other processes than the first; None when stopped."""
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
        """Decide on the pace after `step` steps: as before, where that was decided before."""
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
    """Seconds of one of many. The first of a session takes longer and is left out."""

    def __init__(self, first: bool = True) -> None:
        self._first, self._seconds, self._count = first, 0.0, 0

    def add(self, seconds: float, count: int) -> None:
        """So many took so long together."""
        if self._first:
            self._first = False
            return
        self._seconds, self._count = self._seconds + seconds, self._count + count

    @property
    def mean(self) -> float:
        """0 where none is known."""
        return self._seconds / self._count if self._count else 0.0


def _is_measured(step: int) -> bool:
    """Whether the pace is measured after `step` steps."""
    while step > _FIRST and step % _GROWTH == 0:
        step //= _GROWTH
    return step == _FIRST


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
