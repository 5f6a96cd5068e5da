"""The request for a run, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_studio.runs.record import Run


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of `train`, which documents them."""

    run: str | None
    resume: bool
    changes: Mapping[str, object]
    continue_from: str | None
    like: str | None
    minutes: float | None = None


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `finished`: its last step was reached; otherwise it was stopped and saved."""

    run: "Run"
    finished: bool
