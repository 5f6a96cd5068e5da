"""The structure of the program: which package may import which, and the maximum sizes of files, classes, functions."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests import structure
from tests.structure import PACKAGE, ROOT, Module

RANKS = (
    ("paths", "openmp", "other_programs"), ("i18n",), ("errors",), ("events",), ("jobs",), ("links",), ("files",),
    ("records",), ("gpu",), ("config",), ("device",),
    ("project",), ("data", "model"), ("runs",), ("inference",), ("training", "export"), ("workflows",), ("cli", "ui"),
    ("__main__",),
)  # fmt: skip
"""The rooms (top-level modules and packages) from the lowest to the highest level. A room uses only lower levels."""
ROOMS = {
    "data": (("chunks", "mojibake"), ("sources",), ("cleaning",), ("corpus",), ("tokenizer",), ("tokens",)),
    "model": (("cost",), ("kernels",), ()),
    "training": (("optim",), ("health",), ()),
    "ui": (("widgets",), ("views",), ("dialogs",), ("tabs",), ("window",)),
    "cli": (("commands",), ("app",)),
}
"""The order of modules inside some rooms; () stands for all other modules."""

UI_MAY_USE = {"workflows", "config", "events", "jobs", "errors", "i18n", "paths", "records", "ui", ""}
CLI_MAY_USE = {"workflows", "config", "project", "events", "jobs", "errors", "i18n", "paths", "cli", ""}
LONGEST_FILE, LARGEST_CLASS, LONGEST_FUNCTION = 400, 250, 50


def complaints(check: Callable[[Module], list[str]]) -> list[str]:
    return [f"{module.name}: {text}" for module in structure.modules().values() for text in check(module)]


def rank(room: str) -> int:
    return next(n for n, rooms in enumerate(RANKS) if room in rooms)


def test_arrows_go_one_way() -> None:
    def wrong(module: Module) -> list[str]:
        rooms = {structure.modules()[name].room for name in module.imports if name in structure.modules()}
        return [room for room in rooms - {module.room, ""} if module.room and rank(room) >= rank(module.room)]

    assert not complaints(wrong)


def test_arrows_inside_a_room_go_one_way() -> None:
    def place(name: str, order: tuple[tuple[str, ...], ...]) -> int | None:
        part = name.split(".")[2] if name.count(".") > 1 else ""
        named = next((n for n, parts in enumerate(order) if part in parts), None)
        return named if named is not None else next((n for n, parts in enumerate(order) if not parts), None)

    def wrong(module: Module) -> list[str]:
        order = ROOMS.get(module.room, ())
        here = place(module.name, order)
        inside = [name for name in module.imports if name.startswith(f"llm_studio.{module.room}.")]
        there = {name: place(name, order) for name in inside}
        return [name for name, n in there.items() if here is not None and n is not None and n > here]

    assert not complaints(wrong)


def test_there_are_no_circles_of_imports() -> None:
    assert not structure.circles()


def test_window_and_command_line_use_the_workflows_alone() -> None:
    def wrong(module: Module) -> list[str]:
        allowed = {"ui": UI_MAY_USE, "cli": CLI_MAY_USE}.get(module.room)
        if allowed is None:
            return []
        used = module.imports if module.room == "ui" else set(module.imports) - module.type_only
        return [
            name for name in used
            if structure.modules()[name].room not in allowed and name != "llm_studio.model.cost"
        ]  # fmt: skip

    assert not complaints(wrong)


def test_only_the_window_knows_qt_and_only_the_core_knows_torch() -> None:
    qt = {"PySide6", "pyqtgraph", "qtawesome", "shiboken6"}

    def wrong(module: Module) -> list[str]:
        forbidden = {"torch"} if module.room == "ui" else qt
        if module.name == "llm_studio.model.cost":
            forbidden = qt | {"torch"}
        if module.room == "inference":
            forbidden = qt | {"tokenizers"}
        if module.room == "runs" and module.name != "llm_studio.runs.tensors":
            forbidden = qt | {"torch", "safetensors"}
        return sorted(module.libraries & forbidden)

    assert not complaints(wrong)


def test_classes_stay_readable_with_the_bases_they_were_cut_into() -> None:
    sizes = {f"{one.module}.{one.name}": structure.size_over_bases(one)
             for group in structure.classes().values() for one in group}  # fmt: skip
    assert not {name: lines for name, lines in sizes.items() if lines > LARGEST_CLASS}


def test_files_and_functions_stay_readable() -> None:
    long: list[str] = []
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        if len(text.splitlines()) > LONGEST_FILE:
            long.append(f"{name}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0) + 1
            if isinstance(node, ast.FunctionDef) and lines > LONGEST_FUNCTION:
                long.append(f"{name}: function {node.name} has {lines} lines")
    assert not long


def test_the_top_level_is_as_agreed() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a checkout, or no git")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    agreed = {"llm_studio", "resources", "tests", "build.spec", "pyproject.toml", "README.md", "LICENSE"}
    assert not {name for name in top - agreed if not name.startswith(".")}


def test_importing_any_module_does_nothing_heavy() -> None:
    """Neither the command line nor the workflows import torch or another large library before it is needed."""
    names = [name for name, module in structure.modules().items() if module.room in ("cli", "workflows", "runs")]
    light = [name for name in names if name not in HEAVY]
    code = (
        f"import sys, {', '.join(light)}\n"
        "heavy = {'torch', 'datasets', 'huggingface_hub', 'pandas', 'pyarrow', 'tokenizers', 'PySide6', 'pyqtgraph', "
        "'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


HEAVY = {"llm_studio.runs.tensors", "llm_studio.workflows.training.curves"}  # torch; curves are NumPy arrays


def test_no_string_to_translate_hides_inside_another() -> None:
    """The tool that collects strings for translation doesn't look into f-strings."""

    def hidden(module: Module) -> list[str]:
        return [
            f"line {node.lineno}: {ast.unparse(call)}"
            for node in ast.walk(module.tree) if isinstance(node, ast.JoinedStr)
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_"
            and isinstance(call.args[0], ast.Constant)
        ]  # fmt: skip

    assert not complaints(hidden)
