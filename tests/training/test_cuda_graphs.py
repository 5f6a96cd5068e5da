"""A step asked for as a whole gives the same run, and is used only where it has shown that it does.

There are no graphs without a graphics card: here "a graph" does again what was recorded, on the same memory, as one of
the card would.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from llm_studio.device import Compute
from llm_studio.jobs import Job
from llm_studio.paths import data_folder
from llm_studio.project import Project
from llm_studio.training import cuda_graphs, pipeline, step
from llm_studio.training.cuda_graphs import WARM, GraphedSteps
from llm_studio.workflows.training.train import train
from tests.training.test_memory import OUT_OF_MEMORY, room  # noqa: F401  a fixture
from tests.training.test_recovery import LONG, poison  # noqa: F401  a fixture
from tests.training.test_resume import StopAt, assert_same_weights, records

EXACT = {"training.precision": "float32", "training.cuda_graphs": True}


class Again:
    """Records as a card does, without doing anything yet. `spoil` what a replay gives."""

    recorded = 0
    replayed = 0

    def __init__(
        self, spoil: Callable[[], object] = lambda: None, fails: Callable[[], BaseException] | None = None
    ) -> None:
        self._spoil, self._fails = spoil, fails

    def warm(self, action: Callable[[], Tensor]) -> Tensor:
        result = action()
        self._shape = result.shape
        return result

    def record(self, action: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        if self._fails:
            raise self._fails()
        self.recorded += 1
        result = torch.zeros(self._shape, dtype=torch.float64)

        def replay() -> None:
            self.replayed += 1
            result.copy_(action())
            self._spoil()

        return replay, result


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Callable[[Again], None]:
    """Has steps done by what this recorder records, from now on."""

    def use(recorder: Again) -> None:
        def steps(update: step.Updater, compute: Compute, _group: object) -> pipeline.StepPipeline:
            return pipeline.StepPipeline(update, True, GraphedSteps(update, compute, recorder))

        monkeypatch.setattr(pipeline, "steps", steps)

    return use


def remembered() -> list[str]:
    path = data_folder() / "graphs.json"
    return list(json.loads(path.read_text(encoding="utf-8")).values()) if path.exists() else []


def losses(project: Project, run: str) -> list[Any]:
    return [record["loss"] for kind in ("step", "evaluation") for record in records(project, run, kind)]


def assert_near(project: Project, one: str, other: str, share: float = 1e-3) -> None:
    """A rate on the device has fewer digits than one that is not, which tells more and more over the steps."""
    first, second = losses(project, one), losses(project, other)
    assert len(first) == len(second)
    assert first == pytest.approx(second, rel=share)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_run_is_the_same(project: Project, recording: Any, parts: int, optimizer: str) -> None:
    size = {"training.batch_size": 8 // parts, "training.gradient_accumulation_steps": parts}
    changes = {**EXACT, **size, "training.optimizer": optimizer, "model.dropout": 0.0}
    train(project, Job(), run="plain", changes=changes)
    recorder = Again()
    recording(recorder)
    train(project, Job(), run="graph", changes=changes)
    assert_near(project, "plain", "graph")
    assert (recorder.recorded, recorder.replayed) == (1, 30 - WARM)
    assert remembered() == ["works"]


def test_a_stop_and_a_resume(project: Project, recording: Any) -> None:
    changes = {**EXACT, "model.dropout": 0.0}
    recorder = Again()
    recording(recorder)
    train(project, Job(), run="whole", changes=changes)
    train(project, StopAt(12).job, run="parts", changes=changes)
    assert train(project, Job(), run="parts", resume=True).finished
    assert_near(project, "whole", "parts")
    assert recorder.recorded == 3


@pytest.mark.parametrize("bad", [{13}, {WARM + 1}, {41, 43}])
def test_losses_without_a_number_are_skipped_and_gone_back_from(
    project: Project, recording: Any, monkeypatch: pytest.MonkeyPatch, bad: set[int], poison: Any  # noqa: F811
) -> None:  # fmt: skip
    changes = {**LONG, **EXACT, "model.dropout": 0.0}
    with monkeypatch.context() as patch:
        poison(bad)
        train(project, Job(), run="plain", changes=changes)
        recorder = Again()
        recording(recorder)
        real = GraphedSteps.step

        def poisoned(self: GraphedSteps, number: int, rate: float) -> step.PendingGradients | None:
            if number + 1 not in bad or number < WARM:
                return real(self, number, rate)
            before = [tensor.clone() for tensor in self._update.model.parameters()]
            with monkeypatch.context() as inner:
                loss = type(self._update.model).loss
                inner.setattr(type(self._update.model), "loss", lambda *a: loss(*a) * math.nan)
                found = real(self, number, rate)
            assert all(torch.equal(a, b) for a, b in zip(before, self._update.model.parameters(), strict=True))
            return found

        patch.setattr(GraphedSteps, "step", poisoned)
        train(project, Job(), run="graph", changes=changes)
    assert_near(project, "plain", "graph", 5e-3)
    kinds = ("skipped", "rollback")
    assert [records(project, "plain", k) for k in kinds] == [records(project, "graph", k) for k in kinds]
    assert recorder.recorded == (2 if len(bad) == 2 else 1)  # after a step back the optimizer's state lies elsewhere


def test_smaller_micro_batches_are_recorded_again(project: Project, recording: Any, room: Any) -> None:  # noqa: F811
    changes = {**EXACT, "model.dropout": 0.0, "training.max_steps": 20, "training.eval_interval": 10}
    train(project, Job(), run="plain", changes=changes)
    recorder = Again()
    recording(recorder)
    real = cuda_graphs._Graph.step

    def ten(self: cuda_graphs._Graph, ids: Tensor, rate: float) -> step.PendingGradients:
        if recorder.replayed == 7:
            self.memory_key = (None, 0)  # as where an evaluation had to halve them
        return real(self, ids, rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graphs._Graph, "step", ten)
        train(project, Job(), run="graph", changes=changes)
    assert_near(project, "plain", "graph")
    assert recorder.recorded == 2


def damaged(project: Project, changes: dict[str, Any], recording: Any, recorder: Again) -> None:
    train(project, Job(), run="plain", changes=changes)
    recording(recorder)
    train(project, Job(), run="graph", changes=changes)
    assert_near(project, "plain", "graph")
    assert remembered() == ["fails"]
    train(project, Job(), run="again", changes=changes)
    assert_near(project, "plain", "again")


def test_what_gives_other_weights_is_not_used_and_not_tried_again(project: Project, recording: Any) -> None:
    """As a driver would that forgets half of an update."""
    changes = {**EXACT, "model.dropout": 0.0}
    found: list[step.Updater] = []
    real = GraphedSteps.__init__

    def init(self: GraphedSteps, update: step.Updater, *more: Any) -> None:
        found.append(update)
        real(self, update, *more)

    def spoil() -> None:
        with torch.no_grad():
            for tensor in list(found[-1].model.parameters())[::2]:
                tensor.mul_(1.1)

    recorder = Again(spoil)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphedSteps, "__init__", init)
        damaged(project, changes, recording, recorder)
    assert (recorder.recorded, recorder.replayed) == (1, 1)


@pytest.mark.parametrize("error", [lambda: RuntimeError("CUDA error: operation not permitted"), *OUT_OF_MEMORY])
def test_what_can_not_be_recorded_is_done_without(
    project: Project, recording: Any, error: Callable[[], BaseException]
) -> None:
    recorder = Again(fails=error)
    damaged(project, {**EXACT, "model.dropout": 0.0}, recording, recorder)
    assert (recorder.recorded, recorder.replayed) == (0, 0)


def test_where_there_is_no_room_to_compare_it_is_done_without(
    project: Project, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_tensors: list[Tensor]) -> list[Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(cuda_graphs, "_copies", full)
    recorder = Again()
    damaged(project, {**EXACT, "model.dropout": 0.0}, recording, recorder)
    assert not recorder.recorded


def test_a_try_that_took_the_program_down_is_not_repeated(project: Project, recording: Any) -> None:
    class Down(BaseException):
        pass

    recording(Again(fails=Down))
    changes = {**EXACT, "model.dropout": 0.0}
    with pytest.raises(Down):
        train(project, Job(), run="graph", changes=changes)
    assert remembered() == ["trying"]
    recorder = Again()
    recording(recorder)
    assert train(project, Job(), run="again", changes=changes).finished
    assert not recorder.recorded


@pytest.mark.parametrize(
    "changes",
    [{"model.dropout": 0.1}, {"training.cuda_graphs": False}, {"training.activation_checkpointing": True}],
)
def test_what_no_graph_can_hold_is_done_without(project: Project, recording: Any, changes: dict[str, Any]) -> None:
    changes = {"model.dropout": 0.0, "training.cuda_graphs": True, **changes}
    train(project, Job(), run="plain", changes=changes)
    recorder = Again()
    recording(recorder)
    train(project, Job(), run="graph", changes=changes)
    assert not recorder.recorded
    assert_same_weights(project, "plain", "graph")


def test_a_large_step_is_done_without(project: Project, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "LARGEST", 1e6)
    recorder = Again()
    recording(recorder)
    train(project, Job(), run="graph", changes={"model.dropout": 0.0, "training.cuda_graphs": True})
    assert not recorder.recorded and not remembered()
