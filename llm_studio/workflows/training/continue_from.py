"""Starting a run with the weights of another: finding the checkpoint, and checking that it fits the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.config import ModelSettings, Settings
from llm_studio.errors import StudioError, TrainingError
from llm_studio.events import Notice
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.checkpoint import Checkpoint
from llm_studio.runs.locate import locate

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Origin:
    """The checkpoint whose weights a run starts with. `name`: RUN/step-000500, or its folder in another project."""

    checkpoint: Checkpoint
    name: str

    @property
    def title(self) -> str:
        """Its display name: with the folder name of another project instead of a long path."""
        path = self.checkpoint.path
        in_project = path.parent.parent.name == "checkpoints" and Path(self.name).is_absolute()
        return f"{path.parents[2].name}/{path.parent.name}/{path.name}" if in_project else self.name


def find_origin(project: Project, reference: str) -> Origin:
    """The checkpoint that `reference` names, as in `runs/locate.py`, with its weights verified.

    Never a snapshot: a repetition of the run must find the same weights, in full precision, even if checkpoints have
    been removed since. Raises CheckpointError if there is none, or it is damaged.
    """
    model = locate(project, reference, allow_snapshots=False)
    assert model.checkpoint
    return Origin(model.checkpoint, model.reference(project))


def check_tokenizer(origin: Origin, tokenizer: "Tokenizer") -> None:
    """Raise TrainingError if the checkpoint was trained with another tokenizer."""
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


def check_shape(origin: Origin, settings: Settings) -> None:
    """Raise TrainingError if the model of these settings has another shape than that of the checkpoint."""
    different = _differing(origin.checkpoint.settings().model, settings.model)
    if different:
        raise TrainingError(
            _("The model's shape is that of the checkpoint {name}: {changes} can't be changed.").format(
                name=origin.name, changes=", ".join(f"model.{name}" for name in different)
            ),
            _("Leave these settings out, or start a new run without --continue-from."),
        )


def fitting_settings(
    project: Project, origin: Origin, tokenizer: "Tokenizer", changes: Mapping[str, object], job: Job
) -> Settings:
    """The settings of a run that starts from `origin`: the project's, with the checkpoint's model, and `changes`.

    Dropout isn't part of a model's shape: it is the project's. Raises TrainingError if the tokenizer differs or
    `changes` would give the model another shape.
    """
    own = project.settings()
    check_tokenizer(origin, tokenizer)
    model = origin.checkpoint.settings().model
    inherited = {f"model.{name}": value for name, value in model.model_dump().items() if name != "dropout"}
    settings = own.replaced(inherited).replaced(changes)
    check_shape(origin, settings)
    adopted = _differing(own.model, model)
    if adopted:
        names = ", ".join(f"{name} = {getattr(model, name)}" for name in adopted)
        job.report(Notice(
            _("The model has the shape of the checkpoint, not that of the project's settings: {names}.").format(
                names=names)))  # fmt: skip
    return settings


def _differing(one: ModelSettings, other: ModelSettings) -> list[str]:
    """The settings in which the shapes differ, except `vocab_size`, which is only the requested size of a tokenizer."""
    names = (name for name in ModelSettings.model_fields if name not in ("dropout", "vocab_size"))
    return [name for name in names if getattr(one, name) != getattr(other, name)]
