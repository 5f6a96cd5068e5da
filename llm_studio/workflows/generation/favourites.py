"""Samples that the user likes, saved in the project; they stay when their run is deleted."""

from dataclasses import asdict, dataclass
from pathlib import Path

from llm_studio import files
from llm_studio.project import Project

VERSION = 1


@dataclass(frozen=True)
class Favourite:
    """A text that the model of a run wrote after `prompt` at a step, and the validation loss at that step."""

    run: str
    step: int
    prompt: str
    text: str
    loss: float | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """What identifies it."""
        return self.run, self.step, self.prompt


def listed(project: Project) -> tuple[Favourite, ...]:
    """All favourites, in the order in which they were added."""
    found: list[Favourite] = []
    records = (files.read_json(_file(project)) or {}).get("samples")
    for record in records if isinstance(records, list) else ():  # pyright: ignore[reportUnknownVariableType]
        try:
            found.append(Favourite(**record))
        except TypeError:
            continue
    return tuple(found)


def change(project: Project, favourite: Favourite, kept: bool) -> tuple[Favourite, ...]:
    """Add (`kept`) or remove a favourite; returns the new list. Raises StorageError, BusyError."""
    with project.writing("favourites"):
        others = [known for known in listed(project) if known.key != favourite.key]
        now = [*others, favourite] if kept else others
        files.write_json(_file(project), {"version": VERSION, "samples": [asdict(known) for known in now]})
    return tuple(now)


def _file(project: Project) -> Path:
    return project.root / "chats" / "favourites.json"
