"""What can go wrong in a way that the user can fix.

StudioError
├── ConfigError        settings that can't be used; carries every problem at once
├── ProjectError       the project's folder: absent, foreign, read-only, a step out of date or not done
├── SourceError        texts that can't be read
├── TokenizerError     a tokenizer that can't be trained, read or used
├── DataError          tokens that can't be made or used
├── TrainingError      a training run that can't start or go on
├── CheckpointError    a checkpoint that can't be read
│   └── NewerCheckpointError    ... since a newer program made it
├── DownloadError      something that can't be fetched, or came damaged
├── PackError          a torch for the graphics card that can't be used
├── BusyError          another window or command is writing the same thing
└── StorageError       the disk may not be written to
    └── DiskFullError           ... or is full

Any other exception is a bug. Messages are written for the user, in their language.
"""

from dataclasses import dataclass

from llm_studio.i18n import _


class StudioError(Exception):
    """A problem explained: `what` happened and why, and what `to_do` about it.

    `to_do` often names a command. Where the window has a button for the same, `action` names the step that is to be
    done: "project", "data", "tokenizer", "tokens", "model" or "training".
    """

    def __init__(self, what: str, to_do: str = "", action: str = "") -> None:
        super().__init__(what, to_do)
        self.what = what
        self.to_do = to_do
        self.action = action

    def __str__(self) -> str:
        return f"{self.what} {self.to_do}".strip()


@dataclass(frozen=True)
class Problem:
    """One wrong setting. `path` is its dotted name, `line` its 1-based line in the YAML file if known."""

    path: str
    message: str
    line: int | None = None

    @property
    def summary(self) -> str:
        """The setting and what is wrong with it."""
        return _("{setting}: {problem}").format(setting=self.path, problem=self.message)


class ConfigError(StudioError):
    """Settings that can't be used, with all their problems at once."""

    def __init__(self, what: str, problems: list[Problem], to_do: str = "") -> None:
        super().__init__(what, to_do, "model")
        self.problems = problems

    def __str__(self) -> str:
        lines = [self.what]
        for problem in self.problems:
            where = _("{setting} (line {line})") if problem.line else "{setting}"
            lines.append(f"  {where.format(setting=problem.path, line=problem.line)} – {problem.message}")
        return "\n".join([*lines, *([self.to_do] if self.to_do else [])])


class ProjectError(StudioError):
    """The project's folder is absent, foreign or read-only, or a step is out of date or not done."""


class SourceError(StudioError):
    """Texts that can't be read."""


class TokenizerError(StudioError):
    """A tokenizer that can't be trained, read or used."""


class DataError(StudioError):
    """Tokens that can't be made or used."""


class TrainingError(StudioError):
    """A training run that can't start or go on."""


class CheckpointError(StudioError):
    """A checkpoint that can't be read."""


class NewerCheckpointError(CheckpointError):
    """A checkpoint that a newer program made."""


class DownloadError(StudioError):
    """Something that can't be fetched, or came damaged."""


class PackError(StudioError):
    """A torch for the graphics card that can't be used; the program has its own."""


class BusyError(StudioError):
    """Another window or command is writing the same thing."""


class StorageError(StudioError):
    """The disk is full, or may not be written to."""


class DiskFullError(StorageError):
    """There is no room on the disk."""


class Cancelled(Exception):  # noqa: N818  not an error: what the user asked for
    """The user stopped a job before there was anything to keep."""
