"""Whose work is in the program: the libraries, their versions and their licences, as their own files tell."""

import importlib.metadata
import platform
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import llm_studio
from llm_studio.i18n import _

_DISTRIBUTIONS = {
    "PyTorch": "torch", "Qt, PySide6": "PySide6-Essentials", "pyqtgraph": "pyqtgraph",
    "QtAwesome, Phosphor": "QtAwesome", "tokenizers": "tokenizers", "pyarrow": "pyarrow", "pydantic": "pydantic",
    "PyYAML": "PyYAML", "numpy": "numpy", "safetensors": "safetensors", "markdown-it-py": "markdown-it-py",
    "platformdirs": "platformdirs", "psutil": "psutil", "filelock": "filelock",
    "charset-normalizer": "charset-normalizer", "typer": "typer", "rich": "rich", "nvidia-ml-py": "nvidia-ml-py",
}  # fmt: skip
"""By the name shown: the name under which it is installed."""
_PYTHON = "Python"
_OFFICIAL = {
    "PySide6-Essentials": "https://doc.qt.io/qtforpython-6/licenses.html",
    "tokenizers": "https://github.com/huggingface/tokenizers/blob/main/LICENSE",
    "nvidia-ml-py": "https://pypi.org/project/nvidia-ml-py/",
    _PYTHON: "https://docs.python.org/3/license.html",
}
"""Where the text of a licence is, for those that are installed without one."""
_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Library:
    """A library: its name for people, its version ("" where it isn't installed), and the name of its licence."""

    name: str
    version: str
    licence: str


def libraries() -> list[Library]:
    """Python and the libraries that the program is built on."""
    found = [Library(_PYTHON, platform.python_version(), "PSF-2.0")]
    for name, installed in _DISTRIBUTIONS.items():
        distribution = _distribution(installed)
        if distribution is None:
            found.append(Library(name, "", _("not installed")))
        else:
            found.append(Library(name, distribution.version, _label(distribution)))
    return found


def licence_text(name: str) -> str:
    """The licence of a library by its name for people, as installed with it; else where to read it."""
    if name == _PYTHON:
        places = [Path(sysconfig.get_path("stdlib")) / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"]
        return _first(places) or _elsewhere(name, _PYTHON)
    distribution = _distribution(_DISTRIBUTIONS[name])
    if distribution is None:
        return _elsewhere(name, _DISTRIBUTIONS[name])
    note = ""
    if name.startswith("Qt,"):
        note = _(
            "Qt and PySide6 are used under the LGPL, version 3: they are separate files that you may replace by "
            "versions of your own."
        )
    elif name.startswith("QtAwesome"):
        note = _("The icons are Phosphor's (MIT licence, phosphoricons.com), which come with QtAwesome.")
    texts = _licence_files(distribution) or [_elsewhere(name, _DISTRIBUTIONS[name])]
    return "\n\n".join([*([note] if note else []), *texts])


def own_licence() -> str:
    """The program's own licence."""
    distribution = _distribution("llm-studio")
    texts = _licence_files(distribution) if distribution else []
    beside = Path(llm_studio.__file__).parent.parent / "LICENSE"
    return texts[0] if texts else _first([beside]) or "MIT"


def _distribution(name: str) -> Distribution | None:
    try:
        return importlib.metadata.distribution(name)
    except PackageNotFoundError:
        return None


def _label(distribution: Distribution) -> str:
    """The licence's name: an expression, a short line, or the classifiers' words."""
    metadata = distribution.metadata
    for key in ("License-Expression", "License"):
        value = metadata[key].strip() if key in metadata else ""
        if value and "\n" not in value:
            return value if len(value) <= _LONGEST_LABEL else f"{value[:_LONGEST_LABEL].rsplit(' ', 1)[0]} …"
    classifiers = metadata.get_all("Classifier") or []
    names = [line.rsplit("::", 1)[-1].strip() for line in classifiers if line.startswith("License ::")]
    return ", ".join(names) or _("see its text")


def _licence_files(distribution: Distribution) -> list[str]:
    """The texts of a distribution's licence files, its own before those of what is inside it."""
    found = [file for file in distribution.files or []
             if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))
             and not file.name.endswith((".py", ".pyc"))]  # fmt: skip
    found.sort(key=lambda file: (len(file.parts), str(file)))
    texts: list[str] = []
    for file in found:
        text = _read(Path(str(file.locate())))
        if text:
            texts.append(f"—— {file.as_posix().split('licenses/', 1)[-1]} ——\n\n{text}" if len(found) > 1 else text)
    return texts


def _first(places: list[Path]) -> str:
    return next((text for place in places if (text := _read(place))), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _elsewhere(name: str, key: str) -> str:
    place = _OFFICIAL.get(key)
    if place is None:
        return _("{name} came without the text of its licence.").format(name=name)
    return _("{name} came without the text of its licence. It is here:").format(name=name) + f"\n{place}"
