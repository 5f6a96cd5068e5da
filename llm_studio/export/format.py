"""What an export format declares. See `formats.py` for the table of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_studio.errors import ProjectError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.runs.locate import ModelRef

Options = Mapping[str, bool | str]
"""The values of a format's options by name: a bool, or one of the option's choices. Absent ones have their default."""


@dataclass(frozen=True)
class Option:
    """An option of a format: `--name` on the command line; in the window a check box, or a list if it has `choices`.

    It is off by default, or the first of its choices. `title` and `help` are in English, marked with N_.
    """

    name: str
    title: str
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    bytes: int


@dataclass(frozen=True)
class Format:
    """A format in which a model can be exported. Texts are in English, marked with N_.

    `files` are the titles of what it holds, by name, and `sizes` gives the bytes of those that are included with some
    options. `write` writes the model to a path, atomically, and hashes the files of a checkpoint while reading them;
    it raises Cancelled, StorageError, and CheckpointError if the model is damaged or gone.
    """

    name: str
    title: str
    suffix: str
    note: str
    files: Mapping[str, str]
    sizes: Callable[[ModelRef, Options], dict[str, int]]
    write: Callable[[ModelRef, Path, Options, Job], Exported]
    options: tuple[Option, ...] = ()

    def check(self, options: Options) -> None:
        """Raise ProjectError for an option that this format doesn't have, or a value that isn't one of its choices."""
        known = {option.name: option for option in self.options}
        for name, value in options.items():
            if name not in known:
                raise ProjectError(_("The format “{name}” has no option {option}.").format(
                    name=self.name, option=option_flag(name)))  # fmt: skip
            choices = known[name].choices
            if choices and value not in choices:
                raise ProjectError(
                    _("{option} can't be “{value}”.").format(option=option_flag(name), value=value),
                    _("Use one of: {choices}.").format(choices=", ".join(choices)),
                )


def option_flag(name: str) -> str:
    """The option of the command line for an option of a format: --with-training."""
    return f"--{name.replace('_', '-')}"
