"""Paths of the program's own files and of the user's, and quoting of paths in commands shown to the user."""

import os
import re
import shlex
import sys
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent
_NAME = "LLM Studio"


def resource(*parts: str) -> Path:
    """Path of a file or folder under `resources/`: in the bundle, in the installed wheel or in a source tree."""
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        root = Path(bundle) / "resources"
    elif (_PACKAGE / "resources").is_dir():
        root = _PACKAGE / "resources"
    else:
        root = _PACKAGE.parent / "resources"
    return root.joinpath(*parts)


def quoted(path: Path | str) -> str:
    """A path or name quoted as one word of a command line."""
    text = str(path)
    if re.fullmatch(r"[\w@%+=:,./-]+", text) or (os.name == "nt" and " " not in text):
        return text
    return shlex.quote(text) if os.name != "nt" and re.search(r'["$`\\!]', text) else f'"{text}"'


def packaged() -> bool:
    """Whether this is the packaged program for Windows, which can't be extended with pip."""
    return sys.platform == "win32" and bool(getattr(sys, "frozen", False))


def settings_folder() -> Path:
    """The folder of the user's preferences. `LLM_STUDIO_HOME` moves all such folders."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() if home else platformdirs.user_config_path(_NAME, appauthor=False)


def preferences_file() -> Path:
    """The file in which the window keeps its state between sessions."""
    return settings_folder() / "window.json"


def log_folder() -> Path:
    """The folder of the program's log."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() / "logs" if home else platformdirs.user_log_path(_NAME, appauthor=False)


def data_folder() -> Path:
    """The folder for large downloads: local to this computer, never synchronised."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() / "data" if home else platformdirs.user_data_path(_NAME, appauthor=False)
