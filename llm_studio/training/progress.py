"""The state of a run that changes from step to step, except the weights."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from llm_studio.device import Compute
from llm_studio.runs.loop_state import MEASURED, LoopState
from llm_studio.training.clock import ActiveClock
from llm_studio.training.health.recovery import Recovery

_LOSS_MEMORY = 0.98
"""Decay of the moving average of the training loss that is shown for a run."""


def _nothing() -> list[dict[str, Any]]:
    return []


@dataclass
class TrainingProgress:
    """Counts steps and follows losses. `validation`: the last validation loss and its step."""

    step: int = 0
    tokens: int = 0
    train_loss: float | None = None
    best_loss: float | None = None
    validation: tuple[int, float] | None = None
    recovery: Recovery = field(default_factory=Recovery)
    history: list[dict[str, Any]] = field(default_factory=_nothing)
    """Changes during the run: settings, the micro-batch, the learning rate; each with its step."""
    seconds_before: float = 0.0
    clock: ActiveClock = field(default_factory=ActiveClock)

    def __post_init__(self) -> None:
        self._began = self.clock.seconds

    @property
    def seconds(self) -> float:
        """Training time over all sessions of the run, without pauses."""
        return self.seconds_before + self.clock.seconds - self._began

    @property
    def evaluated(self) -> bool:
        """Whether the validation loss of the current step is known."""
        return self.validation is not None and self.validation[0] == self.step

    def count(self, tokens: int, loss: float | None) -> None:
        """Count a step; `loss` is None if nothing was learned from it."""
        self.step += 1
        self.tokens += tokens
        if loss is not None:
            mean = loss if self.train_loss is None else self.train_loss
            self.train_loss = _LOSS_MEMORY * mean + (1 - _LOSS_MEMORY) * loss

    def measured(self, loss: float) -> bool:
        """Note the validation loss of the current step; returns whether it is the lowest so far."""
        best = math.isfinite(loss) and (self.best_loss is None or loss < self.best_loss)
        self.best_loss = loss if best else self.best_loss
        self.validation = (self.step, loss)
        return best

    def note(self, **change: object) -> None:
        """Add an entry to the history."""
        self.history = [*self.history, {"step": self.step, **change}]

    def changed(self, settings: dict[str, Any]) -> None:
        """Note that the user has changed these settings of the run."""
        self.recovery = self.recovery.after_changes(settings)
        if MEASURED & set(settings):
            self.best_loss = None
        self.note(settings=settings)

    def state(self, vocab_size: int, compute: Compute, data: str, scaler: dict[str, Any]) -> LoopState:
        """The state for a checkpoint."""
        return LoopState(
            step=self.step,
            tokens=self.tokens,
            seconds=self.seconds,
            vocab_size=vocab_size,
            compute=compute,
            train_loss=self.train_loss,
            validation_loss=self.validation[1] if self.validation and self.evaluated else None,
            best_loss=self.best_loss,
            data=data,
            torch_version=torch.__version__,
            scaler=scaler,
            recovery=self.recovery.to_dict(),
            history=self.history,
        )

    @classmethod
    def of(cls, state: LoopState, clock: ActiveClock) -> "TrainingProgress":
        """The progress at the checkpoint with this state."""
        return cls(
            step=state.step,
            tokens=state.tokens,
            train_loss=state.train_loss,
            best_loss=state.best_loss,
            validation=None if state.validation_loss is None else (state.step, state.validation_loss),
            recovery=Recovery.from_dict(state.recovery),
            history=list(state.history),
            seconds_before=state.seconds,
            clock=clock,
        )

    def gone_back(self, there: "TrainingProgress") -> "TrainingProgress":
        """The progress after a rollback to `there`: the time spent and what is known of the trouble are kept."""
        there.recovery = self.recovery.gone_back(there.recovery, there.step)
        there.seconds_before = self.seconds
        there.history = [*self.history, {"step": there.step, "rate_factor": there.recovery.rate_factor,
                                         "diverged_at": self.step + 1}]  # fmt: skip
        return there
