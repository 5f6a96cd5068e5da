"""Saving goes on beside the training, by steps and by time; a full disk makes it wait, and nothing is lost."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from llm_studio import files
from llm_studio.errors import DiskFullError, StorageError
from llm_studio.events import CheckpointSaved, Event, Notice, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, log, moments, registry, tensors
from llm_studio.runs.tensors import Copy
from llm_studio.training import saving, writer
from llm_studio.training.writer import NotSavedError, RunWriter
from llm_studio.workflows.training.train import train
from tests.training.test_resume import DieAt, StopAt, assert_same_weights, records

OFTEN: dict[str, Any] = {
    "training.checkpoint_interval": 100, "training.eval_interval": 100, "training.checkpoint_minutes": 1e-6,
    "training.sample_prompts": ["O"], "training.eval_sequences": 8,
}  # fmt: skip


def steps(project: Project, run: str) -> list[int]:
    return [saved.step for saved in checkpoint.listed(registry.folder(project, run))]


def test_a_run_saved_by_time_resumes_bit_for_bit_and_is_evaluated_no_more_often(project: Project) -> None:
    train(project, Job(), run="whole", changes={**OFTEN, "training.checkpoint_minutes": 0.0})
    assert steps(project, "whole") == [30]
    for stop in (7, 16):
        with pytest.raises(RuntimeError, match="killed"):  # nothing is saved then
            train(project, Job(DieAt(stop)), run="parts", resume=stop > 7, changes=OFTEN)
        saved = checkpoint.listed(registry.folder(project, "parts"))
        assert saved[-1].step >= 1 and saved[-1].state.validation_loss is None
    assert train(project, Job(), run="parts", resume=True).finished
    assert_same_weights(project, "whole", "parts")
    for run in ("whole", "parts"):
        assert [r["step"] for r in records(project, run, "evaluation")] == [30]


def test_the_time_between_saves_is_that_of_the_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(saving.time, "monotonic", lambda: now)
    monkeypatch.setattr(RunWriter, "busy", False)  # as where a save takes no longer than a step
    monkeypatch.setattr(saving.time, "time", lambda: -now)  # a clock that is set back decides nothing

    def report(event: Event) -> None:
        nonlocal now
        now += 15 * isinstance(event, StepDone)

    made = train(project, Job(report), run="a", changes={**OFTEN, "training.checkpoint_minutes": 2.0})
    assert made.finished
    assert [r["step"] for r in records(project, "a", "checkpoint")] == [8, 16, 24, 30]


def test_the_training_goes_on_while_a_checkpoint_is_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real, may_end = checkpoint.save, threading.Event()
    threads: list[threading.Thread] = []

    def slow(run: Path, state: Any, *args: Any) -> CheckpointSaved:
        threads.append(threading.current_thread())
        assert state.step != 5 or may_end.wait(60)
        return real(run, state, *args)

    monkeypatch.setattr(checkpoint, "save", slow)
    said: list[Event] = []

    def report(event: Event) -> None:
        said.append(event)
        if isinstance(event, StepDone) and event.step == 9:
            may_end.set()

    changes = {"training.max_steps": 10, "training.snapshot_megabytes": 0}
    assert train(project, Job(report), run="a", changes=changes).finished
    assert threading.main_thread() not in threads
    summary = [(e.kind, e.step) for e in said if isinstance(e, StepDone | CheckpointSaved)]
    assert summary.index(("step", 9)) < summary.index(("checkpoint", 5)) < summary.index(("checkpoint", 10))
    # what is written is what was there at that step, whatever was trained since
    train(project, StopAt(5).job, run="five", changes=changes)
    five, late = (checkpoint.read(checkpoint.folder(registry.folder(project, run), 5)) for run in ("five", "a"))
    assert all(torch.equal(five.weights()[name], tensor) for name, tensor in late.weights().items())
    assert all(torch.equal(five.moments()[name], tensor) for name, tensor in late.moments().items())


def test_a_copy_stays_as_it_was() -> None:
    one = torch.arange(6.0).view(2, 3)
    copy = Copy({"a": one, "b": one.T})
    one += 1
    assert torch.equal(copy.wait()["a"], torch.arange(6.0).view(2, 3)) and copy.wait()["b"].is_contiguous()


def test_what_the_disk_refuses_for_good_ends_the_training(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("llm_studio.runs.tensors.write", refused)
    monkeypatch.setattr(writer, "_PATIENCE", 0.2)
    with pytest.raises(StorageError, match="may not be written"):
        train(project, Job(), run="a", changes={"training.snapshot_megabytes": 0})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("saver")]


@pytest.mark.parametrize("make", [
    lambda path, outside: path.symlink_to(outside), lambda path, _outside: os.mkfifo(path),
    lambda path, _outside: path.mkdir(),
], ids=["link", "pipe", "folder"])  # fmt: skip
@pytest.mark.parametrize("when", ["before the run is resumed", "during it"])
def test_a_file_of_the_timeline_that_can_not_be_one_is_refused_without_waiting(
    make: Callable[[Path, Path], None], when: str, project: Project, tmp_path: Path
) -> None:
    changes = {"training.max_steps": 10, "training.sample_prompts": ["Once"]}
    train(project, StopAt(4).job, run="a", changes=changes)
    path = project.checkpoints / "a" / moments.FILE
    outside, at = tmp_path / "outside", 4 if when == "before the run is resumed" else 6
    outside.write_bytes(b"")
    done: list[int] = []

    def damage(event: Event) -> None:
        if isinstance(event, StepDone):
            done.append(event.step)
            if event.step == at:
                path.unlink(missing_ok=True)
                make(path, outside)

    if at == 4:
        damage(StepDone(4, 1.0, 0.1, 1.0, 1, 1.0, 1.0))
    with pytest.raises(StorageError, match=r"moments\.jsonl"):
        train(project, Job(damage), run="a", resume=True)
    assert done[-1] == at and outside.read_bytes() == b""


def test_what_the_disk_refuses_for_a_moment_is_written_later(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real, refusals = tensors.write, iter((errno.EIO, errno.EACCES, errno.EIO))

    def sometimes(path: Path, content: dict[str, torch.Tensor]) -> None:
        code = next(refusals, None)
        if code is not None:
            raise OSError(code, "the network is away")
        real(path, content)

    monkeypatch.setattr(tensors, "write", sometimes)
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", changes={"training.snapshot_megabytes": 0}).finished
    summary = [event.text for event in said if isinstance(event, Notice)]
    assert any("The training waits" in text for text in summary) and any("written to again" in text for text in summary)
    assert [saved.step for saved in checkpoint.listed(project.checkpoints / "a")][-1] == 30


# --- A full disk ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_POLL_SECONDS", 0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can make a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    for timer in Filler.timers:  # what a second wait has set going may outlast the training
        timer.join()
    Filler.timers.clear()
    subprocess.run(["umount", "-l", str(disk)], check=True)


class Filler:
    """Fills the disk when a step is done, and makes room when the training has waited for a while."""

    timers: ClassVar[list[threading.Timer]] = []

    def __init__(self, disk: Path, step: int, then: Callable[[], None]) -> None:
        self.said: list[Event] = []
        self._file = disk / "filler"
        self._step = step
        self._then = then

    def __call__(self, event: Event) -> None:
        self.said.append(event)
        if isinstance(event, StepDone) and event.step == self._step:
            with self._file.open("wb", buffering=0) as stream:
                try:
                    while stream.write(b"x" * 4096):
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        elif isinstance(event, Notice) and "waits" in event.text:
            self.timers.append(threading.Timer(0.4, self._then))
            self.timers[-1].start()

    def make_room(self) -> None:
        self._file.unlink(missing_ok=True)

    @property
    def summary(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Notice)]


def test_a_training_waits_for_room_on_the_disk_and_then_goes_on(project: Project, small_disk: Path) -> None:
    train(project, Job(), run="whole")
    shutil.copytree(project.root, small_disk / "project")
    there = Project.open(small_disk / "project")
    states: list[str] = []

    def then() -> None:
        states.append(registry.read(there, "full").state)
        filler.make_room()

    filler = Filler(small_disk, 12, then)
    assert train(there, Job(filler), run="full").finished
    waits = [text for text in filler.summary if text.startswith("The training waits: The disk is full")]
    assert waits and len([text for text in filler.summary if "room on the disk again" in text]) == len(waits)
    assert states[0] in ("running", "waiting")  # the record itself may have had no room
    assert [r["step"] for r in records(there, "full", "step")] == list(range(1, 31))
    one, other = (checkpoint.listed(p.checkpoints / run)[-1] for p, run in ((project, "whole"), (there, "full")))
    assert all(torch.equal(other.weights()[name], tensor) for name, tensor in one.weights().items())


def test_a_stop_while_the_disk_is_full_takes_effect_at_once_and_says_what_is_lost(
    project: Project, small_disk: Path
) -> None:
    shutil.copytree(project.root, small_disk / "project")
    there = Project.open(small_disk / "project")
    stopped = 0.0

    def then() -> None:
        nonlocal stopped
        stopped = time.monotonic()
        job.request_stop()

    filler = Filler(small_disk, 12, then)
    job = Job(filler)
    made = train(there, job, run="full")
    assert time.monotonic() - stopped < 20
    assert not made.finished and (made.run.state, made.run.step) == ("stopped", 10)
    assert "Stopped while nothing could be saved: all steps after 10 are lost." in filler.summary
    filler.make_room()
    assert train(there, Job(), run="full", resume=True).finished
    assert [r["step"] for r in records(there, "full", "step")] == list(range(1, 31))


def full_until(monkeypatch: pytest.MonkeyPatch, looks: int, state: list[str], project: Project) -> None:
    """The disk has no room for a checkpoint at so many looks, then it has."""
    real = files.require_space
    left = looks

    def require(folder: Path, needed: int) -> None:
        nonlocal left
        if left:
            left -= 1
            if left == 1:
                state.append(registry.read(project, "a").state)
            raise DiskFullError("The disk is full.")
        real(folder, needed)

    monkeypatch.setattr(files, "require_space", require)


def test_a_run_that_waits_for_room_says_so_in_its_record(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []
    full_until(monkeypatch, 4, states, project)
    assert train(project, Job(), run="a", changes={"training.max_steps": 6}).run.state == "finished"
    assert states == ["waiting"]


def test_a_log_keeps_what_a_full_disk_refuses(tmp_path: Path) -> None:
    class Full:
        """A stream with room for so many bytes."""

        def __init__(self, stream: Any, room: int) -> None:
            self.stream, self.room = stream, room

        def write(self, content: bytes) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = self.stream.write(content[: self.room])
            self.room -= written
            return written

        def close(self) -> None:
            self.stream.close()

    said: list[Event] = []
    job = Job(said.append)
    waited: list[bool] = []
    written = log.RunLog(tmp_path / "a.jsonl")
    events = [StepDone(step, 3.0, 0.1, 1.0, step, 1.0, 1.0) for step in range(1, 5)]
    with written, RunWriter(written, job, waited.append) as writer:
        writer.report(events[0])
        assert written._stream
        disk = Full(written._stream, 30)
        written._stream = disk  # pyright: ignore[reportAttributeAccessIssue]
        threading.Timer(0.3, lambda: setattr(disk, "room", 10**6)).start()
        for event in events[1:]:
            writer.report(event)
    assert waited == [True, False]
    assert [record["step"] for record in log.read(tmp_path / "a.jsonl")] == [1, 2, 3, 4]
    assert [event for event in said if isinstance(event, StepDone)] == events


def test_a_log_waits_for_room_to_be_cut(small_disk: Path) -> None:
    def then() -> None:
        filler.make_room()

    filler = Filler(small_disk, 40, then)
    written = log.RunLog(small_disk / "a.jsonl")
    with written, RunWriter(written, Job(filler)) as writer:
        for step in range(1, 41):
            writer.report(StepDone(step, 3.0, 0.1, 1.0, step, 1.0, 1.0))
        writer.cut_log(30, evaluated=True)
        writer.report(StepDone(31, 3.0, 0.1, 1.0, 31, 1.0, 1.0))
    assert [record["step"] for record in log.read(small_disk / "a.jsonl")] == list(range(1, 32))
    assert len(filler.summary) == 2 and "room on the disk again" in filler.summary[1]


def test_what_waits_to_be_written_when_a_stop_comes_is_reported_as_lost(tmp_path: Path) -> None:
    def full() -> None:
        raise DiskFullError("The disk is full.")

    job = Job()
    with log.RunLog(tmp_path / "a.jsonl") as written, pytest.raises(NotSavedError), RunWriter(written, job) as writer:
        writer.write(full)
        threading.Timer(0.2, job.request_stop).start()


def test_where_there_is_no_room_the_oldest_checkpoints_go_first(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(project, StopAt(17).job, run="a", changes={"training.eval_interval": 100})
    folder = registry.folder(project, "a")
    before = steps(project, "a")
    best = checkpoint.best(checkpoint.listed(folder))
    assert before == [10, 15, 17] and best and best.step == 15
    room = iter([10, 10**9])
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": next(room)})())
    checkpoint._make_room(folder, 1000, ())
    assert steps(project, "a") == [15, 17]
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    with pytest.raises(DiskFullError):
        checkpoint._make_room(folder, 1000, ())
    assert steps(project, "a") == [15, 17]
