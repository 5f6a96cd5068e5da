"""The number of threads is tried out where it is open and there is something to choose, and then stays."""

from pathlib import Path

import pytest
import torch

from llm_studio import device, other_programs
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import Cancelled
from llm_studio.jobs import Job
from llm_studio.training import threads
from tests.model.builders import VOCABULARY, small_settings

SETTINGS = Settings().replaced({
    **{f"model.{name}": value for name, value in small_settings().model_dump().items() if name != "vocab_size"},
    "training.batch_size": 2, "training.device": "cpu", "training.precision": "float32",
})  # fmt: skip


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(device, "all_cores", lambda: 4)
    monkeypatch.setattr(threads, "SECONDS", 0.05)
    monkeypatch.setattr(other_programs, "are_busy", lambda _before, _after: False)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three threads are twice as fast as the others here; gives the counts in the order in which they were tried."""
    seen: list[int] = []

    def seconds(_timer: object, count: int) -> float:
        seen.append(count)
        return 0.01 if count == 3 else 0.02

    monkeypatch.setattr(threads, "_seconds", seconds)
    return seen


def compute(**changes: object) -> Compute:
    return threads.compute_for(SETTINGS.replaced(changes), VOCABULARY, Job())


def test_the_fastest_is_taken_and_an_equal_run_takes_it_untried(tried: list[int]) -> None:
    assert compute().threads == 3
    assert set(tried) == {4, 3, 2, 1}
    tried.clear()
    assert compute().threads == 3
    assert tried == []


def test_another_model_is_tried_again(tried: list[int]) -> None:
    compute()
    tried.clear()
    assert compute(**{"model.d_ff": 64}).threads == 3
    assert tried


def test_what_is_set_or_leaves_no_choice_is_not_tried(tried: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert compute(**{"training.threads": 4}).threads == 4
    monkeypatch.setattr(device, "all_cores", lambda: 1)
    assert compute().threads == 1
    assert tried == []


def test_two_cores_leave_a_choice(tried: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "all_cores", lambda: 2)
    assert compute().threads == 2
    assert set(tried) == {2, 1}


def test_what_is_found_beside_busy_programs_is_not_remembered(
    tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_programs, "are_busy", lambda _before, _after: True)
    assert compute().threads == 3
    tried.clear()
    monkeypatch.setattr(other_programs, "are_busy", lambda _before, _after: False)
    assert compute().threads == 3
    assert tried, "the machine was busy the first time"
    tried.clear()
    assert compute().threads == 3
    assert tried == []


@pytest.mark.parametrize("busy", [False, True])
def test_slow_steps_are_not_tried_with_fewer_threads_unless_others_are_busy(
    busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def seconds(_timer: object, count: int) -> float:
        seen.append(count)
        return 0.4 if count > 1 else 0.1  # as beside a busy program, where several threads wait for each other

    monkeypatch.setattr(threads, "_seconds", seconds)
    monkeypatch.setattr(other_programs, "are_busy", lambda _before, _after: busy)
    assert compute().threads == (1 if busy else 4)
    assert busy or seen == [4]


def test_a_spoilt_memory_is_no_memory(tried: list[int], tmp_path: Path) -> None:
    compute()
    (tmp_path / "home" / "data" / "threads.json").write_text("{", encoding="utf-8")
    tried.clear()
    assert compute().threads == 3
    assert tried


def test_what_cannot_be_remembered_is_not_taken(tried: list[int], tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder would be", encoding="utf-8")
    assert compute().threads == 4


def test_a_large_model_takes_all_cores_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seconds", lambda _timer, _count: 1.0)
    assert compute().threads == 4


def test_real_steps_are_timed_and_the_process_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    assert threads.fastest(SETTINGS, VOCABULARY, Compute("cpu", "float32", 2), Job()) in (1, 2)
    assert torch.get_num_threads() == before


def test_it_can_be_cancelled() -> None:
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        threads.fastest(SETTINGS, VOCABULARY, Compute("cpu", "float32", 2), job)
    assert not (Path(threads.data_folder()) / "threads.json").exists()
