"""Links in a project from someone else: nothing is written or deleted through those that point outside of it."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_studio import files
from llm_studio.data.sources.store import list_sources
from llm_studio.errors import StorageError, StudioError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import decisions, registry
from llm_studio.runs.log import RunLog
from llm_studio.workflows import projects, recent
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.favourites import Favourite, change
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, links need a privilege")
TWO_STEPS = {"training.max_steps": 2, "training.checkpoint_interval": 1}


def everything(project: Project) -> None:
    """Try all operations that write into a project; some may be refused."""
    root, job = project.root, Job()
    tasks: list[Callable[[], object]] = [
        lambda: projects.change_settings(project, {"training.seed": 5}),
        lambda: sources.add_stories(project, "fr", 40, job),
        lambda: sources.remove_source(project, "stories-en", undoable=True),
        lambda: train_tokenizer(project, job),
        lambda: prepare_tokens(project, job),
        lambda: train(project, job, run="run-1", changes=TWO_STEPS),
        lambda: runs.set_aside(project, "run-1"),
        lambda: runs.rename(project, "run-1", "run-9"),
        lambda: runs.delete(project, "run-9"),
        lambda: chats.write(project, chats.new()),
        lambda: change(project, Favourite("run-1", 1, "a", "b"), True),
        lambda: recent.duplicate(root, job),
    ]
    for task in tasks:
        try:
            task()
        except StudioError as error:
            assert str(error)


def content(folder: Path) -> dict[str, bytes]:
    """The contents of all files below a folder, by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("names", [
    [".locks"], ["config"], ["data"], ["data/raw", "data/processed", "checkpoints", "chats"],
    ["data/.trash", "checkpoints/run-1"], ["logs"],
])  # fmt: skip
def test_nothing_is_written_through_a_linked_folder(project: Project, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        folder, outside = project.root / name, tmp_path / "outside" / name
        outside.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.move(folder, outside)
        outside.mkdir(exist_ok=True)
        folder.symlink_to(outside)
    before = content(tmp_path / "outside")
    everything(Project.open(project.root))
    assert content(tmp_path / "outside") == before
    assert all((project.root / name).is_symlink() for name in names)


@pytest.mark.parametrize("names", [
    [".locks/config.lock", ".locks/data.lock", ".locks/run-run-1.lock"],
    ["config/config.yaml", "data/raw/stories-en.parquet", "data/raw/stories-en.meta.json", "data/processed/train.bin",
     "data/processed/meta.json", "tokenizer.json", "tokenizer.meta.json", "checkpoints/run-1/run.json",
     "checkpoints/run-1/set-aside", "chats/favourites.json", "data/.trash/stories-en.parquet"],
    ["config/config.yaml.partial", "tokenizer.json.partial", "data/processed/train.bin.partial",
     "checkpoints/run-1/run.json.partial"],
])  # fmt: skip
def test_nothing_is_written_through_a_linked_file(project: Project, tmp_path: Path, names: list[str]) -> None:
    for name in names:
        path, outside = project.root / name, tmp_path / "outside" / name
        for folder in (path.parent, outside.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.move(path, outside)
        else:
            outside.write_text("mine", encoding="utf-8")
        path.symlink_to(outside)
    before = content(tmp_path / "outside")
    everything(Project.open(project.root))
    assert content(tmp_path / "outside") == before


def test_a_linked_folder_of_texts_is_refused_with_what_to_do(project: Project, tmp_path: Path) -> None:
    shutil.move(project.raw, tmp_path / "elsewhere")
    project.raw.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"data/raw is a link that leads out of the project") as raised:
        sources.add_stories(project, "fr", 10, Job())
    assert raised.value.to_do
    assert [s.name for s in list_sources(project.raw)] == ["stories-en"]


def test_a_log_that_is_a_link_is_not_appended_to(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine", encoding="utf-8")
    folder = registry.folder(project, "run-1")
    folder.mkdir()
    for link in (project.log_file("run-1"), folder / decisions.FILE):
        link.symlink_to(outside)
    with pytest.raises(StorageError, match="is a link to another file"), RunLog(project.log_file("run-1")):
        pass
    with pytest.raises(StorageError, match="is a link to another file"):
        decisions.DecisionLog(folder).record(1, "end", max_steps=1)
    assert outside.read_text(encoding="utf-8") == "mine"


def test_a_link_inside_a_project_is_followed(project: Project) -> None:
    project.raw.rename(project.root / "texts")
    project.raw.symlink_to("../texts")
    sources.add_stories(project, "fr", 10, Job())
    assert (project.root / "texts" / "stories-fr.parquet").is_file()


def test_outside_of_projects_links_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "desktop").symlink_to("real")
    files.write_text(tmp_path / "desktop" / "text.txt", "mine")
    assert (tmp_path / "real" / "text.txt").read_text(encoding="utf-8") == "mine"


def test_a_project_that_is_itself_linked_is_written(project: Project, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project.root)
    linked = Project.open(tmp_path / "link")
    projects.change_settings(linked, {"training.seed": 7})
    assert project.settings().training.seed == 7


def test_a_copy_holds_nothing_from_outside(project: Project, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (project.root / "notes.txt").symlink_to(tmp_path / "secret")
    made = recent.duplicate(project.root, Job())
    assert (made.root / "notes.txt").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")
def test_a_log_that_is_a_pipe_is_refused(project: Project) -> None:
    os.mkfifo(project.log_file("run-1"))
    with pytest.raises(StorageError, match="named pipe"), RunLog(project.log_file("run-1")):
        pass
    folder = registry.folder(project, "run-1")
    folder.mkdir()
    os.mkfifo(folder / decisions.FILE)
    with pytest.raises(StorageError, match="named pipe"):
        decisions.DecisionLog(folder)
    with pytest.raises(StorageError, match="named pipe"):
        recent.duplicate(project.root, Job())
