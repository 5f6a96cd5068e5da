"""What the window remembers between sessions: a small JSON file in the user's settings folder."""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from llm_studio import records
from llm_studio.errors import RecordError
from llm_studio.i18n import _
from llm_studio.paths import data_folder, preferences_file
from llm_studio.records import Count, FileName

_MOST_RECENT = 10


@dataclass
class Preferences:
    """The user's preferences. Damaged or missing values have their defaults."""

    language: str = ""
    """"" for the system's language."""
    theme: Annotated[str, records.checked(records.reader(str), ("system", "light", "dark").__contains__)] = "system"
    projects_folder: FileName = ""
    recent: list[FileName] = field(default_factory=list[str])
    """Folders of recent projects, the last used first."""
    reopen_last: bool = True
    geometry: str = ""
    """The window's geometry, as saved by Qt, in base 64."""
    spare_threads: Count = 0
    """Number of processor cores that a training run leaves to the window and other programs."""
    keep_awake: bool = True
    tab: str = "data"
    more_settings: bool = False
    """Whether the form of the tab Model shows all settings."""

    @staticmethod
    def load(report: Callable[[RecordError], object] = lambda _error: None) -> "Preferences":
        """Load the user's preferences. A damaged file is renamed and reported."""
        path = preferences_file()
        try:
            found, problem = records.load(path, newest=None) or {}, None
        except RecordError as error:
            found, problem = {}, error
        usable: dict[str, Any] = {}
        for name, read in _readers().items():
            try:
                usable |= {name: read(found[name])} if name in found else {}
            except records.Misfit as error:
                problem = records.damaged(path, error.inside(name))
        preferences = Preferences(**usable)
        preferences.recent = preferences.recent[:_MOST_RECENT]
        if problem:
            with contextlib.suppress(OSError):
                aside = records.keep_aside(path)
                preferences.save()
                to_do = _("What could not be read of the window’s settings has its default. The file is kept: {path}.")
                problem = RecordError(problem.what, to_do.format(path=aside))
            report(problem)
        return preferences

    def save(self) -> None:
        """Write the preferences; if that fails, the next session has the old ones."""
        written = preferences_file().with_suffix(".new")
        with contextlib.suppress(OSError):
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(
                json.dumps(asdict(self), indent=1), encoding="utf-8"
            )  # ASCII: names may not be valid UTF-8
            written.replace(preferences_file())

    def remember_project(self, root: Path) -> None:
        """Put a project first among the recent ones."""
        path = str(root)
        self.recent = [path, *(other for other in self.recent if other != path)][:_MOST_RECENT]

    def forget_project(self, root: str) -> None:
        """Remove a project from the recent ones; its folder is kept."""
        self.recent = [other for other in self.recent if other != root]

    def folder_for_projects(self) -> Path:
        """The default folder for new projects: the last chosen, otherwise one in the user's home outside of any
        cloud."""
        if self.projects_folder:
            return Path(self.projects_folder)
        home = Path.home()
        cloud = os.environ.get("OneDrive")  # noqa: SIM112  as Windows spells it
        if cloud and home.is_relative_to(cloud):  # the whole home folder is synchronised
            return data_folder() / "projects"
        return home / "LLM Studio"


def _readers() -> dict[str, records.Read]:
    hints = get_type_hints(Preferences, include_extras=True)
    return {field.name: records.reader(hints[field.name]) for field in fields(Preferences)}


def typed_path(text: str) -> Path:
    """The path that a user has typed, with ~ for a home folder; unchanged if there is no such user."""
    path = Path(text.strip())
    try:
        return path.expanduser()
    except RuntimeError:
        return path
