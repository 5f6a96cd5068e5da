"""What only Windows does: files that another program holds, names that differ by their case, shares of the network.

And the OpenMP of torch for Windows, Intel's. Run under Windows' Python, `python -m pytest tests`; elsewhere there is
nothing to see.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from llm_studio import device, files
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import read_path
from llm_studio.device import Compute
from llm_studio.errors import BusyError, ProjectError, SourceError, StorageError
from llm_studio.events import Event, StepDone
from llm_studio.jobs import Job
from llm_studio.openmp import WAITING
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.training.train import TrainResult, train
from tests.tiny import project_with_tokens

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="only Windows does this")

HOLD = """
import ctypes, sys, time
handle = ctypes.windll.kernel32.CreateFileW(sys.argv[1], 0xC0000000, 0, None, 3, 0x80, None)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
"""Another program that opens a file for itself alone, as Word does with a document, for so many seconds."""


def train_briefly(project: Project, run: str) -> TrainResult:
    return train(project, Job(), run=run, changes={"training.max_steps": 6})


def hold(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True, encoding="ascii"
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_text_that_another_program_holds_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "été.txt"
    path.write_text("Il était une fois.", encoding="utf-8")
    process = hold(path, 60)
    try:
        with pytest.raises(SourceError, match="no permission to read") as summary:
            list(read_path(path, ReadOptions(), lambda _: None, Job()))
        assert "Close the program that uses it" in str(summary.value.to_do)
    finally:
        end(process)


def test_an_output_held_for_a_moment_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    files.write_text(path, "old")
    process = hold(path, 1)
    begun = time.monotonic()
    files.write_text(path, "new")
    assert time.monotonic() - begun < 4
    assert path.read_text(encoding="utf-8") == "new"
    end(process)


def test_an_output_held_for_long_is_explained_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    files.write_text(path, "old")
    process = hold(path, 60)
    try:
        with pytest.raises(StorageError, match="may not be written to"):
            files.write_text(path, "new")
    finally:
        end(process)
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_a_project_named_in_another_case_is_the_same_project(tmp_path: Path) -> None:
    project = projects.new_project(tmp_path / "Mon modèle été", "nano", "fr")
    other = Project.open(tmp_path / "MON MODÈLE ÉTÉ")
    assert other.root == project.root
    with project.writing("data"), pytest.raises(BusyError), other.writing("data"):
        pass


def test_sources_that_differ_by_case_alone_are_two(tmp_path: Path) -> None:
    project = projects.new_project(tmp_path / "p", "nano", "en")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "Tales.txt").write_text("Once upon a time.", encoding="utf-8")
    (tmp_path / "b" / "TALES.txt").write_text("There was a fox.", encoding="utf-8")
    made = sources.add_several(project, [tmp_path / "a" / "Tales.txt", tmp_path / "b" / "TALES.txt"], Job())
    assert len({source.name.lower() for source in made}) == 2
    assert len(list(project.raw.glob("*.parquet"))) == 2


def test_a_run_may_change_the_case_of_its_name_and_no_more(tmp_path: Path) -> None:
    project = project_with_tokens(tmp_path / "p")
    train_briefly(project, "First")
    train_briefly(project, "Second")
    registry.rename(project, "First", "FIRST")
    assert {run.name.lower() for run in registry.listed(project)} == {"first", "second"}
    assert registry.read(project, "FIRST").step == 6
    with pytest.raises(ProjectError, match="already a run"):
        registry.rename(project, "FIRST", "second")


def test_all_steps_in_a_folder_of_the_network(tmp_path: Path) -> None:
    drive, rest = tmp_path.drive.rstrip(":"), tmp_path.relative_to(tmp_path.anchor)
    share = Path(rf"\\localhost\{drive}$") / rest
    if not share.exists():
        pytest.skip("this computer doesn't share its disks with itself")
    project = project_with_tokens(share / "Mon modèle")
    assert str(project.root).startswith("\\\\")
    assert train_briefly(project, "run").finished


def test_all_steps_below_a_long_and_accented_path(tmp_path: Path) -> None:
    folder = tmp_path / "Jérôme" / "Mes modèles d’été"
    project = project_with_tokens(folder)
    assert train_briefly(project, "run").finished


WAIT = "from llm_studio.openmp import wait_briefly; wait_briefly(); import torch; torch.randn(9, 9) @ torch.randn(9, 9)"
"""What the program does first."""


def test_threads_of_torch_wait_as_briefly_as_the_program_says() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in (*WAITING, "OMP_WAIT_POLICY")}
    environment["KMP_SETTINGS"] = "1"
    done = subprocess.run([sys.executable, "-c", WAIT], env=environment, capture_output=True, text=True, check=True)
    effective = (done.stdout + done.stderr).partition("Effective settings")[2]
    assert f"KMP_BLOCKTIME={WAITING['KMP_BLOCKTIME']}" in effective


@pytest.mark.skipif(device.all_cores() < 2, reason="one core leaves no choice")
def test_a_run_makes_room_for_busy_programs_and_is_repeated_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load is a real one, really measured."""
    most = device.all_cores()
    monkeypatch.setattr("llm_studio.training.threads.compute_for", lambda *_given: Compute("cpu", "float32", most))
    project = project_with_tokens(tmp_path / "p")
    changes = {"training.threads": 0, "training.precision": "float32", "training.max_steps": 20_000}
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _core in range(most)]
    threads, losses = list[int](), list[float]()

    def note(event: Event) -> None:
        if isinstance(event, StepDone):
            threads.append(torch.get_num_threads())
            losses.append(event.loss)
            if threads.count(threads[-1]) == 20 and threads[-1] < most:
                job.request_stop()

    try:
        for run, like in (("first", None), ("again", "first")):
            job, before, same = Job(note), list(threads), list(losses)
            threads.clear()
            losses.clear()
            train(project, job, run=run, like=like, changes=changes if like is None else {})
            for process in busy:
                end(process)
            busy.clear()
    finally:
        for process in busy:
            end(process)
    assert threads[0] == most and threads[-1] < most
    assert (threads, losses) == (before, same)
