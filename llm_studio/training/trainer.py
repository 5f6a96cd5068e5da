"""The training loop: one `Trainer` trains one run, from step 0 or from a checkpoint.

Batches and dropout are functions of (seed, step), evaluation and samples have generators of their own, and nothing
else touches torch's global generator: so a run that was killed and resumed ends with the very same weights.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from llm_studio.config import Settings
from llm_studio.data import batches
from llm_studio.data.dataset import Tokens
from llm_studio.data.tokenizer import Tokenizer
from llm_studio.device import Compute
from llm_studio.events import Evaluated, Event, Notice, SampleWritten, StepDone
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.training import checkpoint, evaluation, optimizer, snapshots
from llm_studio.training.checkpoint import Checkpoint, LoopState
from llm_studio.training.log import RunLog
from llm_studio.training.scheduler import learning_rate
from llm_studio.training.throughput import Throughput
from llm_studio.training.watch import Watch

_LOSS_MEMORY = 0.98
"""Of the mean training loss that is shown for a run."""


@dataclass(frozen=True)
class Material:
    """What a run trains on and where it writes. `fingerprint` is that of the tokens; `saved` is called at each save."""

    tokens: Tokens
    tokenizer: Tokenizer
    fingerprint: str
    prompts: tuple[str, ...]
    folder: Path
    log: RunLog
    saved: Callable[["Trainer"], object]


@dataclass(frozen=True)
class _MicroBatch:
    """Inputs (B, T), targets (one token further) and, where only answers count, which targets do.

    Its mean loss, divided by `parts`, is its part in the mean over all counted targets of the step, whatever the
    size of the micro-batches. `counts`: some of its targets do.
    """

    tensors: tuple[torch.Tensor, ...]
    parts: float
    counts: bool = True


class Trainer:
    """Trains one model. `step` counts the updates done."""

    def __init__(self, material: Material, settings: Settings, compute: Compute, job: Job) -> None:
        self._material = material
        self._settings = settings
        self._compute = compute
        self._job = job
        torch.set_num_threads(compute.threads)
        torch.manual_seed(settings.training.seed)
        vocab_size = material.tokenizer.vocab_size
        self.model = Transformer(settings.model, vocab_size).to(compute.device)
        self._optimizer = optimizer.build(self.model, settings.training, compute.dtype)
        self._scaler = torch.amp.GradScaler(compute.device, enabled=compute.precision == "float16")
        self._answers_only = settings.training.loss_on == "answers" and material.tokens.has_conversations
        self._watch = Watch(vocab_size, settings.training.warmup_steps)
        self._throughput = Throughput()
        self.step = 0
        self.tokens_seen = 0
        self.train_loss: float | None = None
        self.best_loss: float | None = None
        self._validation: tuple[int, float] | None = None
        self._seconds_before = 0.0
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent training, over all sessions of the run."""
        return self._seconds_before + time.perf_counter() - self._began

    @property
    def learns_conversations(self) -> bool:
        """Whether some of what it is trained on are conversations."""
        weights = self._settings.data.weights
        return any(
            source.conversations and weights.get(source.name, 1.0) > 0 for source in self._material.tokens.sources
        )

    def begin_with(self, weights: dict[str, torch.Tensor]) -> None:
        """Begin with these weights instead of new ones."""
        self.model.load_state_dict(weights)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from where `saved` was made."""
        self.model.load_state_dict(saved.weights())
        optimizer.load_state_tensors(self._optimizer, self.model, saved.moments())
        state = saved.state
        if state.scaler:
            self._scaler.load_state_dict(state.scaler)
        self.step, self.tokens_seen, self._seconds_before = state.step, state.tokens, state.seconds
        self.train_loss, self.best_loss = state.train_loss, state.best_loss
        self._validation = None if state.validation_loss is None else (state.step, state.validation_loss)

    def train(self) -> bool:
        """Train to the last step, or until the job is asked to stop; True when the last step was reached.

        The work is saved in both cases. Raises TrainingError when the loss is no longer a number and StorageError
        when the disk is full; what was saved before stays.
        """
        settings = self._settings.training
        if self.step == 0:
            self._snapshot()
        elif self._validation is None and self._evaluation_is_due():
            self._evaluate()  # the stop that saved this checkpoint came before it
        saved_at = self.step
        while self.step < settings.max_steps and self._one_step():
            last = self.step == settings.max_steps
            best = self._evaluation_is_due() and self._evaluate()
            if last or snapshots.is_due(self.step):
                self._snapshot()
            if self._job.take_save_request() or best or last or self.step % settings.checkpoint_interval == 0:
                self.save()
                saved_at = self.step
        if saved_at < self.step:
            self.save()
        return self.step >= settings.max_steps

    def _evaluation_is_due(self) -> bool:
        """At each interval, and at each checkpoint, so that the best of these can be told."""
        settings = self._settings.training
        every = (settings.eval_interval, settings.checkpoint_interval, settings.max_steps)
        return any(self.step % interval == 0 for interval in every)

    def _one_step(self) -> bool:
        """One optimizer update; False when the job was stopped on the way, with the weights as they were before."""
        began = time.perf_counter()
        settings = self._settings.training
        rate = learning_rate(self.step + 1, settings)
        self._optimizer.set_learning_rate(rate)
        loss_sum, learned = 0.0, False
        for index, micro_batch in enumerate(self._micro_batches()):
            if self._job.stop_requested:
                self._optimizer.zero_grad()
                return False
            if self._settings.model.dropout > 0:
                _seed_dropout(self._compute.device, _seed_of(settings.seed, self.step, index))
            with self._compute.autocast():
                loss = self.model.loss(*micro_batch.tensors) / micro_batch.parts
            self._scaler.scale(loss).backward()
            loss_sum += loss.item()
            learned = learned or micro_batch.counts
        self._scaler.unscale_(self._optimizer)
        limit = settings.gradient_clip or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit).item()
        # in float16 an infinite gradient is usual: the scaler skips that step and lowers its scale
        self._watch.check_finite(self.step + 1, loss_sum, 0.0 if self._scaler.is_enabled() else norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        # where questions filled the whole step, its loss is nothing to be told: the mean so far stands for it
        shown = loss_sum if learned or self.train_loss is None else self.train_loss
        self._count(shown, rate, norm, time.perf_counter() - began)
        return True

    def _micro_batches(self) -> "Iterator[_MicroBatch]":
        """What this step learns from."""
        settings, length = self._settings.training, self._settings.model.max_seq_len
        sequences = settings.batch_size * settings.gradient_accumulation_steps
        which = (self._material.tokens, settings.seed, self.step, sequences, length, self._settings.data.weights)
        ids = torch.from_numpy(batches.draw(*which)).to(self._compute.device).split(settings.batch_size)
        if not self._answers_only:
            for part in ids:
                yield _MicroBatch((part[:, :-1], part[:, 1:]), settings.gradient_accumulation_steps)
            return
        counted = torch.from_numpy(batches.draw_answers(*which)).split(settings.batch_size)
        total = sum(int(part.sum()) for part in counted)
        for part, mask in zip(ids, counted, strict=True):
            count = int(mask.sum())
            tensors = (part[:, :-1], part[:, 1:], mask.to(self._compute.device))
            yield _MicroBatch(tensors, total / count if count else 1.0, count > 0)

    def _count(self, loss: float, rate: float, norm: float, seconds: float) -> None:
        settings = self._settings.training
        tokens = settings.batch_size * settings.gradient_accumulation_steps * self._settings.model.max_seq_len
        self.step += 1
        self.tokens_seen += tokens
        mean = loss if self.train_loss is None else self.train_loss
        self.train_loss = _LOSS_MEMORY * mean + (1 - _LOSS_MEMORY) * loss
        self._throughput.add(tokens, seconds)
        speed = self._throughput.tokens_per_second
        left = (settings.max_steps - self.step) * self._throughput.seconds_per_step
        self._tell(StepDone(self.step, loss, rate, norm, self.tokens_seen, speed, left))
        warning = self._watch.warning(self.step, loss)
        if warning:
            self._job.report(Notice(warning, "warning"))

    def _evaluate(self) -> bool:
        """Measure the validation loss, and let the model write; True where the loss is the lowest so far."""
        loss = evaluation.validation_loss(self.model, self._material.tokens, self._settings, self._compute, self._job)
        if loss is None:
            return False
        best = self.best_loss is None or loss < self.best_loss
        self.best_loss = loss if best else self.best_loss
        self._validation = (self.step, loss)
        self._tell(Evaluated(self.step, loss, best))
        written = evaluation.samples(
            self.model, self._material.tokenizer, self._material.prompts, self._settings, self._job,
            chat=self._answers_only,
        )  # fmt: skip
        for prompt, text in written:
            self._tell(SampleWritten(self.step, prompt, text))
        return best

    def _snapshot(self) -> None:
        limit = self._settings.training.snapshot_megabytes * 1_000_000
        snapshots.save(self._material.folder, self.step, self.model.state_dict(), limit)

    def save(self) -> None:
        """Write a checkpoint of this step."""
        measured_now = self._validation is not None and self._validation[0] == self.step
        state = LoopState(
            step=self.step,
            tokens=self.tokens_seen,
            seconds=self.seconds,
            vocab_size=self._material.tokenizer.vocab_size,
            compute=self._compute,
            train_loss=self.train_loss,
            validation_loss=self._validation[1] if self._validation and measured_now else None,
            best_loss=self.best_loss,
            data=self._material.fingerprint,
            torch_version=torch.__version__,
            scaler=self._scaler.state_dict(),
        )
        moments = optimizer.state_tensors(self._optimizer, self.model)
        tokenizer = self._material.tokenizer.to_json()
        weights = self.model.state_dict()
        saved = checkpoint.save(self._material.folder, state, self._settings, tokenizer, weights, moments,
                                conversations=self.learns_conversations)  # fmt: skip
        self._tell(saved)
        self._material.saved(self)

    def first_batch(self) -> None:
        """Draw what the first step and an evaluation will draw. Raises DataError where there are too few tokens."""
        next(self._micro_batches())
        evaluation.sequences(self._material.tokens, self._settings)

    def _tell(self, event: Event) -> None:
        self._material.log.write(event)
        self._job.report(event)


def _seed_dropout(device: str, seed: int) -> None:
    """Seed the one generator that dropout draws from.

    `torch.manual_seed` seeds those of every kind of device, and for each that isn't there it formats the whole stack:
    half a millisecond for each micro-batch, on Windows many times that.
    """
    if device == "cuda":
        torch.cuda.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _seed_of(seed: int, step: int, micro_batch: int) -> int:
    """A seed for dropout that depends on nothing but these three."""
    return int(np.random.SeedSequence([seed, step, micro_batch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
