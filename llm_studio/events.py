"""What a running job reports: frozen records of plain numbers and strings, no tensors.

The same records are drawn by the window, printed by the command line, written to a run's log and printed by
`--json`, one line each: `{"v": 1, "event": "step", "step": 12, "loss": 3.21, ...}`.
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
    """A job has done `done` of `total` (None: not known). `task` and `unit` are words in the user's language."""

    kind: ClassVar[str] = "progress"
    task: str
    done: float
    total: float | None
    unit: str


@dataclass(frozen=True)
class Fetched(Progress):
    """Progress of texts that come from the network: so many `documents`, `bytes` of text, `speed` in bytes a second.

    `seconds_left` is None where it can't be told.
    """

    documents: int = 0
    bytes: int = 0
    speed: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Notice(Event):
    """Something the user should know: a sentence in their language. `level` is "info" or "warning".

    `to_do` names the command that helps; the window has buttons for the same.
    """

    kind: ClassVar[str] = "notice"
    text: str
    level: str = "info"
    to_do: str = ""


@dataclass(frozen=True)
class Done(Event):
    """A job's last word: what was made, and what to do next."""

    kind: ClassVar[str] = "done"
    text: str
    next: str = ""
    figures: dict[str, Any] | None = None


@dataclass(frozen=True)
class Failed(Event):
    """A job ended with a problem, explained."""

    kind: ClassVar[str] = "failed"
    error: str
    text: str


@dataclass(frozen=True)
class CleaningExample(Event):
    """What a rule of cleaning does to one document of `source`: a snippet as it was, and as it becomes.

    Of a document that is removed `before` is the beginning, `after` empty; of a near duplicate `after` is from the
    document that stays.
    """

    kind: ClassVar[str] = "example"
    source: str
    before: str
    after: str


@dataclass(frozen=True)
class RuleMeasured(Event):
    """What a rule of cleaning, named as its setting, does to the corpus, as far as it is known.

    `on`: it is set; otherwise it is what the rule would do. `documents` it changes or removes, and `characters` fewer
    that are then left, after the rules before it. `estimated`: from a sample of the documents. `final`: no more comes.
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
    """A training run begins or goes on after `step` steps. `data` is the fingerprint of its tokens.

    `minutes`: the time that it trains for, `max_steps` is then an estimate; 0: no time was given.
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
    """After `step` steps of a run with a time limit: to end in time it now trains for `max_steps` steps in all."""

    kind: ClassVar[str] = "horizon"
    step: int
    max_steps: int


@dataclass(frozen=True)
class StepSkipped(Event):
    """A step that changed no weight, since its loss or its gradient was no number; `loss` may be none either."""

    kind: ClassVar[str] = "skipped"
    step: int
    loss: float
    gradient_norm: float


@dataclass(frozen=True)
class RolledBack(Event):
    """The training diverged at `diverged_at` and goes on after `step`, at `rate_factor` times the scheduled rate."""

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
    """What the model wrote after `prompt` when it had been trained for `step` steps."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class MomentStored(Event):
    """What the model writes after `step` steps is in the run's file of moments; `seconds`: trained so far."""

    kind: ClassVar[str] = "moment"
    step: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is whole on the disk, in the folder `name` of its run."""

    kind: ClassVar[str] = "checkpoint"
    step: int
    name: str
    bytes: int
    seconds: float


@dataclass(frozen=True)
class TextWritten(Event):
    """A piece of generated text, never with half a character."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class TokenWritten(Event):
    """One token of a generated text: `text` holds the characters that it completes, often none or several.

    `probability` is the model's own, before the sampler; `alternatives` are the most likely tokens at this place with
    theirs.
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
    """How a token was sampled, `text` is how it is shown.

    `stages` are "model", then the sampler's settings in their order; after each of them, so many tokens are `left`. The
    probability of a candidate at the first stage is the model's, at the last one that with which it is drawn.
    """

    kind: ClassVar[str] = "explained"
    token: int
    text: str
    stages: tuple[str, ...]
    left: tuple[int, ...]
    candidates: tuple[ExplainedCandidate, ...]


def to_json(event: Event) -> str:
    """One line of JSON. A number that isn't finite is written as null, which JSON can hold."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    # `asdict` only for records within records: it would copy long lists number by number.
    return json.dumps({"v": SCHEMA_VERSION, "event": event.kind, **finite}, ensure_ascii=False, default=asdict)
