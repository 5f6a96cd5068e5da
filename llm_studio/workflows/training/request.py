"""What is requested of a run, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_studio.runs.record import Run


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of `train`, where they are explained."""

    run: str | None
    resume: bool
    changes: Mapping[str, object]
    continue_from: str | None
    like: str | None
    minutes: float | None = None


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `finished`: its last step was reached; otherwise it was stopped, and saved."""

    run: "Run"
    finished: bool
