"""Training with several processes: the first does everything that a single process does, the others follow its plan.

All need the same project folder, on one machine or shared between several.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import ProjectError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.training.open_data import open_training_data
from llm_studio.workflows.training.request import TrainRequest, TrainResult

if TYPE_CHECKING:
    from llm_studio.runs.checkpoint import Checkpoint
    from llm_studio.training.distributed import ProcessGroup
    from llm_studio.workflows.training.continue_from import Origin


def is_first() -> bool:
    """Whether this process is the one that prints messages."""
    from llm_studio.training import distributed

    return distributed.is_first()


def is_distributed() -> bool:
    """Whether this process is one of several."""
    from llm_studio.training import distributed

    return distributed.is_launched()


def train_distributed(
    project: Project, job: Job, how: TrainRequest, train: Callable[[TrainRequest], TrainResult]
) -> TrainResult:
    """`train` in the first process, its part of it in the others. Raises TrainingError if one of them has ended.

    If the launcher restarts after a process had ended, the earlier run is resumed.
    """
    from llm_studio.runs import registry
    from llm_studio.training import distributed

    with distributed.joined(job) as group:
        if not group.first:
            return _follow(project, job, group)
        before = group.remembered()
        if not before or not registry.exists(project, before):
            return train(how)
        run = registry.read(project, before)
        if run.state == "finished":
            group.broadcast({"run": before, "finished": True})
            return TrainResult(run, True)
        return train(replace(how, run=before, resume=True, continue_from=None, like=None))


def plan_of(
    run: str, settings: Settings, compute: Compute, begin: "Checkpoint | Origin | None", data: str,
    prompts: tuple[str, ...], changed: Mapping[str, object], from_nothing: bool,
) -> dict[str, Any]:  # fmt: skip
    """The plan that the first process sends to the others."""
    from llm_studio.workflows.training.continue_from import Origin

    origin = begin.checkpoint.path if isinstance(begin, Origin) else None
    saved = begin.path if begin and not isinstance(begin, Origin) else None
    return {
        "run": run, "settings": settings.to_dict(), "compute": asdict(compute), "data": data, "prompts": prompts,
        "changed": dict(changed), "from_nothing": from_nothing,
        "origin": str(origin or ""), "saved": saved.name if saved else "",
    }  # fmt: skip


def _nothing(_state: object, _settings: object) -> None:
    """For `RunContext.saved`: only the first process writes the record."""


def _follow(project: Project, job: Job, group: "ProcessGroup") -> TrainResult:
    from llm_studio.runs import checkpoint, log, record, registry
    from llm_studio.training import distributed, memory
    from llm_studio.training.saving import RunContext
    from llm_studio.training.trainer import Trainer
    from llm_studio.training.writer import NullRunWriter

    plan = group.broadcast()
    if plan.get("finished"):
        return TrainResult(registry.read(project, str(plan["run"])), True)
    settings, compute, name = Settings.from_dict(plan["settings"]), Compute(**plan["compute"]), str(plan["run"])
    folder = registry.folder(project, name)
    with open_training_data(project) as (tokens, tokenizer, data), memory.translate_memory_errors():
        if data != plan["data"]:
            raise ProjectError(_("The processes of this training have different tokens."),
                               _("Give all of them the same project folder."))  # fmt: skip
        distributed.take_card(compute.device)
        writer = NullRunWriter(log.RunLog(project.log_file(name)), job)
        material = RunContext(tokens, tokenizer, data, tuple(plan["prompts"]), folder, writer, _nothing,
                            bool(plan["from_nothing"]), group)  # fmt: skip
        trainer = Trainer(material, settings, compute, job)
        trainer.first_batch()
        if plan["origin"]:
            trainer.begin_with(checkpoint.read(Path(plan["origin"])))
        elif plan["saved"]:
            trainer.restore(checkpoint.read(folder / plan["saved"]))
        if plan["changed"]:
            trainer.note_changes(plan["changed"])
        finished = trainer.train()
        return TrainResult(
            record.new(name, settings, trainer.parameters, "", data), finished
        )  # only the first process writes the record
