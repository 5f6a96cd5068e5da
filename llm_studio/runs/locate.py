"""Finds a model by a reference such as "run-1/best", for generation, training, export and inspection alike.

    best                  the best checkpoint of the best run, as the window ranks them (`record.ranked`)
    last                  the last checkpoint of the newest run that has one
    RUN                   the best checkpoint of a run
    RUN/best, RUN/last    one of these two
    RUN/step-000500       the checkpoint of a step, else the snapshot; also as RUN/500
    500                   the same, of the newest run that has a checkpoint of this step, else a snapshot
    a path                a checkpoint's folder, a run's folder, or a snapshot's file, of any project; or the folder of
                          another project, for its best checkpoint

A run whose name is a number takes precedence over the step of that number.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_studio.config import Settings
from llm_studio.config.yaml_file import load
from llm_studio.errors import CheckpointError, ProjectError, RecordError
from llm_studio.events import Event, Notice
from llm_studio.i18n import _
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.runs import checkpoint, record, registry, snapshots
from llm_studio.runs.checkpoint import CONFIG, MODEL, MODEL_FILES, RECORD, TOKENIZER, Checkpoint

if TYPE_CHECKING:
    from llm_studio.runs.tensors import Tensors

BEST, LAST = "best", "last"
_STEP_PREFIX = "step-"
_MAX_DIGITS = 19
"""A longer number isn't interpreted as a step."""


@dataclass(frozen=True)
class ModelRef:
    """A model on disk: a checkpoint, or a snapshot, which contains only weights, in half precision.

    `path` is the checkpoint's folder or the snapshot's file, `config_folder` the folder that holds its settings and
    tokenizer; `checkpoint` is None for a snapshot. `conversations`: it was trained on conversations.
    """

    path: Path
    run: str
    step: int
    conversations: bool
    config_folder: Path
    checkpoint: Checkpoint | None = None

    @property
    def kind(self) -> Literal["checkpoint", "snapshot"]:
        """Whether it is a checkpoint or a snapshot."""
        return "checkpoint" if self.checkpoint else "snapshot"

    @property
    def name(self) -> str:
        """Run and step, as in run-1/step-000500."""
        return f"{self.run}/{self.path.name if self.checkpoint else self.path.stem}"

    def settings(self) -> Settings:
        """The settings of the run. Raises ConfigError."""
        return load(self.config_folder / CONFIG)

    def tokenizer_json(self) -> str:
        """The tokenizer that the model was trained with, as JSON. Raises CheckpointError."""
        return checkpoint.read_tokenizer_json(self.config_folder)

    @property
    def weights_file(self) -> Path:
        """The file with its weights."""
        return self.path / MODEL if self.checkpoint else self.path

    def weights(self, like: "Tensors | None" = None) -> "Tensors":
        """The parameters by name: float32, or float16 if it is a snapshot.

        Raises CheckpointError, also if they don't fit `like`, the parameters of a model.
        """
        if self.checkpoint:
            return self.checkpoint.weights(like)
        if like is not None:
            snapshots.require_same_model(self.path, self.settings().model, self.tokenizer_json())
        return snapshots.read(self.path, like)

    def reference(self, project: Project) -> str:
        """A reference that locates it from `project`: RUN/step-000500, or a path if it is in another project."""
        path = self.path.resolve()
        run = path.parent if self.checkpoint else path.parent.parent
        return f"{run.name}/{path.stem}" if run.parent == project.checkpoints.resolve() else str(path)


def locate(
    project: Project, reference: str = BEST, report: Callable[[Event], object] | None = None, *,
    allow_snapshots: bool = True, verify: bool = True,
) -> ModelRef:  # fmt: skip
    """The model that `reference` names (see the module), after verifying the files it is loaded from.

    If the best or last checkpoint is damaged and `report` is given, the newest intact one is used instead (of any run
    if `reference` names none), and this is reported; without `report` it is an error. The same holds if a checkpoint
    whose record can't be read might have been the best or the last.
    `verify=False` is for callers that hash the files while reading them.

    Raises CheckpointError if there is no such model or it is damaged, ProjectError if there is no such run or nothing
    was trained yet.
    """
    search = _Search(project, report, allow_snapshots, verify)
    run, separator, point = reference.replace("\\", "/").rstrip("/").rpartition("/")
    if reference in (BEST, LAST):
        return search.point(_best_first(project) if reference == BEST else _newest_first(project), reference)
    if _is_run(project, reference):
        return search.point([registry.folder(project, reference)], BEST)
    if separator and _is_point(point) and _is_run(project, run):
        return search.point([registry.folder(project, run)], point)
    if reference.isdecimal() and _is_point(reference):
        return search.point(_newest_first(project), reference)
    path = _existing(project, reference)
    if path is not None and path.is_dir():
        return search.folder(path)
    if path is not None and allow_snapshots and snapshots.step_of(path) is not None:
        return _of_snapshot(path)
    if separator and _is_point(point) and _is_name(project, run):
        registry.read(project, run)  # raises the error that there is no such run
    raise _unknown(project, reference)


def reference_of(run: str | None, checkpoint: str) -> str:
    """The reference for a run and "best", "last" or a step; `checkpoint` alone if it is something else."""
    return f"{run}/{checkpoint}" if run and _is_point(checkpoint) else checkpoint


def listed(project: Project, run: str) -> list[ModelRef]:
    """The readable checkpoints of a run and the snapshots of other steps, latest first, unverified."""
    folder = registry.folder(project, run)
    found = {saved.step: _of_checkpoint(saved) for saved in checkpoint.listed(folder)}
    config_folder = _config_folder(folder)
    for step, path in snapshots.listed(folder).items() if config_folder else ():
        found.setdefault(step, _of_snapshot(path, config_folder))
    return [found[step] for step in sorted(found, reverse=True)]


class _Search:
    """One search, with what may be found and how damaged checkpoints are handled. Runs are given by their folders."""

    def __init__(
        self, project: Project, report: Callable[[Event], object] | None, allow_snapshots: bool, verify: bool
    ) -> None:
        self._project = project
        self._report = report
        self._allow_snapshots = allow_snapshots
        self._verify = verify

    def point(self, runs: list[Path], point: str) -> ModelRef:
        """The best or last checkpoint, or the model of a step, in the first of `runs` that has it."""
        step = _step_of(point)
        return self._best_or_last(runs, point) if step is None else self._of_step(runs, step)

    def folder(self, path: Path) -> ModelRef:
        """The checkpoint in the folder `path`, or the best one of the run or the project in it."""
        other = Project(path)
        if other.config_file.exists() and not (path / RECORD).exists():
            return _Search(other, self._report, self._allow_snapshots, self._verify).point(_best_first(other), BEST)
        if not (path / RECORD).exists() and checkpoint.listed(path):
            return self._best_or_last([path], BEST)
        return self._verified(checkpoint.read(path))

    def _of_step(self, runs: list[Path], step: int) -> ModelRef:
        saved = [found for run in runs for found in checkpoint.listed(run)]
        for found in saved:
            if found.step == step:
                return self._verified(found)
        torn = next((path for run in runs for at, path in checkpoint.unreadable(run) if at == step), None)
        if torn is not None and self._report is None:
            raise checkpoint.damaged_checkpoint(torn)
        for run in runs if self._allow_snapshots else ():
            path = snapshots.listed(run).get(step)
            if path:
                if torn is not None:
                    problem = checkpoint.damaged_checkpoint(torn).what
                    self._notify(_("{problem} The snapshot of this step is used instead.").format(problem=problem))
                return _of_snapshot(path)
        if torn is not None:
            raise checkpoint.damaged_checkpoint(torn)
        raise CheckpointError(
            _("There is no checkpoint of step {step}.").format(step=step),
            _("There are: {steps}.").format(steps=", ".join(str(found.step) for found in saved) or _("none")),
        )

    def _best_or_last(self, runs: list[Path], point: str) -> ModelRef:
        damaged: list[str] = []
        for run in runs:
            saved = checkpoint.listed(run)
            preferred = checkpoint.best(saved) if point == BEST else (saved[-1] if saved else None)
            torn = _possibly_preferred(run, preferred, point) if preferred else []
            if torn and self._report is None:
                raise checkpoint.damaged_checkpoint(torn[-1])
            found = preferred and self._intact(preferred, saved)
            if found:
                for path in torn:
                    self._notify_instead(checkpoint.damaged_checkpoint(path).what, found.step)
                for name in damaged:
                    self._notify(_("Every checkpoint of the run “{name}” is damaged: the run “{other}” is used "
                                   "instead.").format(name=name, other=run.name))  # fmt: skip
                return found
            # without a readable record, newest_intact has nothing to hash
            if saved or checkpoint.newest_intact(run)[1]:
                damaged.append(run.name)
            if damaged and self._report is None:
                break
        if damaged:
            raise CheckpointError(_("Every checkpoint of the run “{name}” is damaged.").format(name=damaged[0]),
                                  _("Start a new run."))  # fmt: skip
        raise ProjectError(_("This project has no trained model yet."),
                           _("Train one first: “llm-studio train {path}”.").format(path=quoted(self._project.root)),
                           "training")  # fmt: skip

    def _intact(self, preferred: Checkpoint, saved: list[Checkpoint]) -> ModelRef | None:
        """`preferred`; if it is damaged and another may be used, the newest intact one of `saved`."""
        try:
            return self._verified(preferred)
        except CheckpointError as error:
            if self._report is None:
                raise
            problem = error.what
        for other in reversed([one for one in saved if one is not preferred]):
            try:
                found = self._verified(other)
            except CheckpointError:
                continue
            self._notify_instead(problem, other.step)
            return found
        return None

    def _verified(self, saved: Checkpoint) -> ModelRef:
        if self._verify:
            checkpoint.verify(saved, MODEL_FILES)
        return _of_checkpoint(saved)

    def _notify_instead(self, problem: str, step: int) -> None:
        self._notify(_("{problem} Step {step} is used instead.").format(problem=problem, step=step))

    def _notify(self, text: str) -> None:
        if self._report:
            self._report(Notice(text, "warning"))


def _possibly_preferred(run: Path, preferred: Checkpoint, point: str) -> list[Path]:
    """The checkpoints with damaged records that might be the one meant instead of `preferred`."""
    torn = checkpoint.unreadable(run)
    if point == LAST:
        return [path for step, path in torn if step > preferred.step]
    try:
        known = record.read(run)
    except ProjectError:  # of a newer version
        known = None
    lowest = known.best_loss if known else None
    is_best = lowest is not None and preferred.state.validation_loss == lowest
    return [] if is_best else [path for _step, path in torn]


def _of_checkpoint(saved: Checkpoint) -> ModelRef:
    return ModelRef(saved.path, saved.path.parent.name, saved.step, saved.conversations, saved.path, saved)


def _of_snapshot(path: Path, config_folder: Path | None = None) -> ModelRef:
    """The snapshot in a file. Raises CheckpointError if its settings or its tokenizer are missing."""
    run = path.parent.parent
    config_folder = config_folder or _config_folder(run)
    if config_folder is None:
        raise CheckpointError(
            _("The snapshot {path} can't be opened: its settings and its tokenizer are missing.").format(path=path),
            _("Copy config.yaml and tokenizer.json of its run into its folder."),
        )
    try:
        known = record.read(run)
    except RecordError:  # damaged, or of a newer version
        known = None
    return ModelRef(path, run.name, snapshots.step_of(path) or 0, bool(known and known.conversations), config_folder)


def _config_folder(run: Path) -> Path | None:
    """The folder with the settings and the tokenizer of a run's snapshots; None if there is none."""
    names = frozenset((CONFIG, TOKENIZER))
    if all((snapshots.folder(run) / name).is_file() for name in names):
        return snapshots.folder(run)
    for saved in reversed(checkpoint.listed(run)):  # in runs of earlier versions, only checkpoints have them
        try:
            checkpoint.verify(saved, names)
        except CheckpointError:
            continue
        return saved.path
    return None


def _newest_first(project: Project) -> list[Path]:
    return [registry.folder(project, run.name) for run in reversed(registry.listed(project))]


def _best_first(project: Project) -> list[Path]:
    """The folders of the runs that can be ranked, then the others, the newest first."""
    runs = registry.listed(project)
    best = [run.name for run in record.ranked(runs)]
    names = best + [run.name for run in reversed(runs) if run.name not in best]
    return [registry.folder(project, name) for name in names]


def _is_run(project: Project, name: str) -> bool:
    try:
        return _is_name(project, name) and registry.exists(project, name)
    except (OSError, ValueError):  # a name that is too long, a NUL
        return False


def _is_name(project: Project, name: str) -> bool:
    """Whether `name` is a single component of a path, as the names of runs are."""
    folder = registry.folder(project, name)
    return folder.parent == project.checkpoints and folder.name != ".."


def _is_point(text: str) -> bool:
    return text in (BEST, LAST) or _step_of(text) is not None


def _step_of(text: str) -> int | None:
    """The step in "500" or "step-000500"; None for anything else."""
    digits = text.removeprefix(_STEP_PREFIX)
    return int(digits) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else None


def _existing(project: Project, reference: str) -> Path | None:
    """The absolute path that `reference` names, relative to the project's checkpoints or to the current folder."""
    for path in (project.checkpoints / reference, Path(reference)) if reference else ():
        try:
            found = path.expanduser().resolve()
            if found.exists() and found != project.checkpoints.resolve():
                return found
        except (OSError, RuntimeError, ValueError):  # too long a name, no such user's home, a NUL
            continue
    return None


def _unknown(project: Project, reference: str) -> CheckpointError:
    names = _names(checkpoint.listed(run) for run in reversed(_newest_first(project)))
    return CheckpointError(
        _("“{reference}” is neither a run of this project nor a checkpoint.").format(reference=reference),
        _("Name a run, one of its checkpoints as in run-1/best or run-1/step-000500, or a checkpoint's folder. There "
          "are: {names}.").format(names=names or _("none")),
    )  # fmt: skip


def _names(runs: Iterable[list[Checkpoint]]) -> str:
    return ", ".join(_of_checkpoint(saved).name for found in runs for saved in found)
