"""A training that goes nowhere is told early; one that learns is left in peace."""

import math
import random

import pytest

from llm_studio.errors import TrainingError
from llm_studio.training.watch import Watch


def sentences(losses: list[float], warmup: int = 100) -> list[tuple[int, str]]:
    watch = Watch(vocab_size=1000, warmup_steps=warmup)
    said = ((step, watch.warning(step, loss)) for step, loss in enumerate(losses, 1))
    return [(step, text) for step, text in said if text]


def test_a_loss_that_stays_at_chance_is_told_once() -> None:
    noise = random.Random(1)
    found = sentences([math.log(1000) + noise.gauss(0, 0.05) for _ in range(2000)])
    assert len(found) == 1 and found[0][0] == 300 and "Nothing is learned" in found[0][1]


def test_a_loss_that_falls_is_not_told() -> None:
    noise = random.Random(1)
    assert not sentences([4 + 3 * math.exp(-step / 200) + noise.gauss(0, 0.1) for step in range(2000)])


def test_nothing_is_said_during_the_warm_up() -> None:
    assert not sentences([7.0] * 1000, warmup=1000)


@pytest.mark.parametrize("loss, norm", [(math.nan, 1.0), (math.inf, 1.0), (3.0, math.nan), (3.0, math.inf)])
def test_a_loss_that_is_no_number_ends_the_training(loss: float, norm: float) -> None:
    with pytest.raises(TrainingError, match=r"At step 1,240 .* diverged.*lower learning rate"):
        Watch(1000, 100).check_finite(1240, loss, norm)
    Watch(1000, 100).check_finite(1240, 3.0, 1.0)
