"""A run makes room for other busy programs, and one that was killed repeats when it did, to the last bit."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm_studio import device, other_programs
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.events import Event, StepDone
from llm_studio.jobs import Job
from llm_studio.other_programs import Usage
from llm_studio.project import Project
from llm_studio.runs import decisions, registry
from llm_studio.runs.decisions import DecisionLog
from llm_studio.training import thread_control
from llm_studio.training.progress import TrainingProgress
from llm_studio.training.thread_control import ThreadControl
from llm_studio.workflows.training.train import train
from tests.training.test_resume import DieAt, assert_same_weights

OPEN = Settings().replaced({"training.device": "cpu", "training.threads": 0})


@pytest.fixture(autouse=True)
def same_threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def counts(
    folder: Path, load: Callable[[int], float], steps: int, threads: int = 4, settings: Settings = OPEN
) -> list[int]:
    """The threads of each step, of a second each, beside others that use `load(step)` cores."""
    now, total = TrainingProgress(), 0.0

    def measure() -> Usage:
        nonlocal total
        total += load(now.step)
        return Usage(float(now.step), total, 0.0)

    control = ThreadControl(
        settings, Compute("cpu", "float32", threads), DecisionLog(folder), Job(), measure, lambda: float(now.step)
    )
    found: list[int] = []
    for now.step in range(steps):
        control.before_step(now)
        assert torch.get_num_threads() == control.threads
        found.append(control.threads)
    return found


def test_threads_leave_the_cores_that_others_use_and_come_back(tmp_path: Path) -> None:
    found = counts(tmp_path, lambda step: 2.0 if step < 20 else 0.0, 40)
    assert [count for count, _ in itertools.groupby(found)] == [4, 2, 4]
    assert found.index(2) <= 5 and found[-1] == 4


def test_an_idle_machine_a_short_burst_and_a_number_that_was_set_change_nothing(tmp_path: Path) -> None:
    assert set(counts(tmp_path, lambda _step: 0.3, 50)) == {4}
    assert set(counts(tmp_path, lambda step: 3.0 if step == 20 else 0.0, 50)) == {4}
    fixed = OPEN.replaced({"training.threads": 4})
    assert set(counts(tmp_path, lambda _step: 3.0, 50, settings=fixed)) == {4}
    assert not (tmp_path / decisions.FILE).exists()


def test_one_thread_is_left_however_busy_others_are(tmp_path: Path) -> None:
    assert counts(tmp_path, lambda _step: 9.0, 20)[-1] == 1


def test_programs_that_come_and_go_are_followed_ever_less_often(tmp_path: Path) -> None:
    found = counts(tmp_path, lambda step: 2.0 if step // 10 % 2 else 0.0, 2000)
    changes = sum(one != other for one, other in itertools.pairwise(found))
    assert 4 <= changes < 30


def test_a_session_that_resumes_repeats_what_was_decided(tmp_path: Path) -> None:
    found = counts(tmp_path, lambda step: 2.0 if step < 20 else 0.0, 40)
    kept = (tmp_path / decisions.FILE).read_bytes()
    again = counts(tmp_path, lambda _step: 0.0, 40)
    assert again == found and (tmp_path / decisions.FILE).read_bytes() == kept


def two_threads(*_given: object) -> Compute:
    return Compute("cpu", "float32", 2)


def test_a_killed_run_whose_threads_changed_resumes_bit_for_bit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are busy for as long as the first session lives, and no longer when it is resumed."""
    monkeypatch.setattr(device, "all_cores", lambda: 2)
    monkeypatch.setattr("llm_studio.training.threads.compute_for", two_threads)
    monkeypatch.setattr(thread_control, "LOOK", 0.0)
    busy = [True]

    def load(_before: Usage, _after: Usage) -> float:
        return 1.0 if busy[0] else 0.0

    monkeypatch.setattr(other_programs, "cores_used", load)
    changes = {"training.threads": 0, "training.precision": "float32"}
    seen: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, StepDone):
            seen.append(torch.get_num_threads())

    def killed_at(step: int) -> Job:
        dying = DieAt(step)

        def both(event: Event) -> None:
            note(event)
            busy[0] = not (isinstance(event, StepDone) and event.step >= 12) and busy[0]
            dying(event)

        return Job(both)

    with pytest.raises(RuntimeError, match="killed"):
        train(project, killed_at(22), run="killed", changes=changes)
    first, made = list(seen), (registry.folder(project, "killed") / decisions.FILE).read_text(encoding="utf-8")
    assert {1, 2} == set(first), made
    whole = registry.folder(project, "whole")
    whole.mkdir(parents=True)
    (whole / decisions.FILE).write_text(made, encoding="utf-8")
    busy[0] = False
    seen.clear()
    assert train(project, Job(note), run="whole", changes=changes).finished
    assert seen[:22] == first
    assert train(project, Job(), run="killed", resume=True).finished
    assert_same_weights(project, "whole", "killed")
    history = [change for change in registry.read(project, "killed").history if "threads" in change]
    decided = map(json.loads, made.splitlines())
    steps = [decision["step"] for decision in decided if decision["kind"] == thread_control.KIND]
    assert [change["step"] for change in history][: len(steps)] == steps
    log = DecisionLog(registry.folder(project, "killed"))
    assert all(log.made_at("threads", change["step"]) for change in history)
