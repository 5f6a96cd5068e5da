"""The cut of the program: which part may use which, and how large a part may grow."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llm_studio"

RANKS = {
    "paths": 0, "i18n": 1, "errors": 2, "events": 2, "files": 3, "jobs": 3, "gpu": 3, "config": 3,
    "device": 3, "project": 4, "data": 4, "model": 4, "runs": 5, "inference": 6, "training": 7,
    "export": 7, "workflows": 8, "cli": 9, "ui": 9, "__main__": 10, "__init__": -1,
}  # fmt: skip
UI_MAY_USE = {"workflows", "config", "config_file", "events", "jobs", "errors", "i18n", "paths", "ui"}

LONG = {
    # file: why it may pass 400 lines
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    """Dotted names of everything that a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_go_one_way(path: Path) -> None:
    here = part(path)
    for name in imports(path):
        if name.startswith("llm_studio."):
            there = name.split(".")[1]
            if there == "__version__":
                continue
            assert RANKS[there] < RANKS[here] or there == here or RANKS[there] == RANKS[here] < 4, (
                f"{here} uses {there}"
            )
            if here == "ui":
                assert there in UI_MAY_USE or name.startswith("llm_studio.model.cost"), f"ui uses {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_window_knows_qt_and_only_the_core_knows_torch(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports(path)}
    if part(path) != "ui":
        assert not libraries & {"PySide6", "pyqtgraph", "qtawesome"}
    else:
        assert "torch" not in libraries
    if path == PACKAGE / "model" / "cost.py":
        assert "torch" not in libraries
    if part(path) == "inference":
        assert "tokenizers" not in libraries


@pytest.mark.parametrize(
    "path", [*modules(), *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_files_classes_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    relative = str(path.relative_to(ROOT))
    assert len(text.splitlines()) <= 400 or relative in LONG
    for node in ast.walk(ast.parse(text)):
        lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0) + 1
        if isinstance(node, ast.ClassDef):
            assert lines <= 250, f"class {node.name} has {lines} lines"
        elif isinstance(node, ast.FunctionDef):
            assert lines <= 50, f"function {node.name} has {lines} lines"


def test_the_top_level_is_as_agreed() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a checkout, or no git")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    agreed = {"llm_studio", "resources", "tests", "build.spec", "pyproject.toml", "README.md", "LICENSE"}
    assert not {name for name in top - agreed if not name.startswith(".")}


def test_importing_any_module_does_nothing_heavy() -> None:
    """Neither the command line nor the workflows bring torch or another large library in before it is needed."""
    code = (
        "import sys, llm_studio.cli.app, llm_studio.workflows.training.train, llm_studio.workflows.data.sources, "
        "llm_studio.data.sources.hub.download, llm_studio.data.sources.hub.search, llm_studio.workflows.data.download, "
        "llm_studio.workflows.quickstart, llm_studio.workflows.generation.generate, "
        "llm_studio.workflows.machine.diagnosis\n"
        "heavy = {'torch', 'datasets', 'huggingface_hub', 'pandas', 'pyarrow', 'tokenizers', 'PySide6', 'pyqtgraph', "
        "'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_string_to_translate_hides_inside_another(path: Path) -> None:
    """The tool that collects strings for translation doesn't look into f-strings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            calls = (
                n
                for n in ast.walk(node)
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "_"
            )
            for call in calls:
                assert not isinstance(call.args[0], ast.Constant), f"line {node.lineno}: {ast.unparse(call)}"
