"""Exporting a trained model: which ones, in which formats, to which file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_studio import files
from llm_studio.errors import ProjectError, StudioError
from llm_studio.events import Notice
from llm_studio.export.format import MEMORIZED_TEXTS, Destination, Exported, Format, Option, Options, option_flag
from llm_studio.export.formats import FORMATS, by_name
from llm_studio.export.place import free_name
from llm_studio.i18n import N_, _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.checkpoint import best
from llm_studio.runs.locate import BEST, ModelRef, listed, locate

__all__ = [
    "BEST", "FORMATS", "MEMORIZED_TEXTS", "Candidate", "Destination", "Exported", "Format", "ModelRef", "Option",
    "Options", "candidates", "default_name", "destinations", "destined", "export", "free_name", "option_flag",
]  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that can be exported. Losses are in nats per token, or None if none was measured.

    `bits_per_byte` is the validation loss, comparable across vocabularies.
    """

    model: ModelRef
    validation_loss: float | None
    bits_per_byte: float | None
    train_loss: float | None
    is_best: bool
    is_last: bool
    bytes: int
    """Total size of the files in its folder."""
    obstacles: Mapping[str, str] = field(default_factory=dict[str, str])
    """The formats that can't hold this model, by name: why not, and what to train instead."""


def candidates(project: Project, run: str) -> list[Candidate]:
    """The readable checkpoints of a run, newest first."""
    found = [(ref, ref.checkpoint) for ref in listed(project, run) if ref.checkpoint]
    best_saved = best([saved for _ref, saved in reversed(found)])
    return [
        Candidate(ref, saved.state.validation_loss, saved.bits_per_byte, saved.state.train_loss, saved is best_saved,
                  ref is found[0][0], files.folder_size(ref.path), _obstacles(ref))
        for ref, saved in found
    ]  # fmt: skip


def default_name(project: Project, model: ModelRef, form: Format) -> str:
    """The name proposed for what is exported: PROJECT-run-1-step-000500.zip, PROJECT-run-1-step-000500-hf."""
    name = f"{project.root.name}-{model.name.replace('/', '-')}"
    return f"{name}-{form.name}" if form.is_folder else name + form.suffix


def _obstacles(model: ModelRef) -> dict[str, str]:
    found: dict[str, str] = {}
    for form in FORMATS.values():
        try:
            form.require(model)
        except StudioError as error:  # also raised for unreadable settings
            found[form.name] = str(error)
    return found


def destinations() -> dict[str, Destination]:
    """Folders of other programs that formats can export to, by name."""
    found = [form.destination for form in FORMATS.values() if form.destination]
    return {one.name: one for one in found}


def destined(project: Project, model: ModelRef, form: Format) -> Path:
    """The path for a model in another program's folder. Raises ProjectError if the program isn't on this computer."""
    folder = form.destination.find() if form.destination else None
    if folder is None:
        absent = form.destination.absent if form.destination else N_("No other program has a folder for this format.")
        raise ProjectError(_(absent))
    return free_name(folder / default_name(project, model, form), form.suffix)


def export(
    project: Project, job: Job, to: str, checkpoint: str = BEST, out: Path | None = None,
    options: Mapping[str, bool | str] = {}, into: str = "",
) -> tuple[ModelRef, Exported]:  # fmt: skip
    """Export the model that `checkpoint` names in the format `to`, with the format's `options` by name.

    `out` is the file or folder to create, or an existing folder for the default name; by default the current folder. A
    file without a suffix gets that of its format, and an existing file is replaced. `into` names a destination of the
    format to use instead.

    Raises CheckpointError, ProjectError, StorageError, Cancelled.
    """
    form = by_name(to)
    form.check(options)
    # the formats hash the files while they read them
    model = locate(project, checkpoint, allow_snapshots=False, verify=False)
    form.require(model)
    job.report(Notice(_(MEMORIZED_TEXTS), "info"))
    if into:
        if form.destination is None or form.destination.name != into:
            raise ProjectError(_("The format “{name}” has no option {option}.").format(
                name=form.name, option=option_flag(into)))  # fmt: skip
        return model, form.write(model, destined(project, model, form), options, job)
    out = out or Path()
    target = out / default_name(project, model, form) if out.is_dir() else out
    if not form.is_folder and not target.suffix:  # programs recognize files by their suffix
        target = target.with_name(target.name + form.suffix)
    return model, form.write(model, target, options, job)
