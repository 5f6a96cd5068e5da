"""Steps that are begun before the loss of the last one is read give the same run: on a processor, whose losses nobody
needs to read late, this is tried by reading them late all the same."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.config import Settings
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.errors import DataError
from llm_studio.events import Event, StepDone
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import moments
from llm_studio.training import pipeline as ahead
from llm_studio.training import step
from llm_studio.training.optim import optimizer
from llm_studio.training.prefetch import BatchPrefetcher, BatchRequest
from llm_studio.workflows.training.train import train
from tests.training.test_memory import OUT_OF_MEMORY, room  # noqa: F401  a fixture
from tests.training.test_recovery import LONG, poison  # noqa: F401  a fixture
from tests.training.test_resume import StopAt, assert_same_weights, records

BOTH: list[dict[str, object]] = [{"training.optimizer": "adamw"}, {"training.optimizer": "muon"}]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has losses read late from now on."""
    return lambda: monkeypatch.setattr(ahead, "steps", lambda update, *_: ahead.StepPipeline(update, late=True))


def figures(project: Project, run: str) -> list[dict[str, object]]:
    kinds = ("step", "evaluation", "sample", "skipped", "rollback")
    return [{k: v for k, v in r.items() if "second" not in k} for kind in kinds for r in records(project, run, kind)]


@pytest.mark.parametrize("changes", BOTH)
def test_the_run_is_the_same_to_the_last_bit(project: Project, late: Any, changes: dict[str, object]) -> None:
    changes = {**changes, "training.eval_interval": 7, "training.checkpoint_interval": 10, "training.max_steps": 25}
    train(project, Job(), run="plain", changes=changes)
    late()
    train(project, Job(), run="late", changes=changes)
    assert_same_weights(project, "plain", "late")
    assert figures(project, "plain") == figures(project, "late")


def test_the_next_step_is_begun_before_the_last_one_is_read_unless_something_comes_between(
    project: Project, late: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    begin, read = step.Updater.gradients, step.PendingGradients.read

    def noted_begin(self: step.Updater, number: int) -> step.PendingGradients | None:
        done.append(f"begin {number + 1}")
        return begin(self, number)

    def noted_read(self: step.PendingGradients) -> step.StepOutcome:
        done.append("read")
        return read(self)

    monkeypatch.setattr(step.Updater, "gradients", noted_begin)
    monkeypatch.setattr(step.PendingGradients, "read", noted_read)
    monkeypatch.setattr(moments, "is_due", lambda *_step: False)
    late()
    changes = {"training.max_steps": 5, "training.eval_interval": 3, "training.checkpoint_interval": 100}
    train(project, Job(), run="late", changes=changes)
    assert done == ["begin 1", "begin 2", "read", "begin 3", "read", "read",  # the evaluation of step 3
                    "begin 4", "begin 5", "read", "read"]  # fmt: skip


@pytest.mark.parametrize("changes", BOTH)
@pytest.mark.parametrize("bad", [{13}, {41, 43}, {20, 21}])
def test_losses_without_a_number_change_nothing_and_lead_to_the_same_decisions(
    project: Project, late: Any, poison: Any, bad: set[int], changes: dict[str, object]  # noqa: F811
) -> None:  # fmt: skip
    poison(bad)
    train(project, Job(), run="plain", changes={**LONG, **changes})
    late()
    train(project, Job(), run="late", changes={**LONG, **changes})
    assert_same_weights(project, "plain", "late")
    assert figures(project, "plain") == figures(project, "late")


def test_a_stop_and_a_save_wait_for_the_step_that_has_changed_the_weights(project: Project, late: Any) -> None:
    train(project, Job(), run="whole")
    late()
    often = {"training.checkpoint_minutes": 1e-6}
    for at in (4, 11, 12):
        stopped = train(project, StopAt(at).job, run="parts", resume=at > 4, changes=often)
        assert stopped.run.step in (at, at + 1)
    assert train(project, Job(), run="parts", resume=True).finished
    assert_same_weights(project, "whole", "parts")
    assert [r["step"] for r in records(project, "parts", "step")] == list(range(1, 31))


def test_a_stop_in_the_midst_of_the_step_ahead_keeps_the_one_before(
    project: Project, late: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(project, Job(), run="whole")
    job = Job()
    begin = step.Updater.gradients

    def stopping(self: step.Updater, number: int) -> step.PendingGradients | None:
        if number == 9:
            job.request_stop()
        return begin(self, number)

    late()
    with monkeypatch.context() as patch:
        patch.setattr(step.Updater, "gradients", stopping)
        assert train(project, job, run="parts").run.step == 9
    assert train(project, Job(), run="parts", resume=True).finished
    assert_same_weights(project, "whole", "parts")


def test_memory_that_runs_out_in_the_step_ahead(project: Project, late: Any, room: Any) -> None:  # noqa: F811
    changes: dict[str, object] = {"training.max_steps": 12}
    train(project, StopAt(7).job, run="asked", changes=changes)
    smaller = {"training.batch_size": 4, "training.gradient_accumulation_steps": 2}
    train(project, Job(), run="asked", resume=True, changes=smaller)
    late()
    room(4, after=7, error=OUT_OF_MEMORY[0])
    said: list[Event] = []
    assert train(project, Job(said.append), run="late", changes=changes).finished
    assert [event.step for event in said if isinstance(event, StepDone)] == list(range(1, 13))
    assert_same_weights(project, "asked", "late")


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("begun", [False, True])
def test_an_update_that_is_not_fine_changes_neither_weights_nor_moments(name: str, begun: bool) -> None:
    chosen = Settings.from_dict({}).replaced({
        "training.optimizer": name, "model.vocab_size": 300, "model.d_model": 32, "model.n_layers": 1,
        "model.n_heads": 2, "model.d_ff": 64, "training.learning_rate": 1e-2,
    })  # fmt: skip
    model = Transformer(chosen.model, 300)
    updates = optimizer.build(model, chosen.training)

    def update(fine: bool) -> None:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 0.1 if fine else math.nan)
        updates.only_where(torch.tensor(fine))
        updates.step()

    if begun:
        update(True)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    moments = {k: v.clone() for k, v in optimizer.state_tensors(updates, model).items()}
    update(False)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    after = optimizer.state_tensors(updates, model)
    assert all(torch.equal(moments[k], after[k]) for k in moments)
    assert begun or not any(v.any() for v in after.values())
    update(True)
    changed = [k for k, v in model.state_dict().items() if "rotary" not in k and not torch.equal(before[k], v)]
    assert len(changed) == len(list(model.parameters()))


# --- What they learn from ---------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(project: Project) -> Iterator[Tokens]:
    with open_tokens(project.processed) as found:
        yield found


def test_a_feed_gives_what_was_drawn_for_a_step_in_whatever_order_they_are_requested_for(tokens: Tokens) -> None:
    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(0, 5), max_size=12), st.booleans())
    def run(steps: list[int], ahead: bool) -> None:
        feed = BatchPrefetcher(tokens, answers_only=False, pinned=False)
        if ahead:
            feed.__enter__()
        try:
            for number in steps:
                drawn = feed.take(BatchRequest(7, number, 4, 16, {}))
                expected = batches.draw_sequences(tokens, 7, number, 4, 16)
                assert drawn.ids.tolist() == expected.tolist() and drawn.counted is None
        finally:
            feed.__exit__()

    run()


def test_a_feed_draws_the_next_step_meanwhile(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    real = batches.draw_sequences

    def noted(*which: Any) -> Any:
        drawn.append(which[2])
        return real(*which)

    monkeypatch.setattr(batches, "draw_sequences", noted)
    with BatchPrefetcher(tokens, answers_only=False, pinned=False) as feed:
        for number in (3, 4, 5):
            feed.take(BatchRequest(7, number, 4, 16, {}))
    assert drawn in ([3, 4, 5, 6], [3, 4, 5])  # the last may be called off


def test_what_goes_wrong_in_the_feeds_thread_is_reported_to_who_takes(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batches.draw_sequences

    def damaged(*which: Any) -> Any:
        if which[2] == 4:
            raise DataError("damaged", "", "data")
        return real(*which)

    monkeypatch.setattr(batches, "draw_sequences", damaged)
    with BatchPrefetcher(tokens, answers_only=False, pinned=False) as feed:
        feed.take(BatchRequest(7, 3, 4, 16, {}))
        with pytest.raises(DataError, match="damaged"):
            feed.take(BatchRequest(7, 4, 4, 16, {}))
