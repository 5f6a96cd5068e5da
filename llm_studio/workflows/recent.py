"""The recently used projects: what the start page shows of each."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.errors import StudioError
from llm_studio.i18n import _, bits_per_byte, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.projects import change_settings

if TYPE_CHECKING:
    from llm_studio.runs.record import Run


@dataclass(frozen=True)
class RecentProject:
    """A project in a list. `changed`: time of its last change in seconds since 1970; None if it is gone."""

    path: str
    name: str
    changed: float | None = None
    state: str = ""
    """Its progress and best result, in words."""


def recent(paths: Sequence[str], job: Job) -> list[RecentProject]:
    """Facts about the projects at `paths`; only the path if a folder is gone or can't be read."""
    found: list[RecentProject] = []
    for path in paths:
        job.check()
        try:
            found.append(_read(path))
        except (StudioError, OSError):
            found.append(RecentProject(path, Path(path).name))
    return found


def _read(path: str) -> RecentProject:
    from llm_studio.runs import registry

    project = Project.open(Path(path))
    try:
        name = project.settings().project.name or project.root.name
    except StudioError:
        name = project.root.name
    runs = registry.listed(project)
    places = [project.config_file, project.raw, project.tokenizer_file, project.tokens_meta, project.root / "chats",
              *(registry.folder(project, run.name) / "run.json" for run in runs)]  # fmt: skip
    changed = max(place.stat().st_mtime for place in places if place.exists())
    return RecentProject(path, name, changed, _state(project, runs))


def _state(project: Project, runs: "Sequence[Run]") -> str:
    from llm_studio.runs.record import best_of

    if not runs:
        if project.tokens_meta.exists():
            return _("ready to train")
        return _("texts added") if project.raw.is_dir() and any(project.raw.iterdir()) else _("empty")
    best = best_of(runs)
    newest = runs[-1]
    steps = _("{run}: {state}, step {step}").format(run=newest.name, state=_(newest.state), step=number(newest.step))
    if best is None:
        return steps
    bits = best.best_bits_per_byte
    result = bits_per_byte(bits) if bits is not None else _("validation loss {loss}").format(
        loss=number(best.best_loss or 0.0, 2))  # fmt: skip
    return _("{state} · best: {result}").format(state=steps, result=result)


def rename(path: Path, name: str) -> None:
    """Rename a project; its folder keeps its name. Raises ProjectError, ConfigError, BusyError."""
    change_settings(Project.open(path), {"project.name": name})


def duplicate(path: Path, job: Job) -> Project:
    """Copy a project into a folder beside it. Raises ProjectError, StorageError, Cancelled."""
    Project.open(path)
    suffix = 2
    while (target := path.with_name(f"{path.name}-{suffix}")).exists():
        suffix += 1
    files.require_space(path.parent, files.folder_size(path))

    def copy(source: str, goal: str) -> str:
        job.check()
        with files.explain_unreadable(Path(source)):
            files.require_regular(Path(source))
        return shutil.copy2(source, goal)

    left_out = shutil.ignore_patterns(".locks", files.being_written(Path("*")).name)
    with files.atomic_folder(target) as folder:
        shutil.copytree(path, folder, ignore=left_out, copy_function=copy, symlinks=True, dirs_exist_ok=True)
    made = Project.open(target)
    change_settings(made, {"project.name": target.name})
    return made
