"""Training further from another run's weights: which checkpoint is meant, and whether it fits the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.config import ModelSettings, Settings
from llm_studio.errors import CheckpointError, StudioError, TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.runs.checkpoint import Checkpoint


@dataclass(frozen=True)
class Origin:
    """The weights that a run begins with. `name`: RUN/step-000500, with its folder before it from another project."""

    checkpoint: "Checkpoint"
    name: str


def find_origin(project: Project, which: str) -> Origin:
    """The checkpoint that `which` names: RUN or RUN/step-000500 of this project, or the folder of either anywhere.

    Of a run it is the best one. Raises CheckpointError where there is none, or it is damaged.
    """
    from llm_studio.runs import checkpoint

    folder = _folder(project, which)
    if folder is None:
        raise CheckpointError(
            _("“{which}” is neither a run of this project nor a checkpoint.").format(which=which),
            _("Name a run, one of its checkpoints as in run-1/step-000500, or a checkpoint's folder. There are: "
              "{names}.").format(names=", ".join(_checkpoints(project)) or _("none")),
        )  # fmt: skip
    saved = checkpoint.best(checkpoint.listed(folder)) if not (folder / "checkpoint.json").exists() else None
    saved = saved or checkpoint.read(folder)
    checkpoint.verify(saved)
    folder = saved.path.resolve()
    name = f"{folder.parent.name}/{folder.name}"
    here = folder.parent.parent == project.checkpoints.resolve()
    return Origin(saved, name if here else str(folder))


def _folder(project: Project, which: str) -> Path | None:
    for path in (project.checkpoints / which, Path(which)):
        try:
            found = path.expanduser()
            if found.is_dir() and found.resolve() != project.checkpoints.resolve():
                return found
        except (OSError, RuntimeError, ValueError):  # a name too long, the home of no one, a NUL
            continue
    return None


def _checkpoints(project: Project) -> list[str]:
    from llm_studio.runs import checkpoint, registry

    return [
        f"{run.name}/{saved.path.name}"
        for run in registry.listed(project)
        for saved in checkpoint.listed(registry.folder(project, run.name))
    ]


def check_tokenizer(origin: Origin, tokenizer: "Tokenizer") -> None:
    """Raise TrainingError where the weights were made with another tokenizer."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    try:
        same = Tokenizer.from_json(origin.checkpoint.tokenizer_json()).fingerprint == tokenizer.fingerprint
    except (StudioError, OSError):
        same = False
    if not same:
        raise TrainingError(
            _("The checkpoint {name} was made with another tokenizer than this project's.").format(name=origin.name),
            _("Copy tokenizer.json from its folder, {path}, into the project's, then run “llm-studio prepare”.").format(
                path=origin.checkpoint.path
            ),
            "tokenizer",
        )


def fitting_settings(
    project: Project, origin: Origin, tokenizer: "Tokenizer", changes: Mapping[str, object], job: Job
) -> Settings:
    """The settings of a run that begins with `origin`: the project's, with the checkpoint's model, and `changes`.

    Dropout isn't part of a model's shape: it is the project's. Raises TrainingError where the tokenizer is another
    one, or `changes` ask for another shape.
    """
    here = project.settings()
    check_tokenizer(origin, tokenizer)
    model = origin.checkpoint.settings().model
    begun = here.replaced({f"model.{name}": value for name, value in model.model_dump().items() if name != "dropout"})
    wanted = begun.replaced(changes)
    different = _differing(model, wanted.model)
    if different:
        raise TrainingError(
            _("The model's shape is that of the checkpoint {name}: {changes} can't be changed.").format(
                name=origin.name, changes=", ".join(f"model.{name}" for name in different)
            ),
            _("Leave these settings out, or begin a new run without --continue-from."),
        )
    taken = _differing(here.model, model)
    if taken:
        names = ", ".join(f"{name} = {getattr(model, name)}" for name in taken)
        job.report(Notice(
            _("The model has the shape of the checkpoint, not that of the project's settings: {names}.").format(
                names=names)))  # fmt: skip
    return wanted


def _differing(one: ModelSettings, other: ModelSettings) -> list[str]:
    """The names of the settings that make another shape; how many tokens were asked of the tokenizer is none."""
    names = (name for name in ModelSettings.model_fields if name not in ("dropout", "vocab_size"))
    return [name for name in names if getattr(one, name) != getattr(other, name)]
