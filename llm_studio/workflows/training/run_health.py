"""The health of a run: the curve doctor's diagnosis of its record, and the remedy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_studio.config import Settings
from llm_studio.config.yaml_file import scalar
from llm_studio.errors import ConfigError
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.runs.record import ACTIVE

if TYPE_CHECKING:
    from llm_studio.runs.record import Run
    from llm_studio.training.health.doctor import Diagnosis, RunFacts
    from llm_studio.workflows.overview import TokenFacts
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.curves import Curves

Remedy = Literal["stop", "anew", "go on", "texts"]


@dataclass(frozen=True)
class Finding:
    """A diagnosis of a run in one or two sentences, and the remedy.

    `remedy`: end the run and keep its best checkpoint; start a new run with `changes`; continue this run with
    `changes`; add texts. `action` is the text of its button.
    """

    key: str
    text: str
    action: str
    remedy: Remedy
    changes: Mapping[str, object]

    def command(self, project: Project, run: str) -> str:
        """The remedy as a command line."""
        folder = quoted(project.root)
        changes = "".join(f" --set {name}={scalar(value)}" for name, value in self.changes.items())
        if self.remedy == "anew":
            return f"llm-studio train {folder} --like {quoted(run)}{changes}"
        if self.remedy == "go on":
            return f"llm-studio train {folder} --run {quoted(run)} --resume{changes}"
        if self.remedy == "texts":
            return f"llm-studio download {folder} --dataset ..."
        return _("Ctrl+C where it runs")


@dataclass(frozen=True)
class RunHealth:
    """A run's figures and diagnosis. `bits_per_byte`: the validation loss, comparable across vocabularies.

    `passes` over the training tokens; None if those have changed since.
    """

    run: "Run"
    step: int
    train_loss: float | None
    validation_loss: float | None
    bits_per_byte: float | None
    tokens_seen: int
    passes: float | None
    baselines: "Baselines | None"
    finding: Finding | None


def examine(
    curves: "Curves", run: "Run", tokens: "TokenFacts | None", baselines: "Baselines | None", vocab_size: int,
    running: bool,
) -> Finding | None:  # fmt: skip
    """The curve doctor's diagnosis; None if there is no problem. Fast enough to call every few seconds.

    `tokens`, `baselines` and `vocab_size` are the project's current ones.
    """
    from llm_studio.training.health import doctor
    from llm_studio.workflows.training.curves import LOSS, RATE, STEP, TOKENS

    known = baselines if baselines is not None and baselines.data == curves.data else None
    facts = _facts(run, tokens if tokens and tokens.fingerprint == run.data else None, known, vocab_size)
    if facts is None or not len(curves.steps):
        return None
    record = doctor.Record(
        curves.steps.column(STEP), curves.steps.column(LOSS), curves.steps.column(RATE),
        curves.evaluations.column(STEP), curves.evaluations.column(LOSS), float(curves.steps.column(TOKENS)[-1]),
    )  # fmt: skip
    found = doctor.verdict(record, facts)
    return None if found is None else _finding(found, running)


def _facts(
    run: "Run", tokens: "TokenFacts | None", baselines: "Baselines | None", vocab_size: int
) -> "RunFacts | None":
    from llm_studio.training.health.doctor import RunFacts

    try:
        settings = Settings.from_dict(run.settings).training
    except ConfigError:  # the record is damaged, or of another version
        return None
    return RunFacts(
        parameters=run.parameters,
        vocab_size=round(math.exp(baselines.chance)) if baselines else vocab_size,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        max_steps=settings.max_steps,
        corpus_tokens=tokens.train if tokens else None,
        unigram=baselines.unigram if baselines else None,
        muon_learning_rate=settings.muon_learning_rate if settings.optimizer == "muon" else None,
        changed_at=max((int(change["step"]) for change in run.history if "settings" in change), default=0),
    )


def _finding(found: "Diagnosis", running: bool) -> Finding:
    if found.remedy == "anew":
        rate = scalar(found.changes["training.learning_rate"])
        action = _("Start over with a rate of {rate}").format(rate=rate)
        return Finding(found.key, found.text, action, "anew", found.changes)
    if found.remedy == "let fall":
        end = number(int(str(found.changes["training.max_steps"])))
        return Finding(found.key, found.text, _("Let the rate fall until step {end}").format(end=end), "go on",
                       found.changes)  # fmt: skip
    if found.remedy == "stop" and running:
        return Finding(found.key, found.text, _("Stop and keep the best"), "stop", {})
    return Finding(found.key, found.text, _("Add texts"), "texts", {})


def run_health(project: Project, job: Job, name: str | None = None) -> RunHealth:
    """The health of a run (default: the newest). Raises ProjectError if there is none, Cancelled."""
    from llm_studio.errors import ProjectError
    from llm_studio.runs import registry
    from llm_studio.workflows import overview, projects
    from llm_studio.workflows.training import baselines as reference
    from llm_studio.workflows.training import curves

    chosen = name or curves.newest_run(project)
    if chosen is None:
        raise ProjectError(_("No training yet."), _("Start one: “llm-studio train {path}”.").format(
            path=quoted(project.root)))  # fmt: skip
    run, known = registry.read(project, chosen), curves.read(project, chosen, job)
    if known.damage:
        job.report(known.damage)
    tokens = overview.token_facts(project)
    baselines = reference.baselines(project, job)
    baselines = baselines if baselines and baselines.data == known.data else None
    vocab_size = projects.model_cost(project, project.settings()).vocab_size
    seen = int(known.steps.column(curves.TOKENS)[-1]) if len(known.steps) else 0
    losses = known.evaluations.column(curves.LOSS)
    same = tokens is not None and tokens.fingerprint == run.data
    return RunHealth(
        run=run,
        step=known.last_step,
        train_loss=float(known.smoothed(curves.LOSS, 0.98)[-1]) if len(known.steps) else None,
        validation_loss=float(losses[-1]) if len(losses) else None,
        bits_per_byte=known.last_bits_per_byte,
        tokens_seen=seen,
        passes=seen / tokens.train if same and tokens and tokens.train else None,
        baselines=baselines,
        finding=examine(known, run, tokens, baselines, vocab_size, run.state in ACTIVE),
    )
