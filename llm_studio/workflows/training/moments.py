"""The moments of a run: the steps that can be inspected, with what the model wrote there and which weights are stored.

Fast enough to be read repeatedly during training; torch isn't needed.
"""

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llm_studio.errors import ProjectError, StorageError
from llm_studio.events import Evaluated, MomentStored, SampleWritten
from llm_studio.i18n import _
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.runs import checkpoint, moments, registry, snapshots
from llm_studio.runs.log_index import LogIndex, count, quantity
from llm_studio.runs.moments import Candidate, GreedyText

__all__ = ["Candidate", "GreedyText", "RunMoment", "RunMoments", "read_moments"]

_NEAR = 20
"""The loss of a moment at step s is the mean over the steps that are at most s / _NEAR away, ..."""
_STEPS = 8
"""... and at most this many."""


@dataclass(frozen=True)
class RunMoment:
    """A run after `step` steps. Unknown values are None.

    `tokens` seen and `seconds` trained until then; the training `loss` there, in nats per token; the last measured
    `validation_loss`, also in bits per byte; `texts` are empty if only the weights were stored. `has_weights`: the
    model of exactly this step can be opened, as RUN/step.
    """

    step: int
    tokens: int | None
    seconds: float | None
    loss: float | None
    validation_loss: float | None
    bits_per_byte: float | None
    texts: tuple[GreedyText, ...]
    has_weights: bool


@dataclass(frozen=True)
class RunMoments:
    """The moments of a run, by step; `weights`: the steps whose model can be opened.

    `from_samples`: an earlier version trained the run, or its file of moments is gone. The texts are then the samples
    of its evaluations, which were sampled randomly, and their tokens are unknown. `problem`: why its log can't be read,
    so that losses and times are missing; "" if it can.
    """

    run: str
    moments: tuple[RunMoment, ...]
    weights: tuple[int, ...]
    from_samples: bool
    problem: str = ""

    def nearest(self, step: int) -> RunMoment | None:
        """The moment nearest to a step; None if there is none."""
        return min(self.moments, key=lambda moment: abs(moment.step - step), default=None)

    def nearest_weights(self, step: int) -> int | None:
        """The step whose model can be opened nearest to `step` on a logarithmic scale; None if there is none."""
        return min(self.weights, key=lambda known: abs(math.log((known + 1) / (step + 1))), default=None)

    def prompts(self) -> tuple[str, ...]:
        """All prompts that the model has completed, in order of appearance."""
        return tuple(dict.fromkeys(text.prompt for moment in self.moments for text in moment.texts))


def read_moments(project: Project, run: str | None = None) -> RunMoments:
    """The moments of a run (default: the last one). Raises ProjectError."""
    name = registry.read(project, run).name if run is not None else _last_run(project)
    folder, path = registry.folder(project, name), project.log_file(name)
    try:
        with LogIndex(path) as log:
            return _moments(name, folder, log)
    except StorageError as error:
        return replace(_moments(name, folder, LogIndex(None)), problem=str(error))


def _moments(name: str, folder: Path, log: LogIndex) -> RunMoments:
    stored, snapped = moments.read(folder), snapshots.listed(folder)
    texts = {moment.step: moment.texts for moment in stored} or _samples(log)
    tokens = {moment.step: moment.tokens for moment in stored}
    seconds = {count(record, "step", 0): quantity(record, "seconds") for record in log.records(MomentStored.kind)}
    weights = sorted({*snapped, *(saved.step for saved in checkpoint.listed(folder))})
    evaluated = _Evaluations(log)
    found = tuple(
        RunMoment(
            step=step, **_figures(log, step, tokens.get(step)), seconds=seconds.get(step), **evaluated.until(step),
            texts=texts.get(step, ()), has_weights=step in weights,
        )
        for step in sorted({*texts, *snapped})
    )  # fmt: skip
    return RunMoments(name, found, tuple(weights), from_samples=not stored)


def _last_run(project: Project) -> str:
    runs = registry.listed(project)
    if not runs:
        raise ProjectError(_("This project has no trained model yet."),
                           _("Train one first: “llm-studio train {path}”.").format(path=quoted(project.root)),
                           "training")  # fmt: skip
    return runs[-1].name


def _figures(log: LogIndex, step: int, tokens: int | None) -> dict[str, Any]:
    """Tokens and loss. The loss of a step is measured before its update, so that of the next step is used here."""
    around = log.steps_near(step + 1, min(_STEPS, step // _NEAR)) or log.steps_near(step, 0)
    losses = [loss for record in around if (loss := quantity(record, "loss")) is not None]
    if tokens is None:
        here = log.steps_near(step, 0)
        tokens = count(here[0], "tokens", 0) if here else 0 if step == 0 else None
    return {"tokens": tokens, "loss": sum(losses) / len(losses) if losses else None}


def _samples(log: LogIndex) -> dict[int, tuple[GreedyText, ...]]:
    """The samples of a run's evaluations in place of moments."""
    found: dict[int, dict[str, GreedyText]] = {}
    for record in log.records(SampleWritten.kind):
        prompt, text = str(record.get("prompt", "")), str(record.get("text", ""))
        at_step = found.setdefault(count(record, "step", 0), {})
        at_step[prompt] = GreedyText(prompt, (), (text,), (), False, ())
    return {step: tuple(texts.values()) for step, texts in found.items()}


class _Evaluations:
    """The validation losses of a run, by step."""

    def __init__(self, log: LogIndex) -> None:
        records: Mapping[int, dict[str, Any]] = {
            count(record, "step", 0): record for record in log.records(Evaluated.kind)
        }
        self._steps = sorted(records)
        self._records = records

    def until(self, step: int) -> dict[str, Any]:
        """The last validation loss measured at or before `step`."""
        place = bisect.bisect_right(self._steps, step)
        record = self._records[self._steps[place - 1]] if place else {}
        return {"validation_loss": quantity(record, "loss"), "bits_per_byte": quantity(record, "bits_per_byte")}
