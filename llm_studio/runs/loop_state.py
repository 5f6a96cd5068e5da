"""The state of a run at a checkpoint, as stored in `checkpoint.json`."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from llm_studio import records
from llm_studio.device import Compute
from llm_studio.records import Amount, Count, Measured
from llm_studio.runs.record import Change

MEASURED = frozenset(("data.weights", "training.loss_on", "training.eval_sequences"))
"""Settings that determine on which texts the validation loss is measured."""


@dataclass(frozen=True)
class _Scaler:
    """The state of torch's GradScaler."""

    scale: Amount
    growth_factor: Amount
    backoff_factor: Amount
    growth_interval: Count
    _growth_tracker: Count


def _scaler(value: object) -> dict[str, Any]:
    return records.like(_Scaler)(value) if value else records.reader(dict[str, Any])(value)


@dataclass(frozen=True)
class LoopState:
    """The progress of a run and how it was computed: everything needed to resume it bit for bit.

    `validation_loss` was measured at exactly this step, or is None; `scaler` is the state of the float16 gradient
    scaler, `recovery` that of the automatic recovery from divergence; `history` lists the changes of settings during
    the run.
    """

    step: Count
    tokens: Count
    seconds: Amount
    vocab_size: Count
    compute: Compute
    train_loss: Measured | None
    validation_loss: Measured | None
    best_loss: Amount | None
    data: str
    torch_version: str
    scaler: Annotated[dict[str, Any], _scaler]
    recovery: dict[str, Any] = field(default_factory=dict[str, Any])
    history: list[Change] = field(default_factory=list[dict[str, Any]])

    @property
    def measured_since(self) -> int:
        """The step at which the user last changed what validation losses measure; 0 if never."""
        return max((change["step"] for change in self.history if MEASURED & set(change.get("settings", ()))), default=0)
