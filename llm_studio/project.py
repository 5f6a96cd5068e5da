"""One project: a folder that the user can see, copy and back up. This module defines the names of its files.

Opening a project locks nothing; a process that writes an output takes that output's lock. Each output records the
fingerprints of its inputs in a `meta.json`, so that the program knows when a step is out of date.
"""

import contextlib
import os
from collections.abc import Generator, Mapping
from enum import Enum
from pathlib import Path

from llm_studio import files, records
from llm_studio.config import Settings
from llm_studio.config.yaml_file import dump, load, read_text, with_changes
from llm_studio.errors import ProjectError, RecordError, reason_of
from llm_studio.i18n import N_, _
from llm_studio.links import require_inside
from llm_studio.paths import quoted

LONGEST_PATH = 240
"""Longest path in characters that every Windows program can open, minus the longest path inside a project."""

RUN_LOCK = "run-"
"""Prefix of the name of a run's lock."""


_FOLDERS = ("config", "data", "data/raw", "data/processed", "checkpoints", "logs")
"""The folders of a new project, parents first."""


class State(Enum):
    """The state of a step; the value is for display, in English."""

    TO_DO = N_("to do")
    READY = N_("ready")
    OUT_OF_DATE = N_("out of date")


class Project:
    """The folder at `root`. Use `create` or `open`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_file = root / "config" / "config.yaml"
        self.raw = root / "data" / "raw"
        self.processed = root / "data" / "processed"
        self.tokens_meta = self.processed / "meta.json"
        self.tokenizer_file = root / "tokenizer.json"
        self.tokenizer_meta = root / "tokenizer.meta.json"
        self.checkpoints = root / "checkpoints"
        self.logs = root / "logs"
        self._locks = root / ".locks"

    @staticmethod
    def create(root: Path, settings: Settings) -> "Project":
        """Create a project in the missing or empty folder `root`. Raises ProjectError, StorageError.

        If it fails, nothing is left behind; the remains of a killed process count as empty the next time.
        """
        root = _resolved(root)
        with files.translate_os_errors(root):
            if root.exists() and not root.is_dir():
                raise ProjectError(_("{path} is a file.").format(path=root), _("Choose the name of a new folder."))
            occupied = root.exists() and not _is_unfinished(root)
        if occupied and (root / "config" / "config.yaml").exists():
            raise ProjectError(_("There is already a project in {path}.").format(path=root),
                               _("Open it, or choose another folder."))  # fmt: skip
        if occupied:
            raise ProjectError(_("The folder {path} is not empty and holds no project.").format(path=root),
                               _("Choose an empty or a new folder: nothing of yours will be mixed up."))  # fmt: skip
        _require_short_path(root)
        project = Project(root)
        absent = [folder for folder in (root, *root.parents) if not folder.exists()]
        try:
            with files.translate_os_errors(root):
                for folder in (project.raw, project.processed, project.checkpoints, project.logs):
                    folder.mkdir(parents=True, exist_ok=True)
            files.write_text(project.config_file, dump(settings))  # last: this file makes the folder a project
        except BaseException:
            for folder in (*(root / name for name in reversed(_FOLDERS)), *absent):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise
        return project

    @staticmethod
    def open(root: Path) -> "Project":
        """The project in `root`. Raises ProjectError if there is no readable one."""
        project = Project(_resolved(root))
        try:
            there = project.config_file.exists()
        except OSError as error:
            raise ProjectError(_("{path} can't be read: {reason}.").format(path=root, reason=reason_of(error)),
                               _("Name the folder of a project.")) from error  # fmt: skip
        if not there:
            raise ProjectError(
                _("There is no project in {path}.").format(path=root),
                _("Make one with “llm-studio new {path}”, or name the folder that holds config/config.yaml.").format(
                    path=quoted(root)
                ),
                "project",
            )
        return project

    def settings(self) -> Settings:
        """The settings as they are in config.yaml now. Raises ConfigError."""
        return load(self.config_file)

    def change_settings(self, changes: Mapping[str, object]) -> Settings:
        """Change values in config.yaml, by dotted name; the rest of the text is unchanged.

        Raises ConfigError, BusyError.
        """
        with self.writing("config"):
            load(self.config_file)
            text = read_text(self.config_file)
            new = with_changes(text, changes)
            if new != text:
                files.write_text(self.config_file, new)
            return load(self.config_file)

    def replace_settings(self, settings: Settings) -> None:
        """Overwrite config.yaml, for example with a preset. Raises BusyError."""
        with self.writing("config"):
            files.write_text(self.config_file, dump(settings))

    def log_file(self, run: str) -> Path:
        """The log of a run: one JSON line per step, evaluation, sample and checkpoint."""
        return self.logs / f"{run}.jsonl"

    @contextlib.contextmanager
    def writing(self, output: str) -> Generator[None]:
        """Hold the lock on an output ("config", "data", "tokenizer", "tokens", "chats", "favourites", "run-NAME").

        Raises BusyError, and StorageError if its folder is a link that leads out of the project.
        """
        for folder in self._folders_of(output):
            require_inside(folder / "any")
        busy = _("Another window or command is working on the same thing ({output}) in this project.")
        with files.locked(self._locks, output, busy.format(output=output)):
            yield

    def _folders_of(self, output: str) -> tuple[Path, ...]:
        """The folders in which this output is written."""
        if output.startswith(RUN_LOCK):
            run = self.checkpoints / output.removeprefix(RUN_LOCK)
            return run, run / "snapshots", self.logs
        return {
            "config": (self.config_file.parent,), "data": (self.raw, self.raw.parent / ".trash"),
            "tokens": (self.processed,), "chats": (self.root / "chats",), "favourites": (self.root / "chats",),
        }.get(output, ())  # fmt: skip

    def is_being_written(self, output: str) -> bool:
        """Whether another window or command holds the lock on an output."""
        return files.is_locked(self._locks, output)


def state(output: Path, meta: Path, inputs: Mapping[str, str]) -> State:
    """The state of the step that created `output` and recorded in `meta` which `inputs` (fingerprints) it used."""
    if not output.exists():
        return State.TO_DO
    if not meta.exists():  # provided by the user
        return State.READY
    try:
        recorded = records.load(meta) or {}
        used: dict[str, str] = records.reader(dict[str, str])(recorded.get("inputs")) if inputs else {}
    except (RecordError, records.Misfit):  # damaged, or of a newer version
        return State.OUT_OF_DATE
    changed = any(used.get(name, value) != value for name, value in inputs.items())
    return State.OUT_OF_DATE if changed else State.READY


def _resolved(root: Path) -> Path:
    try:
        return root.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a NUL
        raise ProjectError(
            _("{path} can't be read: {reason}.").format(path=root, reason=reason_of(error)),
            _("Name the folder of a project."),
        ) from error


def _is_unfinished(root: Path) -> bool:
    """Whether a folder is empty or holds only the remains of an interrupted creation of a project."""
    folders, partial = {root / name for name in _FOLDERS}, files.being_written(root / "config" / "config.yaml")
    for place, inner, names in os.walk(root):
        found = [Path(place, name) for name in inner]
        if any(path not in folders or path.is_symlink() for path in found):
            return False
        if any(Path(place, name) != partial for name in names):
            return False
    return True


def _require_short_path(root: Path) -> None:
    longest = root / "checkpoints" / "run-000" / "step-000000.partial" / "optimizer.safetensors"
    if len(str(longest)) > LONGEST_PATH:
        raise ProjectError(_("The path {path} is too long for Windows.").format(path=root),
                           _("Choose a folder nearer to the root of the disk, or a shorter name."))  # fmt: skip
