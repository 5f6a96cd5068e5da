"""Resuming a run: which settings may change, and on which device it continues."""

from typing import TYPE_CHECKING

from llm_studio.config import ModelSettings, Settings
from llm_studio.device import Compute, choose, processes_here
from llm_studio.errors import CheckpointError, TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.runs.checkpoint import Checkpoint


def check_changes(old: Settings, new: Settings, saved: "Checkpoint", data: str, finished: bool, job: Job) -> None:
    """Raise TrainingError for changes that are impossible during a run, and report the effects of others.

    `finished`: whether the record of the run says so.
    """
    from llm_studio.training.optim.schedule import learning_rate

    if _shape(saved.settings().model) != _shape(old.model):
        raise CheckpointError(
            _("run.json and the checkpoint {name} have different settings of the model: one of them is damaged."
              ).format(name=saved.path.name),
            _("Restore run.json from a copy, or delete it: its figures are then those of the checkpoint."),
        )  # fmt: skip
    if _shape(old.model) != _shape(new.model):
        raise TrainingError(_("The model's shape can't change within a run."), _("Start a new run with it."))
    if saved.state.data != data:
        raise TrainingError(_("The run was trained on other tokens than those of the project now."),
                            _("Start a new run, or prepare the same tokens again."))  # fmt: skip
    ended = saved.step == new.training.max_steps == old.training.max_steps
    if saved.step >= new.training.max_steps and (finished or not ended):  # otherwise its end wasn't recorded
        if saved.step >= old.training.max_steps:
            what = _("The run is finished: {step} steps are done.")
        else:
            what = _("The run has done {step} steps already.")
        raise TrainingError(
            what.format(step=number(saved.step)),
            _("To keep training: --resume --set training.max_steps={more}.").format(more=2 * saved.step),
        )
    if old.training.max_steps != new.training.max_steps and not new.training.minutes:
        before, after = (learning_rate(saved.step + 1, s.training) for s in (old, new))
        job.report(Notice(
            _("The schedule of the learning rate now spans {steps} steps: at step {step} the rate goes from {before} "
              "to {after}.").format(
                  steps=number(new.training.max_steps), step=number(saved.step), before=f"{before:.2g}",
                  after=f"{after:.2g}")
        ))  # fmt: skip
    others = [name for name in changed(old, new) if name != "training.max_steps"]
    if others:
        job.report(Notice(_("These settings change from step {step} on: {names}.").format(
            step=number(saved.step), names=", ".join(others))))  # fmt: skip


def changed(old: Settings, new: Settings) -> dict[str, object]:
    """The values of `new` that differ from those of `old`, by dotted name."""
    before, after = old.to_dict(), new.to_dict()
    return {
        f"{section}.{name}": after[section][name]
        for section in before
        for name in before[section]
        if before[section][name] != after[section][name]
    }


def _shape(model: ModelSettings) -> ModelSettings:
    """The settings that determine the weights and what they compute; dropout may change during a run."""
    return model.model_copy(update={"dropout": 0.0})


def same_compute(recorded: Compute, torch_version: str, settings: Settings, job: Job) -> Compute:
    """The device and precision that a run used, if this machine has them and the settings don't override them."""
    import torch

    here = choose(settings.training)
    same_device = here.device == recorded.device
    precision = recorded.precision if settings.training.precision == "auto" and same_device else here.precision
    if here.device == "cuda" and precision == "bfloat16" and not torch.cuda.is_bf16_supported(False):
        precision = here.precision  # an older card only emulates it, slowly
    threads = recorded.threads if settings.training.threads == 0 and processes_here() == 1 else here.threads
    chosen = Compute(here.device, precision, threads)
    if chosen == recorded and torch_version != torch.__version__:
        text = _("The run now uses torch {here} instead of {before}: the result is as good, but not bit-identical.")
        job.report(Notice(text.format(here=torch.__version__, before=torch_version), "warning"))
    if chosen != recorded:
        text = _("The run now uses {here} instead of {before}: the result is as good, but not bit-identical.")
        job.report(Notice(text.format(here=_description(chosen), before=_description(recorded)), "warning"))
    return chosen


def _description(compute: Compute) -> str:
    return f"{compute.device}, {compute.precision}, {compute.threads} threads"
