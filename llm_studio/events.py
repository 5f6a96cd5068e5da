"""Events that a running job reports: frozen records of plain numbers and strings, without tensors.

The same records are plotted by the window, printed by the command line, written to a run's log, and printed by
`--json` as one line each: `{"v": 1, "event": "step", "step": 12, "loss": 3.21, ...}`.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Event:
    """Base of all events. `kind` is the `event` field of its JSON line."""

    kind: ClassVar[str] = "event"


@dataclass(frozen=True)
class Progress(Event):
    """A job has done `done` of `total` (None if unknown). `task` and `unit` are words in the user's language."""

    kind: ClassVar[str] = "progress"
    task: str
    done: float
    total: float | None
    unit: str


@dataclass(frozen=True)
class Fetched(Progress):
    """Progress of a download of texts: number of `documents`, `bytes` of text, `speed` in bytes per second.

    `seconds_left` is None if it can't be estimated.
    """

    documents: int = 0
    bytes: int = 0
    speed: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Notice(Event):
    """A message for the user: a sentence in their language. `level` is "info" or "warning".

    `to_do` names a command that helps; the window has buttons for it.
    """

    kind: ClassVar[str] = "notice"
    text: str
    level: str = "info"
    to_do: str = ""


@dataclass(frozen=True)
class Done(Event):
    """The final message of a job: what was made, and what to do next."""

    kind: ClassVar[str] = "done"
    text: str
    next: str = ""
    figures: dict[str, Any] | None = None


@dataclass(frozen=True)
class Failed(Event):
    """A job ended with an explained problem."""

    kind: ClassVar[str] = "failed"
    error: str
    text: str


@dataclass(frozen=True)
class CleaningExample(Event):
    """The effect of a cleaning rule on one document of `source`: a snippet before and after.

    For a document that is removed, `before` is its beginning and `after` is empty; for a near duplicate, `after` is
    from the document that is kept.
    """

    kind: ClassVar[str] = "example"
    source: str
    before: str
    after: str


@dataclass(frozen=True)
class RuleMeasured(Event):
    """The effect of a cleaning rule, named like its setting, on the corpus, as far as it has been measured.

    `on`: the rule is enabled; otherwise it is the effect it would have. `documents`: how many it changes or removes;
    `characters`: how many fewer remain, after the earlier rules. `estimated`: from a sample. `final`: the last event.
    """

    kind: ClassVar[str] = "rule"
    rule: str
    on: bool
    removes_documents: bool
    documents: int
    characters: int
    estimated: bool
    final: bool
    examples: tuple[CleaningExample, ...] = ()


@dataclass(frozen=True)
class RunStarted(Event):
    """A training run starts, or resumes after `step` steps. `data` is the fingerprint of its tokens.

    `minutes`: its time limit, with `max_steps` an estimate; 0 if it has none.
    """

    kind: ClassVar[str] = "run"
    run: str
    step: int
    max_steps: int
    parameters: int
    device: str
    precision: str
    threads: int
    data: str
    minutes: float = 0.0


@dataclass(frozen=True)
class StepDone(Event):
    """One optimizer update. `loss` in nats per token, before the update; `tokens` seen since step 0."""

    kind: ClassVar[str] = "step"
    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class EndMoved(Event):
    """After `step` steps of a run with a time limit: it is now expected to end after `max_steps` steps in all."""

    kind: ClassVar[str] = "horizon"
    step: int
    max_steps: int


@dataclass(frozen=True)
class StepSkipped(Event):
    """A step that changed no weight because its loss or gradient was not finite; `loss` may be NaN as well."""

    kind: ClassVar[str] = "skipped"
    step: int
    loss: float
    gradient_norm: float


@dataclass(frozen=True)
class RolledBack(Event):
    """Training diverged at `diverged_at` and resumes after `step` with `rate_factor` times the scheduled rate."""

    kind: ClassVar[str] = "rollback"
    step: int
    diverged_at: int
    rate_factor: float


@dataclass(frozen=True)
class Evaluated(Event):
    """The validation loss (nats per token) after `step` steps; `best`: the lowest of the run so far.

    `bits_per_byte` is the same loss, comparable across vocabularies; None in logs of earlier versions.
    """

    kind: ClassVar[str] = "evaluation"
    step: int
    loss: float
    best: bool
    bits_per_byte: float | None = None


@dataclass(frozen=True)
class SampleWritten(Event):
    """The model's continuation of `prompt` after `step` steps of training."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class MomentStored(Event):
    """The texts after `step` steps are in the run's file of moments; `seconds`: training time so far."""

    kind: ClassVar[str] = "moment"
    step: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint was written completely, in the folder `name` of its run."""

    kind: ClassVar[str] = "checkpoint"
    step: int
    name: str
    bytes: int
    seconds: float


@dataclass(frozen=True)
class TextWritten(Event):
    """A chunk of generated text, always whole characters."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class TokenWritten(Event):
    """One token of a generated text: `text` contains the characters that it completes, often none or several.

    `probability` is the model's own, before sampling; `alternatives` are the most likely tokens at this position with
    their probabilities.
    """

    kind: ClassVar[str] = "token"
    token: int
    text: str
    probability: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class ExplainedCandidate:
    """A possible next token, its probability at each stage of sampling, and the setting that removes it, if any."""

    token: int
    text: str
    probs: tuple[float, ...]
    removed_by: str | None


@dataclass(frozen=True)
class TokenExplained(Event):
    """How a token was sampled; `text` is the token for display.

    `stages` are "model", then the sampling settings in order; `left` is the number of tokens that remain after each.
    A candidate's first probability is the model's, its last one that of being sampled.
    """

    kind: ClassVar[str] = "explained"
    token: int
    text: str
    stages: tuple[str, ...]
    left: tuple[int, ...]
    candidates: tuple[ExplainedCandidate, ...]


def to_json(event: Event) -> str:
    """One line of JSON. A number that isn't finite is written as null, since JSON can't represent it."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    # `asdict` only for nested records: it would copy long lists number by number
    return json.dumps({"v": SCHEMA_VERSION, "event": event.kind, **finite}, ensure_ascii=False, default=asdict)
