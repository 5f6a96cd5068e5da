"""What the window remembers between two starts: a small JSON file in the user's settings folder."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from llm_studio.paths import data_folder, preferences_file

_MOST_RECENT = 10


@dataclass
class Preferences:
    """The user's choices. Whatever is damaged or absent in the file has its default."""

    language: str = ""
    """"" follows the system."""
    theme: str = "system"
    projects_folder: str = ""
    recent: list[str] = field(default_factory=list[str])
    """Folders of projects, the last used first."""
    reopen_last: bool = True
    geometry: str = ""
    """Where the window was, as Qt writes it, in base 64."""
    spare_threads: int = 0
    """Processor cores that a training run leaves to the window and other programs."""
    keep_awake: bool = True
    tab: str = "data"
    more_settings: bool = False
    """Whether the form of the tab Model shows all settings."""

    @staticmethod
    def load() -> "Preferences":
        """The preferences of this user."""
        try:
            found = json.loads(preferences_file().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Preferences()
        defaults = asdict(Preferences())
        if not isinstance(found, dict):
            return Preferences()
        usable = {f.name: found[f.name] for f in fields(Preferences)
                  if f.name in found and type(found[f.name]) is type(defaults[f.name])}  # fmt: skip
        preferences = Preferences(**usable)
        preferences.recent = [str(path) for path in preferences.recent[:_MOST_RECENT]]
        return preferences

    def save(self) -> None:
        """Write them; where that can't be done, the next start has the old ones."""
        written = preferences_file().with_suffix(".new")
        with contextlib.suppress(OSError):
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")  # ASCII: names may be no UTF-8
            written.replace(preferences_file())

    def remember_project(self, root: Path) -> None:
        """Put a project first among the recent ones."""
        path = str(root)
        self.recent = [path, *(other for other in self.recent if other != path)][:_MOST_RECENT]

    def forget_project(self, root: str) -> None:
        """Take a project off the list of recent ones; its folder stays."""
        self.recent = [other for other in self.recent if other != root]

    def folder_for_projects(self) -> Path:
        """Where new projects are put: the folder chosen, else one in the user's home that no cloud synchronises."""
        if self.projects_folder:
            return Path(self.projects_folder)
        home = Path.home()
        cloud = os.environ.get("OneDrive")  # noqa: SIM112  as Windows spells it
        if cloud and home.is_relative_to(cloud):  # a home that is synchronised whole
            return data_folder() / "projects"
        return home / "LLM Studio"


def typed_path(text: str) -> Path:
    """The path that a user has written, with ~ for a home; as it stands where there is no such user."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:
        return path
