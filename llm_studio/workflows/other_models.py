"""Models in the user's other projects, from which a run can start."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llm_studio import records
from llm_studio.errors import StudioError
from llm_studio.i18n import _, bits_per_byte, short_number
from llm_studio.jobs import Job
from llm_studio.paths import preferences_file
from llm_studio.project import Project


@dataclass(frozen=True)
class _Preferences:
    """The part of the window's preferences that is read."""

    recent: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherModel:
    """The best model of another project. `reference` is its name for `train` and `make`: the folder of its run."""

    reference: str
    project: str
    run: str
    language: str
    parameters: int
    bits_per_byte: float | None

    @property
    def text(self) -> str:
        """A one-line description."""
        text = _("“{project}”, {run}: {n} parameters").format(
            project=self.project, run=self.run, n=short_number(self.parameters)
        )
        return text if self.bits_per_byte is None else f"{text}, {bits_per_byte(self.bits_per_byte)}"


def known_projects() -> list[str]:
    """Folders of the projects that were last opened in the window, the newest first."""
    return list((records.recall(preferences_file(), _Preferences, newest=None) or _Preferences()).recent)


def other_models(project: Project, job: Job, paths: Iterable[str] | None = None) -> tuple[OtherModel, ...]:
    """The best model of each project at `paths` (default: the known ones) with a finished or stopped run.

    Models for texts in the project's language come first. `project` itself and unreadable projects are left out.
    """
    found: list[OtherModel] = []
    for path in known_projects() if paths is None else paths:
        job.check()
        try:
            other = Project.open(Path(path))
            model = None if other.root == project.root else _best_model(other)
        except (StudioError, OSError):
            continue
        if model is not None:
            found.append(model)
    language = project.settings().project.language
    return tuple(sorted(found, key=lambda model: model.language != language))


def _best_model(project: Project) -> OtherModel | None:
    from llm_studio.runs import checkpoint, registry
    from llm_studio.runs.record import best_of

    ended = [run for run in registry.listed(project) if run.state in ("finished", "stopped")]
    run = best_of(run for run in ended if checkpoint.listed(registry.folder(project, run.name)))
    if run is None:
        return None
    settings = project.settings().project
    return OtherModel(
        str(registry.folder(project, run.name)), settings.name or project.root.name, run.name, settings.language,
        run.parameters, run.best_bits_per_byte,
    )  # fmt: skip
