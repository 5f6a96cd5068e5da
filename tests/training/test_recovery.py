"""A loss that is no number is skipped, one that explodes is gone back from, and steady ones are left in peace."""

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.errors import TrainingError
from llm_studio.events import Event, Notice, RolledBack, StepDone, StepSkipped
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.training.health import recovery
from llm_studio.training.health.recovery import LOOKBACK, PATIENCE, Recovery, Verdict
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.workflows.training.train import train
from tests.training.test_resume import DieAt, StopAt, assert_same_weights, records, weights

CHANCE = math.log(1000)


def verdicts(losses: list[float], warmup: int = 0, followed: Recovery | None = None) -> list[tuple[int, Verdict]]:
    """The steps about which something is to be done, until the first at which the training goes back."""
    followed = followed or Recovery()
    found: list[tuple[int, Verdict]] = []
    for step, loss in enumerate(losses, 1):
        verdict = followed.judge(step, loss, warmup, CHANCE)
        if verdict is not Verdict.FINE:
            found.append((step, verdict))
        if verdict in (Verdict.GO_BACK, Verdict.GIVE_UP):
            break
    return found


def falling(steps: int, seed: int = 0, noise: float = 0.1) -> list[float]:
    chance = random.Random(seed)
    return [3 + 4 * math.exp(-step / 200) + chance.gauss(0, noise) for step in range(steps)]


def test_one_step_without_a_number_is_skipped_and_another_soon_after_is_gone_back_from() -> None:
    skip, back = Verdict.SKIP, Verdict.GO_BACK
    steady, nan = [3.0] * 50, [math.nan]
    assert verdicts(steady + nan + steady + nan + steady) == [(51, skip), (102, skip)]
    assert verdicts(steady + nan + [3.0] * 5 + [math.inf] + steady) == [(51, skip), (57, back)]
    assert verdicts(nan + nan, warmup=100) == [(1, skip), (2, back)]


def test_an_explosion_is_reported_after_a_few_steps_and_not_after_one() -> None:
    steady = falling(500)
    assert not verdicts([*steady, *[9.0] * (PATIENCE - 1), *steady[-50:]])
    assert verdicts([*steady, *[9.0] * 30]) == [(500 + PATIENCE, Verdict.GO_BACK)]
    assert verdicts([*steady, *[4.8] * 30]) == [(500 + PATIENCE, Verdict.GO_BACK)]


def test_a_warm_up_may_jump_but_not_far_above_chance() -> None:
    chance = random.Random(1)
    jumping = [CHANCE + chance.uniform(-3, 0.9) for _ in range(300)]
    assert not verdicts(jumping, warmup=300)
    assert verdicts([*jumping[:100], *[CHANCE + 5] * 20], warmup=300) == [(100 + PATIENCE, Verdict.GO_BACK)]


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.01, 0.6), st.sampled_from([0, 50, 500]))
def test_noise_of_any_width_is_left_in_peace(seed: int, noise: float, warmup: int) -> None:
    assert not verdicts(falling(1500, seed, noise), warmup)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.floats(0.02, 0.15))
def test_texts_of_two_kinds_are_left_in_peace(seed: int, share: float) -> None:
    """Micro-batches of one sequence, some of a kind with twice the loss: ten of those in a row are 1 in 10⁵ runs."""
    chance = random.Random(seed)
    assert not verdicts([(5.5 if chance.random() < share else 2.5) + chance.gauss(0, 0.2) for _ in range(2000)])


@given(st.lists(st.one_of(st.floats(0, 12), st.just(math.nan)), max_size=300), st.integers(0, 300))
def test_a_state_that_was_saved_decides_as_one_that_was_not(losses: list[float], cut: int) -> None:
    whole, parts = Recovery(), Recovery()
    for step, loss in enumerate(losses, 1):
        if step == cut:
            parts = Recovery.from_dict(json.loads(json.dumps(parts.to_dict())))
        assert whole.judge(step, loss, 50, CHANCE) == parts.judge(step, loss, 50, CHANCE)
        if step % 40 == 0:
            whole.saved(step)
            parts.saved(step)
    assert whole == parts


@given(st.lists(st.integers(1, 60), min_size=1, max_size=50), st.integers(0, 100))
def test_what_is_gone_back_to_is_old_enough_and_kept_until_then(gaps: list[int], later: int) -> None:
    followed, saved, step = Recovery(), {0}, 0
    for gap in gaps:
        step += gap
        followed.saved(step)
        saved.add(step)
        saved = {one for one in saved if one in followed.needed}  # all others may go
        target = followed.target(step + later)
        assert target in saved and (target == 0 or step + later - target >= LOOKBACK)


def test_it_is_given_up_after_three_times_unless_they_were_long_ago() -> None:
    followed = Recovery()
    for times in range(recovery.MOST):
        assert verdicts([math.nan] * 2, followed=followed)[-1][1] is Verdict.GO_BACK
        followed = followed.gone_back(Recovery(), 0)
        assert followed.rate_factor == 0.5 ** (times + 1)
        followed.poisoned = []
    assert verdicts([math.nan] * 2, followed=followed)[-1][1] is Verdict.GIVE_UP
    assert not verdicts(falling(recovery.FORGIVEN + 100), followed=followed)
    assert followed.times == 0 and followed.rate_factor == 0.125


# --- Real trainings ---------------------------------------------------------------------------------------------

LONG = {"training.max_steps": 60, "training.checkpoint_interval": 10, "training.eval_interval": 60,
        "training.eval_sequences": 8, "training.sample_prompts": []}  # fmt: skip


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[set[int]], None]:
    """Makes the forward passes of these steps (of one micro-batch) give no number, whenever they are done."""

    def make(steps: set[int]) -> None:
        from llm_studio.training import step as module

        real = module.Updater.gradients

        def gradients(self: module.Updater, step: int) -> module.PendingGradients | None:
            loss = Transformer.loss

            def poisoned(model: Transformer, *args: Any) -> torch.Tensor:
                return loss(model, *args) * (math.nan if step + 1 in steps else 1.0)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Transformer, "loss", poisoned)
                return real(self, step)

        monkeypatch.setattr(module.Updater, "gradients", gradients)

    return make


def of_kind(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_poisoned_step_changes_no_weight_and_is_reported(project: Project, poison: Any) -> None:
    train(project, Job(), run="clean", changes={"training.max_steps": 12})
    poison({13})
    said: list[Event] = []
    changes = {"training.max_steps": 13, "training.schedule": "constant", "training.decay_share": 0.0}
    train(project, Job(), run="twelve", changes={**changes, "training.max_steps": 12})
    assert train(project, Job(said.append), run="a", changes=changes).finished
    assert_same_weights(project, "twelve", "a")
    assert [event.step for event in of_kind(said, StepSkipped)] == [13]
    assert any("At step 13 the loss is no longer a number" in e.text for e in of_kind(said, Notice))
    assert [r["step"] for r in records(project, "a", "skipped")] == [13]
    assert [r["step"] for r in records(project, "a", "step")] == list(range(1, 13))


def test_batches_that_stay_poisoned_are_passed_by_at_half_the_rate(project: Project, poison: Any) -> None:
    poison({41, 43})
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", changes=LONG).finished
    (back,) = of_kind(said, RolledBack)
    assert (back.step, back.diverged_at, back.rate_factor) == (20, 43, 0.5)
    training = project.settings().replaced(LONG).training
    for record in records(project, "a", "step"):
        factor = 0.5 if int(str(record["step"])) > 20 else 1.0
        assert record["learning_rate"] == factor * learning_rate(int(str(record["step"])), training)
    assert [r["step"] for r in records(project, "a", "step")] == [n for n in range(1, 61) if n not in (41, 43)]
    assert [r["step"] for r in records(project, "a", "skipped")] == [41, 43]
    assert records(project, "a", "rollback") == [
        {"v": 1, "event": "rollback", "step": 20, "diverged_at": 43, "rate_factor": 0.5}
    ]
    assert registry.read(project, "a").history == [{"step": 20, "rate_factor": 0.5, "diverged_at": 43}]


@pytest.mark.parametrize("stop", [20, 42])
def test_a_run_that_was_stopped_or_killed_decides_the_same(project: Project, poison: Any, stop: int) -> None:
    poison({41, 43})
    train(project, Job(), run="whole", changes={**LONG, "training.checkpoint_minutes": 0.0})
    often = {**LONG, "training.checkpoint_minutes": 1e-6}  # other checkpoints, the same decisions
    train(project, StopAt(stop).job, run="stopped", changes=often)
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(min(stop + 9, 59))), run="stopped", resume=True)
    assert train(project, Job(), run="stopped", resume=True).finished
    assert_same_weights(project, "whole", "stopped")
    assert [{k: v for k, v in r.items() if "second" not in k} for r in records(project, "whole", "step")] == [
        {k: v for k, v in r.items() if "second" not in k} for r in records(project, "stopped", "step")
    ]
    assert len(records(project, "stopped", "rollback")) == 1


def test_a_weight_that_is_no_number_any_more_is_replaced_from_the_checkpoint(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_studio.training import step as module

    made: list[module.Updater] = []
    real = module.Updater.__init__

    def noted(self: module.Updater, *args: Any) -> None:
        made.append(self)
        real(self, *args)

    monkeypatch.setattr(module.Updater, "__init__", noted)

    class Flip:
        """Changes a weight when step 41 is done, as a bad memory chip would."""

        def __init__(self) -> None:
            self.said: list[Event] = []

        def __call__(self, event: Event) -> None:
            self.said.append(event)
            if isinstance(event, StepDone) and event.step == 41 and not of_kind(self.said, RolledBack):
                (update,) = made
                next(update.model.parameters()).data[3] = math.nan

    flip = Flip()
    assert train(project, Job(flip), run="a", changes=LONG).finished
    assert [event.step for event in of_kind(flip.said, RolledBack)] == [20]
    assert all(tensor.isfinite().all() for tensor in weights(project, "a").values())


DIVERGING = {
    **LONG, "training.warmup_steps": 1, "training.gradient_clip": 0.0, "model.qk_norm": False,
    "training.precision": "float32",  # at which rate it diverges depends on the rounding
}  # fmt: skip


def test_a_rate_far_too_high_is_lowered_three_times_then_given_up_with_advice(project: Project) -> None:
    said: list[Event] = []
    with pytest.raises(TrainingError, match=r"diverged 4 times.*lower training\.learning_rate"):
        train(project, Job(said.append), run="a", changes={**DIVERGING, "training.learning_rate": 10.0})
    assert [event.rate_factor for event in of_kind(said, RolledBack)] == [0.5, 0.25, 0.125]
    summary = [e.text for e in of_kind(said, Notice) if "diverged" in e.text]
    assert len(summary) == 3 and "goes back to step 0, and on with 0.125 times" in summary[2]
    assert registry.read(project, "a").state == "failed"


def test_a_rate_too_high_is_halved_and_then_it_learns(project: Project) -> None:
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", changes={**DIVERGING, "training.learning_rate": 2.0}).finished
    assert 1 <= len(of_kind(said, RolledBack)) <= 2
    assert float(str(records(project, "a", "step")[-1]["loss"])) < 5.5 < math.log(400)


def test_a_run_that_is_gone_on_with_at_another_rate_has_that_rate(project: Project, poison: Any) -> None:
    poison({41, 43})
    train(project, StopAt(50).job, run="a", changes=LONG)
    changes = {"training.learning_rate": 1e-4}
    assert train(project, Job(), run="a", resume=True, changes=changes).finished
    training = project.settings().replaced({**LONG, **changes}).training
    (last,) = records(project, "a", "step")[-1:]
    assert last["learning_rate"] == learning_rate(60, training)
    assert registry.read(project, "a").history[-1] == {"step": 50, "settings": changes}


def test_a_lowered_rate_outlives_changes_that_have_nothing_to_do_with_it(project: Project, poison: Any) -> None:
    poison({41, 43})
    train(project, StopAt(50).job, run="a", changes=LONG)
    assert train(project, Job(), run="a", resume=True, changes={"training.eval_interval": 20}).finished
    training = project.settings().replaced(LONG).training
    (last,) = records(project, "a", "step")[-1:]
    assert last["learning_rate"] == pytest.approx(0.5 * learning_rate(60, training))


def test_the_checkpoint_to_go_back_to_outlives_those_of_the_clock(project: Project) -> None:
    changes = {"training.max_steps": 70, "training.checkpoint_interval": 30, "training.eval_interval": 70,
               "training.checkpoint_minutes": 1e-6}  # fmt: skip
    train(project, StopAt(49).job, run="a", changes=changes)
    assert 30 in [c.step for c in checkpoint.listed(registry.folder(project, "a"))]
