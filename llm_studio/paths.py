"""Where the program finds its own files, and how a path is written in a command for the user."""

import os
import re
import shlex
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent


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
