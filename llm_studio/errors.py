"""The errors that a user can fix.

StudioError
├── ConfigError        settings that can't be used; carries every problem at once
│   └── DamagedConfigError      ... because the file lost its content or its end, or is far too large
├── ProjectError       the project's folder: missing, foreign, read-only; a step out of date or not done
├── SourceError        texts that can't be read
│   ├── DamagedFileError        ... because the file is damaged
│   └── NewerSourceError        ... because a newer version wrote them
├── TokenizerError     a tokenizer that can't be trained, read or used
├── DataError          tokens that can't be made or used
│   └── DamagedTokensError      ... because they have changed since they were prepared
├── TrainingError      a training run that can't start or continue
├── CheckpointError    a checkpoint that can't be read
│   └── NewerCheckpointError    ... because a newer version wrote it
├── RecordError        a file of the program's own that is damaged
│   └── NewerRecordError        ... or written by a newer version
├── DownloadError      a download that failed, or is damaged
├── PackError          a torch for the graphics card that can't be used
├── BusyError          another window or command is writing the same thing
└── StorageError       the disk may not be written to
    └── DiskFullError           ... or is full

SpecialFileError is an OSError: a pipe or a device instead of a file. Any other exception is a bug. Messages are
written for the user, in their language.
"""

import errno
import socket
from dataclasses import dataclass

from llm_studio.i18n import N_, _

_REASONS = {
    "ENOENT": N_("no such file or folder"), "ENOTDIR": N_("not a folder"), "EISDIR": N_("it is a folder"),
    "EEXIST": N_("it exists already"), "ENOTEMPTY": N_("the folder is not empty"), "ELOOP": N_("a link to itself"),
    "EACCES": N_("permission denied"), "EPERM": N_("permission denied"), "EROFS": N_("the disk is read-only"),
    "ENOSPC": N_("the disk is full"), "EDQUOT": N_("the disk is full"), "EFBIG": N_("too large for this disk"),
    "ENAMETOOLONG": N_("the name is too long"), "EBUSY": N_("another program uses it"),
    "EIO": N_("the disk reports an error"), "ENXIO": N_("the disk is absent"), "ENODEV": N_("the disk is absent"),
    "EMFILE": N_("too many files are open"), "ENFILE": N_("too many files are open"),
    "ENOMEM": N_("there is not enough memory"), "ESTALE": N_("the network drive is gone"),
    "ETIMEDOUT": N_("no answer in time"), "ECONNREFUSED": N_("the connection was refused"),
    "ECONNRESET": N_("the connection was closed"), "EHOSTDOWN": N_("the other computer is off or unreachable"),
    "EHOSTUNREACH": N_("the other computer is off or unreachable"), "ENETUNREACH": N_("there is no network"),
    "ENETDOWN": N_("there is no network"),
}  # fmt: skip
"""The meaning of the system's error numbers, by name: not every system has all of them."""


def reason_of(error: BaseException) -> str:
    """The reason for a system error in the user's language, to follow a colon; for other errors, their own text."""
    if isinstance(error, UnicodeError):
        return _("not UTF-8 text")
    if isinstance(error, socket.gaierror):
        return _("its address was not found")
    number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno if isinstance(error, OSError) else 0
    reason = _REASONS.get(errno.errorcode.get(number or 0, "").removeprefix("WSA"))
    if reason:
        return _(reason)
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


class StudioError(Exception):
    """An explained problem: `what` happened and why, and what `to_do` about it.

    `to_do` often names a command. If the window has a button for it, `action` names the step to be done: "project",
    "data", "sources", "tokenizer", "tokens", "model" or "training".
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


class DamagedConfigError(ConfigError):
    """A file of settings that lost its content or its end, or is far too large."""


class ProjectError(StudioError):
    """The project's folder is missing, foreign or read-only, or a step is out of date or not done."""


class SourceError(StudioError):
    """Texts that can't be read."""


class DamagedFileError(SourceError):
    """The file `name` isn't of the type its suffix says, or is truncated. `detail` is the technical reason."""

    def __init__(self, what: str, to_do: str, name: str = "", detail: str = "") -> None:
        super().__init__(what, to_do)
        self.name = name
        self.detail = detail
        self.add_note(detail)

    @property
    def skipped(self) -> str:
        """The problem in one sentence, when other files are read without this one."""
        return _("“{name}” is damaged and will be skipped.").format(name=self.name)


class NewerSourceError(SourceError):
    """Texts that were written by a newer version."""


class TokenizerError(StudioError):
    """A tokenizer that can't be trained, read or used."""


class DataError(StudioError):
    """Tokens that can't be made or used."""


class DamagedTokensError(DataError):
    """Tokens whose `file` has changed since they were prepared."""

    def __init__(self, what: str, to_do: str, file: str) -> None:
        super().__init__(what, to_do, "tokens")
        self.file = file


class TrainingError(StudioError):
    """A training run that can't start or continue."""


class CheckpointError(StudioError):
    """A checkpoint that can't be read."""


class NewerCheckpointError(CheckpointError):
    """A checkpoint that was written by a newer version."""


class RecordError(StudioError):
    """A file in which the program stores its records is damaged."""


class NewerRecordError(RecordError):
    """A record was written by a newer version."""


class DownloadError(StudioError):
    """A download that failed, or is damaged."""


class PackError(StudioError):
    """A torch for the graphics card that can't be used; the program falls back to its own."""


class BusyError(StudioError):
    """Another window or command is writing the same thing."""


class StorageError(StudioError):
    """The disk is full or can't be written to."""


class FolderGoneError(StorageError):
    """The folder to write into was moved, renamed or deleted."""


class DiskFullError(StorageError):
    """There is no room on the disk."""


class SpecialFileError(OSError):
    """A path is neither a file nor a folder: a named pipe, a device, a socket.

    An OSError, so that it is handled like any file that can't be read; `reason_of` names its kind.
    """

    def __init__(self, kind: str, path: object) -> None:
        super().__init__(errno.EOPNOTSUPP, kind, str(path))


class Cancelled(Exception):  # noqa: N818  not an error: requested by the user
    """The user stopped a job before there was a result to keep."""
