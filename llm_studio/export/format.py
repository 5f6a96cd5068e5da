"""The declaration of an export format. See `formats.py` for the table of formats."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_studio.errors import ProjectError
from llm_studio.i18n import N_, _
from llm_studio.jobs import Job
from llm_studio.runs.locate import ModelRef

MEMORIZED_TEXTS = N_(
    "A model may reproduce passages of the texts that it was trained on: give it only to people who may have those."
)
"""Shown before each export, in English."""

Options = Mapping[str, bool | str]
"""The values of a format's options by name: a bool, or one of the option's choices. Missing ones have their default."""


@dataclass(frozen=True)
class Option:
    """An option of a format: `--name` on the command line; in the window a check box, or a list if it has `choices`.

    Its default is False, or the first of its choices. `title` and `help` are in English, marked with N_. A choice is
    shown as it is, or with its text in `labels`.
    """

    name: str
    title: str
    help: str
    choices: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def value(self, options: Options) -> bool | str:
        """Its value in `options`, or its default."""
        return options.get(self.name, self.choices[0] if self.choices else False)


@dataclass(frozen=True)
class Exported:
    """What was written: a file, or a folder, with the total size `bytes`."""

    path: Path
    bytes: int


@dataclass(frozen=True)
class Destination:
    """A folder of another program for exported models: `--name` on the command line, a button in the window.

    `title` is in English, marked with N_. `find` returns the folder, or None if the program isn't on this computer;
    `absent` then says so.
    """

    name: str
    title: str
    absent: str
    find: Callable[[], Path | None]


def _exportable(model: ModelRef) -> None:
    del model


@dataclass(frozen=True)
class Format:
    """A format in which a model can be exported. Texts are in English, marked with N_.

    `action` is the text of its button, `summary` says briefly what it is for. `suffix`: of the file; "" if it is a
    folder. `files` are the titles of its contents, by name, and `sizes` returns the bytes of those that are included
    with given options.

    `write` writes the model to a path, atomically (`place.py`): an existing file is replaced, a folder never is. It
    reads the checkpoint with `source.read`, or hashes its files itself while reading them, reports its Progress in
    bytes, and raises Cancelled, StorageError, CheckpointError if the model is damaged or gone, and the errors of
    `require`. `require` raises ProjectError if the format can't hold a model of these settings, with advice on what to
    train instead; it reads only the settings, so that the window can call it in advance.
    """

    name: str
    title: str
    action: str
    suffix: str
    note: str
    files: Mapping[str, str]
    sizes: Callable[[ModelRef, Options], dict[str, int]]
    write: Callable[[ModelRef, Path, Options, Job], Exported]
    options: tuple[Option, ...] = ()
    summary: str = ""
    require: Callable[[ModelRef], None] = _exportable
    destination: Destination | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the format is a folder, not a file."""
        return not self.suffix

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
    """The command-line option for an option of a format: --with-training."""
    return f"--{name.replace('_', '-')}"
