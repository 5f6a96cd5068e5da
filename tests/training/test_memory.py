"""Where memory runs out in mid-run, the training goes on in smaller parts, as if it had been so from the start."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from llm_studio.config import Settings
from llm_studio.errors import TrainingError
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.training import memory
from llm_studio.training.step import halved
from llm_studio.workflows.training.train import train
from tests.training.test_resume import StopAt, assert_same_weights, records

OUT_OF_MEMORY: list[Callable[[], Exception]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory"),
    MemoryError,
]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Makes a computer with room for so many sequences at once from the so-manieth forward pass on."""

    def make(sequences: int, after: int = 0, error: Callable[[], Exception] = MemoryError) -> None:
        real, calls = Transformer.loss, 0

        def loss(self: Transformer, ids: torch.Tensor, *more: Any) -> torch.Tensor:
            nonlocal calls
            calls += self.training
            found = real(self, ids, *more)
            if calls > after and len(ids) > sequences:
                raise error()
            return found

        monkeypatch.setattr(Transformer, "loss", loss)

    return make


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_it_trains_as_if_it_had_been_in_smaller_parts_from_the_start(
    project: Project, room: Any, dropout: float, error: Callable[[], Exception]
) -> None:
    changes: dict[str, object] = {"training.max_steps": 6, "model.dropout": dropout}
    small = {"training.batch_size": 2, "training.gradient_accumulation_steps": 4}
    train(project, Job(), run="small", changes={**changes, **small})
    config = project.config_file.read_text(encoding="utf-8")
    room(3, error=error)
    said: list[Event] = []
    made = train(project, Job(said.append), run="large", changes=changes)
    assert made.finished
    assert_same_weights(project, "small", "large")
    summary = [text for text in notices(said) if "Memory ran out" in text]
    assert len(summary) == 2 and "4 micro-batches of 2 sequences" in summary[1]
    # what fits is recorded in the run, and in no settings of the project
    assert project.config_file.read_text(encoding="utf-8") == config
    newest = checkpoint.listed(registry.folder(project, "large"))[-1]
    for settings in (registry.read(project, "large").settings["training"], newest.settings().training.model_dump()):
        assert (settings["batch_size"], settings["gradient_accumulation_steps"]) == (2, 4)
    assert [change["batch_size"] for change in registry.read(project, "large").history] == [4, 2]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_from_that_step_on_it_is_as_with_those_settings(project: Project, room: Any, dropout: float) -> None:
    changes = {"training.max_steps": 12, "model.dropout": dropout}
    train(project, StopAt(7).job, run="asked", changes=changes)
    smaller = {"training.batch_size": 4, "training.gradient_accumulation_steps": 2}
    train(project, Job(), run="asked", resume=True, changes=smaller)
    room(4, after=7)
    train(project, StopAt(9).job, run="forced", changes=changes)
    assert train(project, Job(), run="forced", resume=True).finished
    assert_same_weights(project, "asked", "forced")
    losses = [[r["loss"] for r in records(project, run, "step")] for run in ("asked", "forced")]
    assert losses[0] == losses[1] and len(losses[0]) == 12


def test_a_save_follows_so_that_a_kill_repeats_nothing_in_another_way(project: Project, room: Any) -> None:
    room(4, after=7)
    train(project, Job(), run="a", changes={"training.max_steps": 9})
    assert 8 in [r["step"] for r in records(project, "a", "checkpoint")]


def test_an_evaluation_that_has_no_room_is_done_in_smaller_parts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Transformer.loss

    def loss(self: Transformer, ids: torch.Tensor, *more: Any) -> torch.Tensor:
        if not self.training and len(ids) > 4:
            raise MemoryError
        return real(self, ids, *more)

    monkeypatch.setattr(Transformer, "loss", loss)
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", changes={"training.max_steps": 12}).finished
    assert len([text for text in notices(said) if "Memory ran out" in text]) == 1
    assert [r["step"] for r in records(project, "a", "evaluation")] == [5, 10, 12]


def test_a_sample_that_has_no_room_is_left_out_and_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_args: object, **_named: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    train(project, Job(), run="whole", changes={"training.max_steps": 6})
    monkeypatch.setattr("llm_studio.training.evaluation.generate", no_room)
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", changes={"training.max_steps": 6}).finished
    assert "There was not enough memory to let the model write." in notices(said)
    assert_same_weights(project, "whole", "a")


def test_where_one_sequence_is_too_much_it_says_what_to_do(project: Project, room: Any) -> None:
    room(0)
    said: list[Event] = []
    with pytest.raises(TrainingError, match=r"not enough memory.*smaller preset"):
        train(project, Job(said.append), run="a")
    assert [text.partition("micro-batches of ")[2][0] for text in notices(said) if "ran out" in text] == ["4", "2", "1"]
    assert registry.read(project, "a").state == "failed"


@pytest.mark.parametrize("size, parts, expected", [(8, 1, (4, 2)), (7, 1, (1, 7)), (6, 1, (3, 2)), (5, 4, (2, 10)),
                                                   (2, 3, (1, 6)), (1, 4, None)])  # fmt: skip
def test_smaller_parts_make_the_same_step(size: int, parts: int, expected: tuple[int, int] | None) -> None:
    wanted = {"training.batch_size": size, "training.gradient_accumulation_steps": parts}
    found = halved(Settings().replaced(wanted))
    assert (found and (found.training.batch_size, found.training.gradient_accumulation_steps)) == expected


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert not memory.ran_out(RuntimeError("shapes do not match")) and not memory.ran_out(ValueError("memory"))
    assert not memory.ran_out(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert memory.ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"))
    assert memory.ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."))


def test_no_more_of_a_card_is_taken_than_is_free() -> None:
    total = 8_000_000_000
    assert memory.fraction(total, total, 0) == pytest.approx(0.97)
    assert memory.fraction(total // 2, total, total // 4) == pytest.approx(0.72)
    assert memory.fraction(0, total, 0) == 0.0
