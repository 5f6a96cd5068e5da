"""Opening a model that someone else has shared: a zip or folder of a checkpoint, or a Hugging Face folder.

It becomes a new project that contains only the model: for chatting, looking inside, and starting a run from it.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import CheckpointError
from llm_studio.export import open_checkpoint, source
from llm_studio.export.hf import CONFIG
from llm_studio.export.open_hf import is_hf_folder
from llm_studio.export.place import free_name, new_folder
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, record, registry
from llm_studio.runs.checkpoint import RECORD, Checkpoint
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.runs.loop_state import LoopState
from llm_studio.workflows.tokenizer.borrowed import borrow_tokenizer

__all__ = ["OpenedModel", "free_name", "no_model", "open_model", "proposed_name", "recognise"]

_STEP = re.compile(r"-step-\d+(-hf)?$")
_RUN = re.compile(r"(?!(?:con|prn|aux|nul|com\d|lpt\d)\b)\w[\w .-]{0,60}", re.I)
"""A file name that every system accepts: names of devices can't be folders on Windows."""
_FIRST_RUN = "run-1"


@dataclass(frozen=True)
class OpenedModel:
    """The project that was created, and its run with the opened model."""

    project: Project
    run: str
    parameters: int
    conversations: bool


def recognise(path: Path) -> Path | None:
    """The path of the model at `path`: itself, or the folder of a config.json; None if it is no model."""
    if path.name == CONFIG and path.is_file():
        path = path.parent
    if path.is_dir():
        return path if (path / RECORD).is_file() or is_hf_folder(path) else None
    return path if path.suffix.lower() == ".zip" and open_checkpoint.is_checkpoint_zip(path) else None


def proposed_name(path: Path) -> str:
    """A name for the project: that of the zip or the folder."""
    path = path.expanduser().resolve()  # "." has no name
    if path.name == CONFIG:
        path = path.parent
    return path.stem if path.suffix.lower() == ".zip" else path.name


def open_model(path: Path, root: Path, job: Job) -> OpenedModel:
    """Create the new project `root` with the model at `path`, completely or not at all.

    Raises CheckpointError if it can't be opened, StorageError, ProjectError, Cancelled.
    """
    path, root = path.expanduser().absolute(), root.expanduser().absolute()
    found = recognise(path) if path.is_dir() or path.name == CONFIG else path
    if found is None:
        raise no_model(path)
    with new_folder(root, 0) as partial:
        project = Project.create(partial, Settings())
        is_hf = found.is_dir() and not (found / RECORD).is_file()
        run = (_from_hf if is_hf else _from_checkpoint)(found, project, root.name, job)
        parameters, conversations = _require_sound(project, run, job)
        job.check()
    return OpenedModel(Project.open(root), run, parameters, conversations)


def no_model(path: Path) -> CheckpointError:
    """The error for a path without a model that could be opened."""
    if path.suffix.lower() == ".zip" and not path.is_dir():
        return open_checkpoint.problem_of_zip(path) or _nothing_in(path)
    if Project(path).config_file.is_file():
        return CheckpointError(
            _("{path} is already a project.").format(path=path), _("It can be used as it is: nothing has to be opened.")
        )
    return _nothing_in(path)


def _nothing_in(path: Path) -> CheckpointError:
    return CheckpointError(
        _("There is no model in {path}.").format(path=path),
        _("Open a zip that LLM Studio exported, or a folder with config.json and model.safetensors."),
    )


def _from_checkpoint(path: Path, project: Project, name: str, job: Job) -> str:
    """Copy a checkpoint into the new project, with the display name `name`; returns its run."""
    is_zip = not path.is_dir()
    run = _run_name(open_checkpoint.folder_name(path) if is_zip else f"{path.parent.name}-{path.name}")
    folder = registry.folder(project, run)
    with files.atomic_folder(folder / "given") as given:
        (open_checkpoint.unpack if is_zip else open_checkpoint.copy)(path, given, job)
    saved = checkpoint.read(folder / "given")
    checkpoint.verify(saved)
    settings = saved.settings().replaced({"project.name": name})
    project.replace_settings(settings)
    borrow_tokenizer(project, saved.tokenizer_json(), path.name)
    target = checkpoint.folder(folder, saved.step)
    with files.translate_os_errors(target):
        files.retry_while_locked(lambda: saved.path.rename(target))
    _write_record(project, run, settings, checkpoint.read(target))
    return run


def _from_hf(path: Path, project: Project, name: str, job: Job) -> str:
    """The same for a Hugging Face folder, whose weights are converted to a checkpoint."""
    from llm_studio.export import open_hf

    opened = open_hf.read(path, job)
    own, run = opened.own, _run_name(opened.own.run)
    settings = opened.settings.replaced({"project.name": name})
    project.replace_settings(settings)
    borrow_tokenizer(project, opened.tokenizer.to_json(), path.name)
    state = LoopState(
        step=max(own.step, 1), tokens=0, seconds=0.0, vocab_size=opened.tokenizer.vocab_size,
        compute=Compute("cpu", "float32", 1), train_loss=None, validation_loss=own.validation_loss,
        best_loss=own.validation_loss, data="", torch_version="", scaler={},
    )  # fmt: skip
    folder = registry.folder(project, run)
    checkpoint.save(folder, state, settings, opened.tokenizer.to_json(), opened.weights, {}, own.conversations,
                    bytes_per_token=own.bytes_per_token)  # fmt: skip
    _write_record(project, run, settings, checkpoint.read(checkpoint.folder(folder, state.step)))
    return run


def _run_name(named: str) -> str:
    """A run's name from an untrusted file, if every system accepts it."""
    run = _STEP.sub("", named)
    return run if _RUN.fullmatch(run) and not run.endswith((".", " ")) else _FIRST_RUN


def _write_record(project: Project, run: str, settings: Settings, saved: Checkpoint) -> None:
    """Write the record of a finished run with this checkpoint."""
    state = saved.state
    made = record.new(run, settings, 0, state.torch_version, state.data)
    registry.write(project, replace(
        made, state="finished", step=saved.step, max_steps=max(saved.step, 1), train_loss=state.train_loss,
        best_loss=state.validation_loss, seconds=state.seconds, conversations=saved.conversations,
        bytes_per_token=saved.bytes_per_token,
    ))  # fmt: skip


def _require_sound(project: Project, run: str, job: Job) -> tuple[int, bool]:
    """Read the model once as an export would, to detect weights that don't fit or aren't finite now."""
    model: ModelRef = locate(project, f"{run}/last", verify=False)
    found = source.read(model, job)
    known = registry.read(project, run)
    registry.write(project, replace(known, parameters=found.parameters))
    return found.parameters, found.conversations
