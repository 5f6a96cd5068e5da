"""Scripts of a code project, run where only its own libraries can be imported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import locate
from llm_studio.workflows.training.train import train

_BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        known = name.partition(".")[0]
        if known in ("llm_studio", "transformers", "datasets", "pydantic", "typer", "PySide6", "pyarrow"):
            raise ModuleNotFoundError(f"No module named {known!r}: the project needs five libraries, not this one")
sys.meta_path.insert(0, Blocker())
"""


def run(project: Path, *arguments: str, fails: bool = False) -> str:
    """What a script of the project prints, where only its own libraries can be imported."""
    site = project.parent / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_BLOCKED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, check=False, cwd=project, env=environment, capture_output=True, encoding="utf-8")
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def copied(project: Path, folder: Path) -> Path:
    """A copy of the project that a test may change."""
    return shutil.copytree(project, folder / "copy")


def log_of(project: Path) -> list[dict[str, Any]]:
    """What it has written down of each step."""
    return [json.loads(line) for line in (project / "logs" / "train.jsonl").read_text(encoding="utf-8").splitlines()]


def train_like_the_program(project: Project, name: str, here: Path, folder: Path) -> dict[int, float]:
    """Train to the end of a run, in a copy of its project and in its code, and compare losses and weights.

    Returns the losses by step. The two compute the same formulas in another order, so that the last digits differ.
    """
    first = locate(project, f"{name}/last").step
    root = shutil.copytree(project.root, folder / "project")
    train(Project.open(root), Job(), run=name, resume=True)
    log = (root / "logs" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in log]
    expected = {line["step"]: line["loss"] for line in steps if line["event"] == "step" and line["step"] > first}
    printed = run(here, "scripts/train.py")
    found = {line["step"]: line["loss"] for line in log_of(here)}
    assert found.keys() == expected.keys() and len(found) >= 10
    for step, loss in found.items():
        assert loss == pytest.approx(expected[step], abs=2e-4), step
    last = max(found)
    theirs = load_file(root / "checkpoints" / name / f"step-{last:06d}" / "model.safetensors")
    ours = load_file(here / "checkpoints" / f"step-{last:06d}" / "model.safetensors")
    assert theirs.keys() == ours.keys()
    for parameter, weight in theirs.items():
        assert torch.allclose(ours[parameter], weight, atol=2e-3), parameter
    evaluated = [line["loss"] for line in steps if line["event"] == "evaluation" and line["step"] == last]
    assert float(printed.split("validation loss ")[-1]) == pytest.approx(evaluated[-1], abs=1e-3)
    return found
