"""The training loop: one `Trainer` trains one run, from step 0 or from a checkpoint.

Batches and dropout are functions of (seed, step), evaluation and samples have generators of their own, and nothing
else touches torch's global generator: so a run that was killed and resumed ends with the very same weights. What is
decided by the clock (to save) changes no weight; what changes weights is decided by steps and losses alone.
"""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import CheckpointError
from llm_studio.events import Evaluated, Notice, RolledBack, RunStarted, SampleWritten, StepDone, StepSkipped
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.training import checkpoint, evaluation, memory, recovery, snapshots
from llm_studio.training.checkpoint import Checkpoint, LoopState
from llm_studio.training.keeping import NotSavedError
from llm_studio.training.recovery import Verdict
from llm_studio.training.saving import Material, Saves, learns_conversations
from llm_studio.training.scheduler import learning_rate
from llm_studio.training.standing import Standing
from llm_studio.training.step import Outcome, Update, fitting, told_halved
from llm_studio.training.throughput import Throughput
from llm_studio.training.watch import Pace, Watch

_T = TypeVar("_T")


class Trainer:
    """Trains one model."""

    def __init__(self, material: Material, settings: Settings, compute: Compute, job: Job) -> None:
        self._material = material
        self._keeper = material.keeper
        self._compute = compute
        self._job = job
        torch.set_num_threads(compute.threads)
        memory.keep_within_card(compute.device)
        vocab_size = material.tokenizer.vocab_size
        self._group = material.group
        # several processes stop together, between two steps
        self._inner_job = job if self._group.count == 1 else Job()
        self._update = Update(material.tokens, vocab_size, settings, compute, self._inner_job, self._group)
        self._answers_only = settings.training.loss_on == "answers" and material.tokens.has_conversations
        self._watch = Watch(vocab_size, settings.training.warmup_steps)
        self._pace = Pace(compute.device)
        self._throughput = Throughput()
        self._now = Standing()
        self._saves = Saves(material)
        self._save_soon = self._stopping = False

    @property
    def step(self) -> int:
        """Steps done."""
        return self._now.step

    @property
    def settings(self) -> Settings:
        """The run's settings, with the micro-batch that fits into memory."""
        return self._update.settings

    @property
    def parameters(self) -> int:
        """Numbers that are learned."""
        return self._update.model.parameter_count()

    @property
    def last_saved(self) -> LoopState | None:
        """Where the last checkpoint stands that is whole on the disk."""
        return self._saves.whole

    @property
    def learns_conversations(self) -> bool:
        """Whether some of what it is trained on are conversations."""
        return learns_conversations(self._material.tokens, self.settings)

    def state(self) -> LoopState:
        """Where it stands."""
        scaler = self._update.scaler.state_dict()
        return self._now.state(self._material.tokenizer.vocab_size, self._compute, self._material.fingerprint, scaler)

    # --- Where it begins -------------------------------------------------------------------------------------------

    def begin_with(self, weights: dict[str, torch.Tensor]) -> None:
        """Begin with these weights instead of new ones."""
        self._update.load(weights)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from where `saved` was made."""
        self._update.restore(saved)
        self._now = Standing.of(saved.state)
        self._saves.begin(saved.state)

    def note_changes(self, changes: dict[str, Any]) -> None:
        """The user has changed settings: the scheduled rate holds, and losses are judged anew."""
        self._now.recovery = self._now.recovery.forgotten()
        self._now.note(settings=changes)

    def first_batch(self) -> None:
        """Draw what the first step and an evaluation will draw. Raises DataError where there are too few tokens."""
        self._update.first_batch()
        evaluation.sequences(self._material.tokens, self.settings)

    def tell_begun(self) -> None:
        """Say from where it goes on."""
        fingerprint = self._material.tokens.fingerprint_for(self.settings.training.loss_on)
        compute = self._compute
        self._keeper.tell(RunStarted(
            self._material.folder.name, self.step, self.settings.training.max_steps, self.parameters,
            compute.device, compute.precision, compute.threads, fingerprint,
        ))  # fmt: skip

    # --- The loop --------------------------------------------------------------------------------------------------

    def train(self) -> bool:
        """Train to the last step, or until the job is asked to stop; True when the last step was reached.

        The work is saved in both cases, but for a stop while the disk is full: `last_saved` tells. Raises
        TrainingError when the loss diverges again and again, and StorageError when the disk refuses to be written to;
        what was saved before stays.
        """
        try:
            with self._keeper:
                self._train()
                self._keeper.finish()
        except NotSavedError:
            step = number(self.last_saved.step if self.last_saved else 0)
            text = _("Stopped while the disk was full: what was done after step {step} is lost.").format(step=step)
            self._job.report(Notice(text, "warning"))
            return False
        return self.step >= self.settings.training.max_steps

    def _train(self) -> None:
        if self.step == 0:
            self._saves.snapshot(self._update, 0)
            if not self._material.from_nothing:
                self.save()  # so that the run can be gone on with whatever becomes of its origin
        self._catch_up()
        while self.step < self.settings.training.max_steps and not self._stopping:
            before = self.step
            if not self._one_step():
                break
            if self.step > before:
                self._after_step()
            self._keeper.look()
        if self._saves.step < self.step:
            self.save()

    def _catch_up(self) -> None:
        """Do the evaluation that a stop prevented when the checkpoint was saved that the run goes on from."""
        if self.step and not self._now.evaluated and _evaluation_is_due(self.step, self.settings) and self._evaluate():
            self.save(by_step=True)

    def _after_step(self) -> None:
        settings = self.settings.training
        last = self.step == settings.max_steps
        asked = self._job.take_save_request() or self._save_soon or self._saves.time_is_up(settings.checkpoint_minutes)
        self._stopping, asked = self._group.any_of(self._job.stop_requested, asked)
        best = _evaluation_is_due(self.step, self.settings) and self._evaluate()
        if last or snapshots.is_due(self.step):
            self._saves.snapshot(self._update, self.step)
        by_step = best or last or self.step % settings.checkpoint_interval == 0
        if by_step or asked:
            self.save(by_step)

    def _one_step(self) -> bool:
        """One step, or a step back; False when the job was stopped on the way, with the weights as they were."""
        began = time.perf_counter()
        settings, trouble = self.settings.training, self._now.recovery
        if trouble.is_poison(self.step + 1):
            self._skip(math.nan, math.nan)
            return True
        outcome = self._fitting(lambda: self._update.gradients(self.step))
        if outcome is None:
            return False
        told = outcome.loss if outcome.is_number else math.nan
        chance = math.log(self._material.tokenizer.vocab_size)
        verdict = trouble.judge(self.step + 1, told if outcome.learned else None, settings.warmup_steps, chance)
        if verdict is Verdict.FINE and outcome.is_number:
            rate = trouble.rate_factor * learning_rate(self.step + 1, settings)
            self._update.apply(rate)
            self._count(outcome, rate, time.perf_counter() - began)
            return True
        self._update.skip()
        if verdict is Verdict.GIVE_UP:
            raise recovery.given_up(self.step + 1, trouble.rate_factor * settings.learning_rate)
        if verdict is Verdict.GO_BACK:
            self._go_back()
        else:
            self._skip(outcome.loss, outcome.norm)
        return True

    def _count(self, outcome: Outcome, rate: float, seconds: float) -> None:
        tokens = self._update.tokens_per_step
        self._throughput.add(tokens, seconds)
        # where questions filled the whole step, its loss is nothing to be told: the mean so far stands for it
        mean = self._now.train_loss
        loss = outcome.loss if outcome.learned or mean is None else mean
        self._now.count(tokens, loss)
        left = (self.settings.training.max_steps - self.step) * self._throughput.seconds_per_step
        self._keeper.tell(StepDone(self.step, loss, rate, outcome.norm, self._now.tokens,
                                   self._throughput.tokens_per_second, left))  # fmt: skip
        for warning in (self._watch.warning(self.step, loss), self._pace.warning(seconds)):
            if warning:
                self._job.report(Notice(warning, "warning"))

    # --- Trouble ---------------------------------------------------------------------------------------------------

    def _skip(self, loss: float, norm: float) -> None:
        self._now.count(self._update.tokens_per_step, None)
        self._keeper.tell(StepSkipped(self.step, loss, norm))
        text = _("At step {step} the loss is no longer a number: the step is skipped.").format(step=number(self.step))
        self._job.report(Notice(text, "warning"))

    def _go_back(self) -> None:
        """Go on from the last good checkpoint, at half the rate."""
        self._keeper.finish()
        self._group.wait_for_all()  # what the first process has saved can be read by all
        before, folder = self._now, self._material.folder
        diverged_at = self.step + 1
        saved = checkpoint.newest_intact(folder, before.recovery.target(diverged_at))[0]
        if saved:
            self.restore(saved)
        elif self._material.from_nothing:
            self._update.restart()
            self._now = Standing()
            self._saves.begin(None)
        else:
            raise CheckpointError(_("The weights that the run began with are no longer there."), _("Start a new run."))
        self._now = before.gone_back(self._now)
        self._group.wait_for_all()
        if self._group.first:
            checkpoint.remove_after(folder, self.step)
            snapshots.remove_after(folder, self.step)
        factor = self._now.recovery.rate_factor
        self._keeper.cut_log(self.step, self._now.evaluated)
        self._keeper.tell(RolledBack(self.step, diverged_at, factor))
        self._job.report(recovery.told_back(diverged_at, self.step, factor))
        self.tell_begun()
        self._catch_up()

    def _fitting(self, action: Callable[[], _T]) -> _T:
        """Do `action`, with smaller micro-batches where memory runs out."""
        if self._group.count > 1:  # the others wait for this process, and wouldn't know
            return action()
        return fitting(self._update, self._compute.device, action, self._tell_halved)

    def _tell_halved(self, smaller: Settings) -> None:
        self._pace.begin_anew()
        self._save_soon = True  # what is repeated after a kill begins with the same micro-batches
        self._now.note(batch_size=smaller.training.batch_size)
        self._job.report(told_halved(smaller, self.step + 1))

    # --- What it measures and saves --------------------------------------------------------------------------------

    def _evaluate(self) -> bool:
        """Measure the validation loss, and let the model write; True where the loss is the lowest so far."""
        model, tokens = self._update.model, self._material.tokens
        loss = self._fitting(lambda: evaluation.validation_loss(model, tokens, self.settings, self._compute,
                                                                self._inner_job, self._group))  # fmt: skip
        if loss is None:
            return False
        best = self._now.measured(loss)
        self._keeper.tell(Evaluated(self.step, loss, best))
        writer, texts = self._update.writer(), self._material
        if writer is not None and not evaluation.say_samples(
            writer, texts.tokenizer, texts.prompts, self.settings, self._inner_job, self._answers_only,
            lambda prompt, text: self._keeper.tell(SampleWritten(self.step, prompt, text)),
        ):  # fmt: skip
            self._job.report(Notice(_("There was not enough memory to let the model write."), "warning"))
        return best

    def save(self, by_step: bool = False) -> None:
        """Have a checkpoint of this step written; `by_step`: it is there in every repetition of the run."""
        if by_step:
            self._now.recovery.saved(self.step)
        self._saves.checkpoint(self._update, self.state(), self._now.recovery.needed)
        self._save_soon = False


def _evaluation_is_due(step: int, settings: Settings) -> bool:
    """At each interval, and at each checkpoint of a step, so that the best of these can be told."""
    training = settings.training
    every = (training.eval_interval, training.checkpoint_interval, training.max_steps)
    return any(step % interval == 0 for interval in every)
