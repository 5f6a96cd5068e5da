"""Training a model: starting a run, resuming one, and recording how it ended."""

import contextlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import (
    Cancelled,
    CheckpointError,
    DamagedTokensError,
    DiskFullError,
    ProjectError,
    StorageError,
    StudioError,
)
from llm_studio.events import Notice
from llm_studio.gpu import pack
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project, State
from llm_studio.workflows.training.distributed import plan_of, train_distributed
from llm_studio.workflows.training.open_data import mark_damaged, open_training_data
from llm_studio.workflows.training.recorder import RunRecorder
from llm_studio.workflows.training.repeat import repeat_decisions, repetition
from llm_studio.workflows.training.request import TrainRequest, TrainResult
from llm_studio.workflows.training.resume import changed, check_changes, same_compute
from llm_studio.workflows.training.timed import limited, longer

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens.dataset import Tokens
    from llm_studio.runs.checkpoint import Checkpoint
    from llm_studio.training.saving import RunContext
    from llm_studio.training.trainer import Trainer
    from llm_studio.workflows.training.continue_from import Origin

PROMPTS = {
    "en": ("Once upon a time", "The little girl"),
    "fr": ("Il était une fois", "La petite fille"),
}
"""Prompts that the model continues at each evaluation, unless the settings contain some."""
_SOME = 500_000
"""Number of tokens searched for questions to use as prompts."""


def train(
    project: Project, job: Job, *, run: str | None = None, resume: bool = False, changes: Mapping[str, object] = {},
    continue_from: str | None = None, like: str | None = None, minutes: float | None = None,
) -> TrainResult:  # fmt: skip
    """Train a new run, or with `resume` continue one (default: the last).

    `changes` are settings by dotted name, for this run alone. `continue_from` names a checkpoint (RUN,
    RUN/step-000500, or a folder of any project): a new run starts with its weights, at step 0, with a new optimizer
    and a schedule of its own. `like` names a run to repeat, with its settings and initial weights. With `minutes` the
    run ends when it has trained that long, or that much longer if it is resumed. Raises many kinds of StudioError;
    what the run had saved before is kept.
    """
    from llm_studio.training import distributed, memory

    how = TrainRequest(run, resume, changes, continue_from, like, minutes)
    try:
        if not distributed.is_launched():
            return _train(project, job, how)
        return train_distributed(project, job, how, lambda how: _train(project, job, how))
    finally:
        memory.release()


def _train(project: Project, job: Job, how: TrainRequest) -> TrainResult:
    from llm_studio.runs import registry

    run, resume, changes, continue_from, like = how.run, how.resume, how.changes, how.continue_from, how.like
    if like is not None and (resume or continue_from is not None):
        raise ProjectError(_("A run that is repeated begins as that one did."),
                           _("Leave out either --like or --resume and --continue-from."))  # fmt: skip
    if resume and continue_from is not None:
        raise ProjectError(_("A run that is resumed has its own weights."),
                           _("Leave out either --resume or --continue-from."))  # fmt: skip
    _report_pack(job)
    with _locked(project, run, resume, job) as name, open_training_data(project) as (tokens, tokenizer, data):
        if resume:
            problem = registry.examine(project, name)[1]
            if problem:
                job.report(Notice(problem.what, "warning"))
            return _resume(project, name, tokens, tokenizer, data, changes, how.minutes, job)
        if registry.exists(project, name):
            raise ProjectError(_("There is already a run “{name}”.").format(name=name),
                               _("Resume it with --resume, or choose another name."))  # fmt: skip
        if like is not None:
            again = repetition(project, like, tokenizer, data, changes, job)
            if not changes:
                repeat_decisions(project, like, name)
            return _run(project, name, again.settings, again.compute, again.origin, tokens, tokenizer, data, job)
        return _start(project, name, tokens, tokenizer, data, how, job)


@contextlib.contextmanager
def _locked(project: Project, run: str | None, resume: bool, job: Job) -> Generator[str]:
    """Lock the run to train against other processes; yields its name. Raises ProjectError, BusyError."""
    from llm_studio.runs import registry

    if not run and not resume:
        with registry.new_run(project) as name:
            yield name
        return
    name = (run or _last_run(project, job)) if resume else registry.check_name(run or "")
    with project.writing(registry.lock_name(name)):
        yield name


def _last_run(project: Project, job: Job) -> str:
    """The newest run that can be read; problems with the others are reported."""
    from llm_studio.runs import registry

    existing, problems = registry.survey(project)
    readable = {known.name for known in existing}
    for problem in problems:
        if problem.name not in readable:
            job.report(Notice(problem.what, "warning", problem.to_do))
    if not existing:
        raise ProjectError(_("There is no run to resume."), _("Start one: leave --resume out."))
    return existing[-1].name


def _start(
    project: Project, name: str, tokens: "Tokens", tokenizer: "Tokenizer", data: str,
    how: TrainRequest, job: Job,
) -> TrainResult:  # fmt: skip
    from llm_studio.training.threads import compute_for
    from llm_studio.workflows.data.corpus import report_unusable
    from llm_studio.workflows.data.sources import unusable_sources
    from llm_studio.workflows.projects import steps
    from llm_studio.workflows.training.continue_from import find_origin, fitting_settings

    changes, continue_from = how.changes, how.continue_from
    origin = None if continue_from is None else find_origin(project, continue_from)
    if origin is None:
        settings = project.settings().replaced(changes)
    else:
        settings = fitting_settings(project, origin, tokenizer, changes, job)
    settings = limited(project, settings, how, job)
    report_unusable(unusable_sources(project), job, _("The run uses the tokens that were prepared before."))
    state = steps(project)
    if state.tokenizer is State.OUT_OF_DATE and origin is None:  # a continued model needs its tokenizer
        what = _("The texts or the settings of the tokenizer have changed since it was trained.")
        to_do = _("“llm-studio train-tokenizer” and “llm-studio prepare” bring all up to date.")
        job.report(Notice(what, "warning", to_do))
    elif state.tokens is State.OUT_OF_DATE:
        job.report(Notice(_("The texts or their cleaning have changed since the tokens were made."), "warning",
                          _("“llm-studio prepare” brings them up to date.")))  # fmt: skip
    if settings.training.loss_on == "answers" and not tokens.has_conversations:
        job.report(Notice(_("There are no conversations among the tokens: training.loss_on = answers changes nothing."),
                          "warning", _("Add some, then run “llm-studio prepare”.")))  # fmt: skip
    compute = compute_for(settings, tokenizer.vocab_size, job)
    return _run(project, name, settings, compute, origin, tokens, tokenizer, data, job)


def _resume(
    project: Project, name: str, tokens: "Tokens", tokenizer: "Tokenizer", data: str,
    changes: Mapping[str, object], minutes: float | None, job: Job,
) -> TrainResult:  # fmt: skip
    from llm_studio.runs import checkpoint, registry
    from llm_studio.training.threads import compute_for

    folder = registry.folder(project, name)
    checkpoint.finish_interrupted(folder)
    saved, damaged = checkpoint.newest_intact(folder)
    for bad in damaged:
        job.report(Notice(_("The checkpoint {name} is damaged and is left out.").format(name=bad), "warning"))
    if saved is None and damaged:
        raise CheckpointError(_("Every checkpoint of the run “{name}” is damaged.").format(name=name),
                              _("Start a new run."))  # fmt: skip
    # from the record, since --set changes of a session are in no checkpoint until its first save
    known = registry.read(project, name)
    old = Settings.from_dict(known.settings)
    if minutes is not None:
        step, seconds = (saved.step, saved.state.seconds) if saved else (0, 0.0)
        changes = {**longer(old, step, seconds, minutes), **changes}
    settings = old.replaced(changes)
    if saved is None and known.continued_from:
        raise CheckpointError(
            _("The run had saved nothing yet, not even the weights it was to begin with."),
            _("Begin a new one: “llm-studio train {path} --continue-from {origin}”.").format(
                path=quoted(project.root), origin=quoted(known.continued_from)),
        )  # fmt: skip
    if saved is None:
        job.report(Notice(_("The run had saved nothing yet: it starts over.")))
        compute = compute_for(settings, tokenizer.vocab_size, job)
        return _run(project, name, settings, compute, None, tokens, tokenizer, data, job)
    check_changes(old, settings, saved, data, known.state == "finished", job)
    compute = same_compute(saved.state.compute, saved.state.torch_version, settings, job)
    made_other = changed(saved.settings(), settings)  # including those of a session that ended before it saved
    return _run(project, name, settings, compute, saved, tokens, tokenizer, data, job, made_other)


def _report_pack(job: Job) -> None:
    """Report why the torch that was downloaded for the graphics card isn't used, if so."""
    found = pack.installed()
    if found and found.summary:
        job.report(Notice(found.summary, "warning"))


def _run(
    project: Project, name: str, settings: Settings, compute: Compute, begin: "Checkpoint | Origin | None",
    tokens: "Tokens", tokenizer: "Tokenizer", data: str, job: Job, changed: Mapping[str, object] = {},
) -> TrainResult:  # fmt: skip
    """Train from `begin`. `changed`: settings that differ from those of the run so far."""
    from llm_studio.runs import decisions, log, moments, registry, snapshots
    from llm_studio.training import distributed, memory
    from llm_studio.training.clock import ActiveClock
    from llm_studio.training.saving import RunContext
    from llm_studio.training.writer import RunWriter
    from llm_studio.workflows.training.continue_from import Origin

    saved, origin = (None, begin) if isinstance(begin, Origin) else (begin, None)
    recorder = RunRecorder(project, name, settings, data, compute, origin.name if origin else None)
    folder, log_file = registry.folder(project, name), project.log_file(name)
    prompts = settings.training.sample_prompts or _prompts(settings, tokens, tokenizer)
    run_log = log.RunLog(log_file)
    clock = ActiveClock()
    writer = RunWriter(run_log, job, recorder.waiting, clock)
    group = distributed.current()
    material = RunContext(
        tokens, tokenizer, data, prompts, folder, writer, recorder.saved, not recorder.continued, group, clock
    )
    if group.count > 1:
        distributed.take_card(compute.device)
        group.broadcast(plan_of(name, settings, compute, begin, data, prompts, changed, material.from_nothing))
    if material.decisions.damaged:
        text = _("{file} of this run is damaged: its weights may differ a little from those of an undisturbed run.")
        job.report(Notice(text.format(file=decisions.FILE), "warning"))
    trainer = _trainer(material, settings, compute, begin, job)
    if changed:
        trainer.note_changes(dict(changed))
    recorder.learned_of(trainer)
    step = saved.step if saved else -1
    log.cut_after(log_file, step, evaluated=bool(saved and saved.state.validation_loss is not None))
    snapshots.remove_after(folder, step)
    moments.cut_after(folder, step or -1)
    with run_log:
        recorder.saved(trainer.state(), settings)
        group.remember(name)
        try:
            with memory.translate_memory_errors():
                finished = trainer.train()
        except StudioError as error:
            if isinstance(error, DamagedTokensError):
                mark_damaged(project, error)
            with contextlib.suppress(StudioError):  # a full disk: report the first error only
                recorder.write("failed", trainer.state(), trainer.settings)
            raise
    return _ended(recorder, trainer, finished, begun_before=saved is not None)  # may remove files: they are closed now


def _ended(recorder: RunRecorder, trainer: "Trainer", finished: bool, begun_before: bool) -> TrainResult:
    """Record the end of a run that was finished or stopped. `begun_before`: it started in an earlier session."""
    state, saved = trainer.state(), trainer.last_saved
    if not state.step and (saved is None or not (begun_before or state.history)):  # stopped before its first step
        recorder.discard()
        raise Cancelled
    if saved is None:
        raise DiskFullError(
            _("The disk is full: nothing of this run could be saved."), _("Make room, then start again.")
        )
    if saved.step == state.step:
        return TrainResult(recorder.write("finished" if finished else "stopped", state, trainer.settings), finished)
    with contextlib.suppress(StorageError):  # the disk is full: record the last checkpoint instead
        recorder.write("stopped", saved, trainer.settings)
    return TrainResult(recorder.run, False)


def _trainer(
    material: "RunContext", settings: Settings, compute: Compute, begin: "Checkpoint | Origin | None", job: Job
) -> "Trainer":
    """A trainer with the weights to start from. Raises StudioError if it couldn't do a step."""
    from llm_studio.training import memory
    from llm_studio.training.trainer import Trainer
    from llm_studio.workflows.training.continue_from import Origin

    with memory.translate_memory_errors():
        trainer = Trainer(material, settings, compute, job)
        trainer.first_batch()
        if isinstance(begin, Origin):
            trainer.begin_with(begin.checkpoint)
        elif begin:
            trainer.restore(begin)
    return trainer


def _prompts(settings: Settings, tokens: "Tokens", tokenizer: "Tokenizer") -> tuple[str, ...]:
    """The default prompts of samples: beginnings, or questions if the model learns answers."""
    from llm_studio.data.tokens.turns import example_questions

    beginnings = PROMPTS[settings.project.language]
    if settings.training.loss_on == "all" or not tokens.has_conversations:
        return beginnings
    return example_questions(tokens.validation[:_SOME], tokenizer, len(beginnings))
