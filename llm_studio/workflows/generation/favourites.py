"""Samples that the user marked as favourites, saved in the project; they are kept when their run is deleted."""

from dataclasses import asdict, dataclass
from pathlib import Path

from llm_studio import files, records
from llm_studio.project import Project
from llm_studio.records import Count, Measured

VERSION = 1


@dataclass(frozen=True)
class Favourite:
    """A text that the model of a run wrote after `prompt` at a step, and the validation loss at that step."""

    run: str
    step: Count
    prompt: str
    text: str
    loss: Measured | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """The identity of a favourite."""
        return self.run, self.step, self.prompt


@dataclass(frozen=True)
class _Record:
    samples: tuple[Favourite, ...]


def listed(project: Project) -> tuple[Favourite, ...]:
    """All favourites, in the order in which they were added. Raises RecordError if the file can't be read."""
    found = records.read(_file(project), _Record, newest=VERSION, most=records.MOST_BYTES_OF_MANY)
    return found.samples if found else ()


def change(project: Project, favourite: Favourite, kept: bool) -> tuple[Favourite, ...]:
    """Add (`kept`) or remove a favourite and return the new list. Raises StorageError, BusyError, RecordError.

    If the file can't be read, nothing is written, since that would delete the other favourites.
    """
    with project.writing("favourites"):
        others = [known for known in listed(project) if known.key != favourite.key]
        now = [*others, favourite] if kept else others
        files.write_json(_file(project), {"version": VERSION, "samples": [asdict(known) for known in now]})
    return tuple(now)


def _file(project: Project) -> Path:
    return project.root / "chats" / "favourites.json"
