"""The libraries in the program: each is listed, with the text of its licence."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.paths import resource
from llm_studio.workflows.machine import licences
from llm_studio.workflows.machine.licences import Library


@pytest.fixture
def fresh() -> Iterator[None]:
    """Clear the cache of installed libraries, before and after the test."""
    remembered = (licences._index, licences._metadata, licences._shown)
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def install(place: Path, name: str, needs: tuple[str, ...] = (), files: dict[str, str] | None = None) -> None:
    """Create the metadata of an installed library as in the packaged program: without its list of files."""
    folder = place / f"{name.replace('-', '_').lower()}-1.5.dist-info"
    fields = [f"Name: {name}", "Version: 1.5", "License: MIT", *(f"Requires-Dist: {line}" for line in needs)]
    for path, text in {"METADATA": "\n".join(fields) + "\n\nName: not this one\n", **(files or {})}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


@pytest.fixture
def place(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the only one that is searched for libraries."""
    folder = tmp_path / "Les modèles de Jérôme"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "absent.zip"), str(folder)])
    return folder


def names() -> list[str]:
    return [library.name for library in licences.libraries()]


@pytest.mark.parametrize("library", licences.libraries(), ids=lambda library: library.name)
def test_every_library_has_its_licence(library: Library) -> None:
    text = licences.licence_text(library.name)
    assert library.version
    assert library.licence
    assert len(text) > 200
    assert "came without" not in text
    assert "\ufffd" not in text


@pytest.mark.parametrize("part", licences._PARTS, ids=lambda part: part.name)
def test_what_is_inside_others_has_its_licence_on_every_system(part: licences._Part) -> None:
    assert len(licences.licence_text(part.name)) > 200
    assert not part.inside or part.inside == "python" or part.inside in licences._DIRECT


def test_the_libraries_of_the_libraries_are_listed_after_our_own() -> None:
    found = names()
    assert len(found) == len(set(found))
    assert found[:2] == ["Python", "PyTorch"]
    assert {"sympy", "mpmath", "networkx", "Jinja2", "MarkupSafe", "fsspec", "shiboken6", "QtPy"} <= set(found)
    assert found.index("sympy") > found.index("nvidia-ml-py")
    assert not {"llm-studio", "pytest", "ruff", "hypothesis", "babel"} & set(found)


def test_texts_that_wheels_lack_come_with_the_program() -> None:
    for name in ("Qt, PySide6", "shiboken6"):
        text = licences.licence_text(name)
        assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
        assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "Apache License" in licences.licence_text("tokenizers")
    assert "NVIDIA Corporation" in licences.licence_text("nvidia-ml-py")
    assert "Mersenne Twister" in licences.licence_text("Python")
    assert "Copyright (c) 2020-2021 Phosphor Icons" in licences.licence_text("QtAwesome, Phosphor")
    assert "CET" in licences.licence_text("pyqtgraph")
    assert "serde_json 1." in licences.licence_text("Rust")


def test_every_file_of_the_program_is_used() -> None:
    tables = [*licences._SHIPPED.values(), *licences._BESIDE.values(), *(part.files for part in licences._PARTS)]
    named = {file for files in tables for file in files}
    assert named == {path.name for path in resource("licences").iterdir()}


def test_extras_are_not_followed_and_each_text_is_shown_once(place: Path) -> None:
    install(place, "llm-studio", ("torch>=2", 'tool; extra == "dev"', "absent"), {"licenses/LICENSE": "ours"})
    install(place, "torch", ('A.b_c[x]>=1; python_version > "3"', "a-b-c"), {
        "LICENSE": "one", "licenses/third_party/x/LICENSE.md": "two", "licenses/third_party/y/LICENSE": "two",
        "licenses/AUTHORS": "people",
    })  # fmt: skip
    install(place, "a-b-c", ("torch", "d"), {"licenses/COPYING": "three"})
    install(place, "d", (), {"NOTICE.txt": "four"})
    install(place, "tool")
    place_of_first = names().index("a-b-c")  # the parts inside other libraries come later, and depend on the system
    assert names()[place_of_first + 1] == "d"
    assert "tool" not in names()
    text = licences.licence_text("PyTorch")
    assert text.index("one") < text.index("third_party/x/LICENSE.md ——\n—— third_party/y/LICENSE ——\n\ntwo")
    assert text.count("two") == 1
    assert "people" not in text
    assert licences.licence_text("d") == "four"
    assert licences.own_licence() == "ours"
    assert Library("d", "1.5", "MIT") in licences.libraries()


def test_without_our_own_metadata_the_direct_libraries_are_followed(place: Path) -> None:
    install(place, "rich", ("pygments",))
    install(place, "Pygments")
    assert "Pygments" in names()
    assert Library("numpy", "", "not installed") in licences.libraries()
    assert "Permission is hereby granted" in licences.own_licence()
    assert licences.licence_text("Pygments") == "Pygments came without the text of its licence."


def test_the_commercial_licence_of_qt_is_not_ours(place: Path) -> None:
    install(place, "pyside6-essentials", (), {"licenses/LicenseRef-Qt-Commercial.txt": "terms of a written agreement"})
    text = licences.licence_text("Qt, PySide6")
    assert "written agreement" not in text
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text


def test_the_packaged_program_lists_everything_in_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(place, "llm-studio", ("torch",))
    install(place, "torch")
    install(place, "tqdm")
    for file in ("libiomp5md.dll", "c10_cuda.dll"):
        (place / "torch" / "lib").mkdir(parents=True, exist_ok=True)
        (place / "torch" / "lib" / file).touch()
    assert "tqdm" not in names()
    licences._shown.cache_clear()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    found = names()
    assert {"tqdm", "PyInstaller", "Intel OpenMP", "NVIDIA CUDA", "zlib"} <= set(found)
    assert "llm-studio" not in found
    monkeypatch.setattr(sys, "platform", "win32")
    assert "Microsoft Visual C++" in names()


def test_one_text_holds_all_of_them_and_needs_no_window() -> None:
    code = (
        "import sys; from llm_studio.workflows.machine import licences; sys.stdout.reconfigure(encoding='utf-8'); "
        "print(licences.all_texts()); sys.exit('PySide6' in sys.modules or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.startswith("LLM Studio ")
    for library in licences.libraries():
        assert f"\n# {library.name} " in done.stdout
        assert licences.licence_text(library.name)[-300:] in done.stdout
