"""A project whose folder is moved or renamed while a run trains in it."""

import sys
from pathlib import Path

import pytest

from llm_studio.errors import StorageError
from llm_studio.events import Event, Notice, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.training import writer
from llm_studio.workflows.training.train import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to rename a folder that is in use")
OFTEN = {"training.max_steps": 20, "training.checkpoint_interval": 5, "training.snapshot_megabytes": 10}


class Renaming:
    """Renames the project after a step, and back when the run says that it waits."""

    def __init__(self, project: Project, new: Path, step: int, *, back: bool) -> None:
        self.old, self.new, self.step, self.back = project.root, new, step, back
        self.said: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone) and event.step == self.step and self.old.exists():
            self.old.rename(self.new)
        elif isinstance(event, Notice):
            self.said.append(event.text)
            if self.back and self.new.exists():
                self.new.rename(self.old)


def test_a_run_leaves_nothing_where_its_project_was(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_PATIENCE", 0.1)
    monkeypatch.setattr(writer, "_POLL_SECONDS", 0.05)
    new = tmp_path / "renamed"
    with pytest.raises(StorageError, match="is gone"):
        train(project, Job(Renaming(project, new, 7, back=False)), changes=OFTEN)
    assert not project.root.exists()
    (run,) = registry.listed(Project.open(new))
    assert (run.state, run.step) == ("interrupted", 5)
    resumed = train(Project.open(new), Job(), run=run.name, resume=True)
    assert resumed.finished


def test_a_run_whose_project_gets_its_name_back_trains_on(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_POLL_SECONDS", 0.05)
    renaming = Renaming(project, tmp_path / "renamed", 7, back=True)
    assert train(project, Job(renaming), changes=OFTEN).finished
    assert any("is gone" in text for text in renaming.said)
