"""Where the program finds its own files and the user's, and how a path is written in a command for the user."""

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
    """A path or a name as one word of a command line."""
    text = str(path)
    if re.fullmatch(r"[\w@%+=:,./-]+", text) or (os.name == "nt" and " " not in text):
        return text
    return shlex.quote(text) if os.name != "nt" and re.search(r'["$`\\!]', text) else f'"{text}"'


def packaged() -> bool:
    """Whether this is the packaged program for Windows, which nobody extends with pip."""
    return sys.platform == "win32" and bool(getattr(sys, "frozen", False))


def settings_folder() -> Path:
    """Where the program keeps the user's preferences. `LLM_STUDIO_HOME` puts all of it elsewhere."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() if home else platformdirs.user_config_path(_NAME, appauthor=False)


def preferences_file() -> Path:
    """What the window remembers between two starts."""
    return settings_folder() / "window.json"


def log_folder() -> Path:
    """Where the program writes its log."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() / "logs" if home else platformdirs.user_log_path(_NAME, appauthor=False)


def data_folder() -> Path:
    """Where the program puts large things that it has fetched: on this computer alone, never synchronised."""
    home = os.environ.get("LLM_STUDIO_HOME")
    return Path(home).absolute() / "data" if home else platformdirs.user_data_path(_NAME, appauthor=False)
