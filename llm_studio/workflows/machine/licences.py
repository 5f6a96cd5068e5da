"""The libraries in the program with their versions and licences, from their own metadata.

The source are the `.dist-info` folders of the installed libraries, both here and in the packaged program.
"""

import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import llm_studio
from llm_studio import __version__
from llm_studio.i18n import N_, _
from llm_studio.paths import resource

_DIRECT = {
    "torch": "PyTorch", "pyside6-essentials": "Qt, PySide6", "pyqtgraph": "pyqtgraph",
    "qtawesome": "QtAwesome, Phosphor", "tokenizers": "tokenizers", "pyarrow": "pyarrow", "pydantic": "pydantic",
    "pyyaml": "PyYAML", "numpy": "numpy", "safetensors": "safetensors", "markdown-it-py": "markdown-it-py",
    "pypdfium2": "pypdfium2, PDFium",
    "platformdirs": "platformdirs", "psutil": "psutil", "filelock": "filelock",
    "typer": "typer", "rich": "rich", "nvidia-ml-py": "nvidia-ml-py",
    "gguf": "gguf",
}  # fmt: skip
"""The libraries that the program uses directly: installed name and display name."""
_SHIPPED = {
    "pyside6-essentials": ("LGPL-3.0.txt", "GPL-3.0.txt"),
    "shiboken6": ("LGPL-3.0.txt", "GPL-3.0.txt"),
    "tokenizers": ("Apache-2.0.txt",),
    "nvidia-ml-py": ("nvidia-ml-py.txt",),
    "python": ("Python.txt",),
}
"""Files in `resources/licences` for libraries whose installation has no licence text."""
_BESIDE = {
    "python": ("Python-parts.txt",),
    "qtawesome": ("Phosphor.txt", "icon-fonts.txt", "OFL-1.1.txt"),
}
"""Files in `resources/licences` for third-party code inside a library."""
_PYTHON = "Python"
_SELF = "llm-studio"
_NAMED = ("LICENSE", "LICENCE", "COPYING", "NOTICE")
_NOT_OURS = ("AUTHORS", "LICENSEREF-QT-COMMERCIAL")
"""Files beside the licences that are not needed: lists of people, and Qt's commercial licence."""
_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Library:
    """A library: its display name, its version ("" if unknown), and the name of its licence."""

    name: str
    version: str
    licence: str


@dataclass(frozen=True)
class _Part:
    """A component of the program or of the installed library `inside` that isn't installed by itself."""

    name: str
    inside: str
    licence: str
    files: tuple[str, ...]
    there: Callable[[], bool]


def libraries() -> list[Library]:
    """Everything that the program is built on: Python, libraries, their dependencies, and components inside them."""
    found = [Library(_PYTHON, platform.python_version(), "PSF-2.0")]
    for key, name in _shown().items():
        head = _metadata(key)
        if head is None:
            found.append(Library(name, "", _("not installed")))
        else:
            found.append(Library(name, head["Version"] or "", _label(head)))
    parts = (Library(part.name, _inside(part), _(part.licence)) for part in _PARTS if part.there())
    return [*found, *parts]


def licence_text(name: str) -> str:
    """The licence of a library by its display name: as installed with it, or from the program's own files."""
    part = next((part for part in _PARTS if part.name == name), None)
    if part is not None:
        return _joined([*map(_shipped, part.files), *(_crates() if part.name == _RUST else [])])
    if name == _PYTHON:
        key, texts = "python", _first(Path(sysconfig.get_path("stdlib")) / "LICENSE.txt",
                                      Path(sys.base_prefix) / "LICENSE.txt")  # fmt: skip
    else:
        key = next(key for key, shown in _shown().items() if shown == name)
        texts = _licence_files(_index()[key]) if key in _index() else []
    texts = texts or [_shipped(file) for file in _SHIPPED.get(key, ())] or [_elsewhere(name, key)]
    return _joined([*_notes(key), *texts, *map(_shipped, _BESIDE.get(key, ())), *_color_maps(key)])


def own_licence() -> str:
    """The program's own licence."""
    texts = _licence_files(_index()[_SELF]) if _SELF in _index() else []
    texts = texts or _first(Path(llm_studio.__file__).parent.parent / "LICENSE")
    return texts[0] if texts else "MIT"


def all_texts() -> str:
    """The program's own licence and those of all libraries as one text: the file beside the packaged program."""
    rows = [(Library("LLM Studio", __version__, "MIT"), own_licence())]
    rows += [(library, licence_text(library.name)) for library in libraries()]
    ruler = "#" * 100
    contents = [f"{' '.join(filter(None, (row.name, row.version)))} · {row.licence}" for row, _text in rows]
    chapters = [f"{ruler}\n# {title}\n{ruler}\n\n{row[1]}" for title, row in zip(contents, rows, strict=True)]
    return "\n\n\n".join(["\n".join(contents), *chapters]) + "\n"


# --- Finding libraries --------------------------------------------------------------------------------------------


def _normalized(name: str) -> str:
    """A name normalised as installers do."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _index() -> dict[str, Path]:
    """The `.dist-info` folder of each installed library."""
    found: dict[str, Path] = {}
    for place in sys.path:
        for folder in sorted(_long(Path(place or ".")).glob("*.dist-info")):
            found.setdefault(_normalized(folder.name.split("-")[0]), folder)
    return found


@cache
def _metadata(key: str) -> Message | None:
    """The metadata of an installed library."""
    folder = _index().get(key)
    text = _read(folder / "METADATA") if folder else ""
    return HeaderParser().parsestr(text.partition("\n\n")[0]) if text else None


@cache
def _shown() -> dict[str, str]:
    """The libraries in the order of the list: installed name and display name."""
    todo = [_SELF, *_DIRECT]
    reached = set(_index()) if _frozen() else set[str]()
    walked: set[str] = set()
    while todo:
        key = todo.pop()
        head = _metadata(key)
        if key in walked or head is None:
            continue
        walked.add(key)
        todo += _requirements(head)
    others = sorted((reached | walked) - {*_DIRECT, _SELF})
    heads = ((key, _metadata(key)) for key in others)
    return _DIRECT | {key: head["Name"] or key for key, head in heads if head is not None}


def _requirements(head: Message) -> list[str]:
    """The dependencies of a library, without extras; those for other systems aren't installed anyway."""
    found: list[str] = []
    for line in head.get_all("Requires-Dist") or []:
        name = re.match(r"[\w.-]+", line)
        if name and not re.search(r"\bextra\b", line.partition(";")[2]):
            found.append(_normalized(name[0]))
    return found


def _label(head: Message) -> str:
    """The name of the licence: an SPDX expression, a short line, or from the classifiers."""
    for field in ("License-Expression", "License"):
        value = (head[field] or "").strip()
        if value and "\n" not in value:
            return value if len(value) <= _LONGEST_LABEL else f"{value[:_LONGEST_LABEL].rsplit(' ', 1)[0]} …"
    lines = head.get_all("Classifier") or []
    names = [line.rsplit("::", 1)[-1].strip() for line in lines if line.startswith("License ::")]
    return ", ".join(names) or _("see its text")


# --- Components that aren't installed by themselves ---------------------------------------------------------------


def _frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _brought(module: str) -> Callable[[], bool]:
    """Whether Python bundles the library of this module; except on Windows it uses the system's."""
    return lambda: (sys.platform == "win32" or _frozen()) and find_spec(module) is not None


def _in_torch(*names: str) -> Callable[[], bool]:
    def there() -> bool:
        folder = _index().get("torch")
        return folder is not None and any((folder.parent / "torch" / "lib" / name).exists() for name in names)

    return there


def _has_mkl() -> bool:
    return "torch" in _index() and sys.platform != "darwin" and platform.machine().lower() in ("amd64", "x86_64")


def _inside(part: _Part) -> str:
    """Shown instead of a version: the library that a component is in."""
    head = _metadata(part.inside)
    if part.inside == "python":
        text = _("in {name} {version}").format(name=_PYTHON, version=platform.python_version())
    elif head is not None:
        name = _DIRECT[part.inside].rpartition(", ")[2]
        text = _("in {name} {version}").format(name=name, version=head["Version"])
    else:
        return ""
    return f"{text}, …" if part.name == _RUST else text


_RUST = "Rust"
_PARTS = (
    _Part("PCRE2, FreeType, HarfBuzz, libpng, …", "pyside6-essentials", "BSD-3-Clause, FTL, MIT, libpng-2.0, …",
          ("Qt-parts.txt",), lambda: "pyside6-essentials" in _index()),
    _Part(_RUST, "tokenizers", "MIT, Apache-2.0, …", ("Rust-crates.txt",), lambda: bool(_lists_of_crates())),
    _Part("Intel oneMKL", "torch", "Intel Simplified Software License", ("Intel-oneMKL.txt",), _has_mkl),
    _Part("Intel OpenMP", "torch", "Intel EULA for Developer Tools", ("Intel-OpenMP.txt",),
          _in_torch("libiomp5md.dll")),
    _Part("NVIDIA CUDA", "torch", "NVIDIA EULA", ("NVIDIA-CUDA.txt",), _in_torch("c10_cuda.dll", "libc10_cuda.so")),
    _Part("OpenSSL", "python", "Apache-2.0", ("OpenSSL.txt", "Apache-2.0.txt"), _brought("_ssl")),
    _Part("libffi", "python", "MIT", ("libffi.txt",), _brought("_ctypes")),
    _Part("SQLite", "python", N_("public domain"), ("SQLite.txt",), _brought("_sqlite3")),
    _Part("Expat", "python", "MIT", ("Expat.txt",), _brought("pyexpat")),
    _Part("zlib", "python", "Zlib", ("zlib.txt",), _brought("zlib")),
    _Part("bzip2", "python", "bzip2-1.0.6", ("bzip2.txt",), _brought("_bz2")),
    _Part("XZ Utils", "python", N_("public domain"), ("XZ.txt",), _brought("_lzma")),
    _Part("Microsoft Visual C++", "", "Visual Studio License Terms", ("Microsoft-Visual-Cpp.txt",),
          lambda: _frozen() and sys.platform == "win32"),
    _Part("PyInstaller", "", "GPL-2.0-or-later WITH Bootloader-exception", ("PyInstaller.txt",), _frozen),
)  # fmt: skip


# --- Texts --------------------------------------------------------------------------------------------------------


def _notes(key: str) -> list[str]:
    if key in ("pyside6-essentials", "shiboken6"):
        return [_("Qt and PySide6 are used under the LGPL, version 3: they are separate files that you may replace by "
                  "versions of your own.")]  # fmt: skip
    if key == "qtawesome":
        return [_("The icons are Phosphor's (MIT licence, phosphoricons.com), which come with QtAwesome.")]
    return []


def _licence_files(folder: Path) -> list[str]:
    """The licence texts of a library, its own before those of its components, without duplicates."""
    found = [path for path in folder.iterdir() if path.name.upper().startswith(_NAMED) and path.is_file()]
    found += [path for path in (folder / "licenses").rglob("*") if path.is_file()]
    names: dict[str, list[str]] = {}
    for path in sorted(found, key=lambda path: (len(path.parts), str(path))):
        text = "" if path.name.upper().startswith(_NOT_OURS) else _read(path)
        if text:
            names.setdefault(text, []).append(path.relative_to(folder).as_posix().removeprefix("licenses/"))
    if len(names) == 1:
        return list(names)
    return ["\n".join(f"—— {name} ——" for name in files) + f"\n\n{text}" for text, files in names.items()]


def _color_maps(key: str) -> list[str]:
    """The licences of pyqtgraph's colour maps, which lie beside them."""
    if key != "pyqtgraph" or key not in _index():
        return []
    maps = sorted((_index()[key].parent / "pyqtgraph" / "colors" / "maps").glob("CC*.txt"))
    return [f"—— {path.stem} ——\n\n{_read(path)}" for path in maps]


def _lists_of_crates() -> list[tuple[str, Path]]:
    """For each library written in Rust: its name, and the list of crates compiled into it."""
    folders = ((name, _index()[key]) for key, name in _shown().items() if key in _index())
    return [(name, path) for name, folder in folders for path in sorted(folder.glob("sboms/*.cyclonedx.json"))]


def _crates() -> list[str]:
    """The Rust crates that are compiled into libraries, with their licences."""
    texts: list[str] = []
    for name, path in _lists_of_crates():
        lines: list[str] = []
        for crate in json.loads(_read(path) or "{}").get("components", []):
            named = crate.get("licenses", [])
            licences = [line.get("expression") or line.get("license", {}).get("id", "") for line in named]
            lines.append(f"{crate['name']} {crate['version']}: {', '.join(licences)}")
        texts.append(f"—— {name} ——\n\n" + "\n".join(lines))
    return texts


def _shipped(file: str) -> str:
    return _read(resource("licences", file))


def _first(*places: Path) -> list[str]:
    return [text for place in places if (text := _read(place))][:1]


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").lstrip("\n").rstrip()


def _long(folder: Path) -> Path:
    """A path in the form for which Windows allows long paths: some licences are deeply nested."""
    if os.name != "nt" or str(folder).startswith("\\\\?\\"):
        return folder
    place = os.path.abspath(folder)  # noqa: PTH100  it keeps links
    return Path(f"\\\\?\\UNC{place[1:]}" if place.startswith("\\\\") else f"\\\\?\\{place}")


def _joined(texts: list[str]) -> str:
    return "\n\n\n".join(text for text in texts if text)


def _elsewhere(name: str, key: str) -> str:
    head = _metadata(key)
    links = [line.rpartition(",")[2].strip() for line in (head.get_all("Project-URL") or [] if head else [])]
    place = (head["Home-page"] if head else None) or next(iter(links), "")
    if not place:
        return _("{name} came without the text of its licence.").format(name=name)
    return _("{name} came without the text of its licence. It is here:").format(name=name) + f"\n{place}"
