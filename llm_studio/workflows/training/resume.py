"""Going on with a run: what may change in it, and what it is computed with."""

from typing import TYPE_CHECKING

from llm_studio.config import ModelSettings, Settings
from llm_studio.device import Compute, choose, processes_here
from llm_studio.errors import TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.runs.checkpoint import Checkpoint


def check_changes(old: Settings, new: Settings, saved: "Checkpoint", data: str, finished: bool, job: Job) -> None:
    """Refuse what can't change in a run, and say what a change does. `finished`: as far as its record knows."""
    from llm_studio.training.optim.schedule import learning_rate

    if _shape(old.model) != _shape(new.model):
        raise TrainingError(_("The model's shape can't change within a run."), _("Start a new run with it."))
    if saved.state.data != data:
        raise TrainingError(_("The run was trained on other tokens than those of the project now."),
                            _("Start a new run, or make the tokens as they were."))  # fmt: skip
    ended = saved.step == new.training.max_steps == old.training.max_steps
    if saved.step >= new.training.max_steps and (finished or not ended):  # else that it has ended wasn't recorded
        if saved.step >= old.training.max_steps:
            what = _("The run is finished: {step} steps are done.")
        else:
            what = _("The run has done {step} steps already.")
        raise TrainingError(
            what.format(step=number(saved.step)),
            _("To keep training: --resume --set training.max_steps={more}.").format(more=2 * saved.step),
        )
    if old.training.max_steps != new.training.max_steps:
        before, after = (learning_rate(saved.step + 1, s.training) for s in (old, new))
        job.report(Notice(
            _("The schedule of the learning rate now spans {steps} steps: at step {step} the rate goes from {before} "
              "to {after}.").format(
                  steps=number(new.training.max_steps), step=number(saved.step), before=f"{before:.2g}",
                  after=f"{after:.2g}")
        ))  # fmt: skip
    others = [name for name in changed(old, new) if name != "training.max_steps"]
    if others:
        job.report(Notice(_("From step {step} on, other settings hold: {names}.").format(
            step=number(saved.step), names=", ".join(others))))  # fmt: skip


def changed(old: Settings, new: Settings) -> dict[str, object]:
    """The settings in which two differ, by dotted name, as they are in the second."""
    before, after = old.to_dict(), new.to_dict()
    return {
        f"{part}.{name}": after[part][name]
        for part in before
        for name in before[part]
        if before[part][name] != after[part][name]
    }


def _shape(model: ModelSettings) -> ModelSettings:
    """The settings that decide about the weights and their use; dropout may change on the way."""
    return model.model_copy(update={"dropout": 0.0})


def same_compute(wanted: Compute, torch_version: str, settings: Settings, job: Job) -> Compute:
    """What a run was computed with, where this machine has it and the settings don't ask otherwise."""
    import torch

    here = choose(settings.training)
    same_device = here.device == wanted.device
    precision = wanted.precision if settings.training.precision == "auto" and same_device else here.precision
    if here.device == "cuda" and precision == "bfloat16" and not torch.cuda.is_bf16_supported(False):
        precision = here.precision  # an older card would only pretend to have it, slowly
    threads = wanted.threads if settings.training.threads == 0 and processes_here() == 1 else here.threads
    chosen = Compute(here.device, precision, threads)
    if chosen == wanted and torch_version != torch.__version__:
        job.report(Notice(_("The run goes on with torch {here} instead of {before}: the result is as good, not the "
                            "same to the last bit.").format(here=torch.__version__,
                                                            before=torch_version), "warning"))  # fmt: skip
    if chosen != wanted:
        job.report(Notice(_("The run goes on with {here} instead of {before}: the result is as good, not the same to "
                            "the last bit.").format(here=_told(chosen), before=_told(wanted)), "warning"))  # fmt: skip
    return chosen


def _told(compute: Compute) -> str:
    return f"{compute.device}, {compute.precision}, {compute.threads} threads"
