"""Where the program finds its own files and where it may write outside a project."""

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
