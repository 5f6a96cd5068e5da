"""The training loop: one `Trainer` trains one run, from step 0 or from a checkpoint.

Batches and dropout are functions of (seed, step), evaluation and sampling use their own generators, and nothing else
uses torch's global generator: so a run that was killed and resumed ends with identical weights. Decisions that depend
on the clock (to save) change no weights; those that change weights depend on steps and losses alone.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

from llm_studio.config import Settings
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.device import Compute
from llm_studio.errors import CheckpointError
from llm_studio.events import Evaluated, Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.runs.checkpoint import Checkpoint
from llm_studio.runs.loop_state import LoopState
from llm_studio.training import memory, pipeline
from llm_studio.training.evaluator import Evaluator
from llm_studio.training.health import recovery
from llm_studio.training.health.recovery import Verdict
from llm_studio.training.prefetch import BatchPrefetcher
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.reporter import StepReporter
from llm_studio.training.run_schedule import RunSchedule
from llm_studio.training.saving import CheckpointSaver, RunContext, learns_conversations
from llm_studio.training.step import PendingGradients, StepOutcome, Updater, fitting
from llm_studio.training.thread_control import ThreadControl
from llm_studio.training.timeline import Timeline
from llm_studio.training.writer import NotSavedError

_T = TypeVar("_T")


class Trainer:
    """Trains one model."""

    def __init__(self, material: RunContext, settings: Settings, compute: Compute, job: Job) -> None:
        self._material, self._writer = material, material.writer
        self._compute, self._job, self._group = compute, job, material.group
        self._threads = ThreadControl(settings, compute, material.decisions, job)
        memory.keep_within_card(compute.device)
        self._batches = BatchPrefetcher(material.tokens, material.learns_answers(settings), compute.device == "cuda")
        inner = job if self._group.count == 1 else Job()  # processes of a group stop together, between two steps
        self._update = Updater(self._batches, material.tokenizer.vocab_size, settings, compute, inner, self._group)
        self._steps = pipeline.steps(self._update, compute, self._group)
        self._reporter = StepReporter(material.writer, job, material.tokenizer.vocab_size, settings, compute)
        self._now, self._saves = TrainingProgress(clock=material.clock), CheckpointSaver(material)
        self._schedule = RunSchedule(material, self._update, lambda: self._now.seconds)
        self._evaluator = Evaluator(material, self._update, compute, inner, job.report)
        self._timeline = Timeline(material, self._update, self._saves, self._schedule.paused, inner, job.report)
        self.bytes_per_token: float | None = None  # mean over the validation tokens
        self.learns_conversations = learns_conversations(material.tokens, settings)
        self._save_soon = self._stopping = False

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._now.step

    @property
    def settings(self) -> Settings:
        """The run's settings, with the micro-batch that fits into memory."""
        return self._update.settings

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return self._update.model.parameter_count()

    @property
    def last_saved(self) -> LoopState | None:
        """State of the last complete checkpoint on disk."""
        return self._saves.whole

    def state(self) -> LoopState:
        """The current state."""
        scaler = self._update.scaler.state_dict()
        return self._now.state(self._material.tokenizer.vocab_size, self._compute, self._material.fingerprint, scaler)

    # --- Start -----------------------------------------------------------------------------------------------------

    def begin_with(self, origin: Checkpoint) -> None:
        """Start with the weights of a checkpoint instead of new ones. Raises CheckpointError if they don't fit."""
        self._update.load(origin.weights(self._update.model.state_dict()))

    def restore(self, saved: Checkpoint) -> None:
        """Resume from `saved`."""
        self._update.restore(saved)
        self._now = TrainingProgress.of(saved.state, self._material.clock)
        self._threads.resume(self._now)
        self._saves.begin(saved.state)

    def note_changes(self, changes: dict[str, Any]) -> None:
        """Note that the user has changed settings of the run."""
        self._now.changed(changes)

    def first_batch(self) -> None:
        """Draw the sequences of the first step and of an evaluation. Raises DataError if there are too few tokens."""
        self._update.first_batch()
        self.bytes_per_token = self._saves.measure_bytes(self.settings)

    def report_start(self) -> None:
        """Report the step from which training starts."""
        training, material = self.settings.training, self._material
        data = material.tokens.fingerprint_for(training.loss_on)
        self._reporter.started(material.folder.name, self.step, training.max_steps, self.parameters, data)

    # --- The loop --------------------------------------------------------------------------------------------------

    def train(self) -> bool:
        """Train to the last step, or until the job is asked to stop; returns whether the last step was reached.

        The work is saved in both cases, except after a stop while the disk is full: see `last_saved`. Raises
        TrainingError if the loss diverges repeatedly, DataError if the tokens are damaged, and StorageError if writing
        to the disk fails; what was saved before is kept.
        """
        try:
            with self._batches, self._writer:
                self._schedule.begin(self.step)
                self.report_start()
                self._timeline.begin(self.step)
                self._train()
                self._writer.finish()
        except NotSavedError:
            step = number(self.last_saved.step if self.last_saved else 0)
            text = _("Stopped while nothing could be saved: all steps after {step} are lost.").format(step=step)
            self._job.report(Notice(text, "warning"))
            return False
        return self.step >= self.settings.training.max_steps

    def _train(self) -> None:
        if self.step == 0:
            self._timeline.record(self._now)
            if not self._material.from_nothing:
                self.save()  # so that resuming doesn't depend on the original run
        self._catch_up()
        while self.step < self.settings.training.max_steps and not self._stopping:
            before = self.step
            if not self._one_step():
                break
            if self.step > before:
                self._after_step()
            self._writer.look()
        if self._saves.step < self.step:
            self.save()

    def _catch_up(self) -> None:
        """Evaluate and write samples, if a stop prevented it after the checkpoint that this run resumes from."""
        if self.step and not self._now.evaluated and _evaluation_is_due(self.step, self.settings) and self._evaluate():
            self.save(by_step=True)
        self._schedule.adjust(self.step)
        self._timeline.write_texts(self._now)

    def _after_step(self) -> None:
        settings = self.settings.training
        last = self.step == settings.max_steps
        time_is_up = self._saves.time_is_up(settings.checkpoint_minutes)
        requested = self._job.take_save_request() or self._save_soon or time_is_up
        if self._steps.ahead:  # the weights are one step further: save when it is known
            self._save_soon = requested
            return
        self._stopping, requested = self._group.any_of(self._job.stop_requested, requested)
        best = _evaluation_is_due(self.step, self.settings) and self._evaluate()
        self._schedule.adjust(self.step)  # first, since the last step determines which moments are due
        self._timeline.record(self._now)
        by_step = best or last or self.step % settings.checkpoint_interval == 0
        if by_step or requested:
            self.save(by_step)

    def _one_step(self) -> bool:
        """Do one step, or a rollback; False if the job was stopped meanwhile, with the weights unchanged."""
        self._threads.before_step(self._now)
        self._material.clock.begin_step()
        settings, trouble = self.settings.training, self._now.recovery
        if trouble.is_poison(self.step + 1):
            self._skip(math.nan, math.nan)
            return True
        outcome = self._steps.outcome(self.step, self._gradients, self._rate, self._next_step_may_start)
        if outcome is None:
            return False
        chance = math.log(self._material.tokenizer.vocab_size)
        verdict = trouble.judge(self.step + 1, outcome.to_judge, settings.warmup_steps, chance)
        if verdict is Verdict.FINE and outcome.is_number:
            rate = self._rate(self.step + 1)
            self._steps.accept(rate)
            self._count(outcome, rate, self._material.clock.end_step())
            return True
        self._steps.refuse()
        if verdict is Verdict.GIVE_UP:
            raise recovery.given_up(self.step + 1, trouble.rate_factor * settings.learning_rate)
        if verdict is Verdict.GO_BACK:
            self._go_back()
        else:
            self._skip(outcome.loss, outcome.norm)
        return True

    def _gradients(self, step: int) -> PendingGradients | None:
        return self._fitting(lambda: self._update.gradients(step), step)

    def _rate(self, step: int) -> float:
        return self._now.recovery.rate_factor * self._schedule.rate(step)

    def _next_step_may_start(self) -> bool:
        """Whether nothing must be measured, saved or skipped between the next step and the one after."""
        after, trouble = self.step + 1, self._now.recovery
        due = _evaluation_is_due(after, self.settings) or self._timeline.is_due(after) or self._schedule.is_due(after)
        return not (due or self._save_soon or trouble.is_poison(after + 1) or self._job.stop_requested)

    def _count(self, outcome: StepOutcome, rate: float, seconds: float) -> None:
        # if questions filled the whole step, no target counted and its loss is meaningless: report the mean so far
        loss = outcome.loss if outcome.learned or self._now.train_loss is None else self._now.train_loss
        tokens = self._update.tokens_per_step
        self._now.count(tokens, loss)
        self._timeline.stepped(seconds)
        last, left = self.settings.training.max_steps, self._schedule.seconds_left
        self._reporter.step(self._now, loss, rate, outcome, tokens, seconds, last, left)

    # --- Rollback --------------------------------------------------------------------------------------------------

    def _skip(self, loss: float, norm: float) -> None:
        self._now.count(self._update.tokens_per_step, None)
        self._reporter.skipped(self.step, loss, norm)

    def _go_back(self) -> None:
        """Roll back to the last good checkpoint and continue at half the rate."""
        self._steps.drop()
        self._writer.finish()
        self._group.wait_for_all()  # until the first process has saved
        before, diverged_at = self._now, self.step + 1
        saved = self._saves.newest(before.recovery.target(diverged_at))
        if saved:
            self.restore(saved)
        elif self._material.from_nothing:
            self._update.restart()
            self._now = TrainingProgress(clock=self._material.clock)
            self._saves.begin(None)
        else:
            raise CheckpointError(_("The weights that the run began with are no longer there."), _("Start a new run."))
        self._now = before.gone_back(self._now)
        self._saves.remove_after(self.step)
        self._schedule.begin(self.step)
        self._timeline.begin(self.step)
        self._reporter.gone_back(self._now, diverged_at)
        self.report_start()
        self._catch_up()

    def _fitting(self, action: Callable[[], _T], step: int) -> _T:
        """Run `action` after `step` steps, with smaller micro-batches if memory runs out."""
        if self._group.count > 1:  # the others would wait for this process
            return action()

        def halved(smaller: Settings) -> None:
            self._save_soon = True  # a resume must start with the same micro-batches
            self._now.note(batch_size=smaller.training.batch_size)
            self._reporter.halved(smaller, step + 1)

        return fitting(self._update, self._compute.device, action, halved)

    # --- Evaluations and checkpoints -------------------------------------------------------------------------------

    def _evaluate(self) -> bool:
        """Measure the validation loss and write samples; returns whether the loss is the lowest so far."""
        began = self._now.seconds
        loss = self._fitting(self._evaluator.validation_loss, self.step)
        if loss is None:
            return False
        best = self._now.measured(loss)
        self._writer.report(Evaluated(self.step, loss, best, bits_per_byte(loss, self.bytes_per_token)))
        self._evaluator.write_samples(self.step)
        self._schedule.evaluated(self._now.seconds - began)
        return best

    def save(self, by_step: bool = False) -> None:
        """Have a checkpoint of this step written; `by_step`: it is due by its step, so every repetition has it."""
        if by_step:
            self._now.recovery.saved(self.step)
        self._saves.checkpoint(self._update, self.state(), self._now.recovery.needed)
        self._save_soon = False


def _evaluation_is_due(step: int, settings: Settings) -> bool:
    """At each interval, and at each checkpoint due by its step, to find the best of them."""
    training = settings.training
    every = (training.eval_interval, training.checkpoint_interval, training.max_steps)
    return any(step % interval == 0 for interval in every)
