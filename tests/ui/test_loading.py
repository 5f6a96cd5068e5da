"""Qt classes and their subclasses are created in the UI thread only: see `ui/tabs/__init__.py`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.training.train import train
from tests.ui.imports import is_of_qt


@pytest.fixture(scope="module")
def imported(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a new process imports after creating its window, by thread. It shows every tab of a trained project."""
    root = tmp_path_factory.mktemp("loading")
    train(Project.open(Path(shutil.copytree(prepared, root / "project"))), Job())
    command = [sys.executable, "-m", "tests.ui.imports", str(root / "project")]
    environment = {**os.environ, "LLM_STUDIO_HOME": str(root / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    return json.loads(done.stdout)


def test_no_worker_imports_a_module_that_creates_qt_classes(imported: dict[str, list[str]]) -> None:
    assert {"llm_studio.ui.tabs.data.page", "pyqtgraph"} <= set(imported["in_ui_thread"])
    assert not [name for name in imported["elsewhere"] if is_of_qt(name)]


def test_the_ui_thread_imports_no_large_module_that_a_worker_can(imported: dict[str, list[str]]) -> None:
    large = {"torch", "numpy", "pydantic", "yaml", "markdown_it", "datasets", "tokenizers", "cProfile"}
    assert large & set(imported["elsewhere"]) and not large & set(imported["in_ui_thread"])
