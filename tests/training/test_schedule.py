"""The learning rate is its formula, at every step."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import TrainingSettings
from llm_studio.training.optim.schedule import learning_rate


def schedule(kind: str, **more: float) -> TrainingSettings:
    fields = {"learning_rate": 1.0, "warmup_steps": 10, "max_steps": 110, "final_learning_rate_ratio": 0.1, **more}
    return TrainingSettings.model_validate({"schedule": kind, **fields})


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
def test_the_rate_rises_in_a_line_to_its_peak(kind: str) -> None:
    assert [learning_rate(step, schedule(kind)) for step in range(1, 11)] == pytest.approx(
        [n / 10 for n in range(1, 11)]
    )


@pytest.mark.parametrize("step", range(10, 111, 7))
def test_each_schedule_is_its_formula(step: int) -> None:
    progress = (step - 10) / 100
    assert learning_rate(step, schedule("cosine")) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi * progress)))
    assert learning_rate(step, schedule("linear")) == pytest.approx(1 - 0.9 * progress)
    decay = max(0.0, (step - 88) / 22)  # the last fifth of 110 steps
    assert learning_rate(step, schedule("constant")) == pytest.approx(1 - 0.9 * decay)


@given(kind=st.sampled_from(["cosine", "linear", "constant"]), warmup=st.integers(0, 300), last=st.integers(1, 300),
       ratio=st.floats(0, 1), share=st.floats(0, 1))  # fmt: skip
def test_the_rate_never_leaves_its_limits_and_never_rises_after_the_warm_up(kind, warmup, last, ratio, share) -> None:
    settings = schedule(kind, warmup_steps=warmup, max_steps=last, final_learning_rate_ratio=ratio, decay_share=share)
    rates = [learning_rate(step, settings) for step in range(1, last + 1)]
    assert all(0 < rate <= 1 or (rate == 0 and ratio == 0) for rate in rates)
    after = rates[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(after))


def test_the_rate_ends_at_its_final_share() -> None:
    for kind in ("cosine", "linear", "constant"):
        assert learning_rate(110, schedule(kind)) == pytest.approx(0.1)
