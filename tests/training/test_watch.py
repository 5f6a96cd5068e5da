"""A training that goes nowhere is told early; one that learns is left in peace."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.other_programs import Usage
from llm_studio.training.health.watch import LoadMonitor, LossMonitor, SpeedMonitor


def sentences(losses: list[float], warmup: int = 100) -> list[tuple[int, str]]:
    watch = LossMonitor(vocab_size=1000, warmup_steps=warmup)
    said = ((step, watch.warning(step, loss)) for step, loss in enumerate(losses, 1))
    return [(step, text) for step, text in said if text]


def test_a_loss_that_stays_at_chance_is_reported_once() -> None:
    noise = random.Random(1)
    found = sentences([math.log(1000) + noise.gauss(0, 0.05) for _ in range(2000)])
    assert len(found) == 1 and found[0][0] == 300 and "Nothing is learned" in found[0][1]


def test_a_loss_that_falls_is_not_reported() -> None:
    noise = random.Random(1)
    assert not sentences([4 + 3 * math.exp(-step / 200) + noise.gauss(0, 0.1) for step in range(2000)])


def test_nothing_is_said_during_the_warm_up() -> None:
    assert not sentences([7.0] * 1000, warmup=1000)


def paces(seconds: list[float], device: str = "cpu") -> list[tuple[int, str]]:
    pace = SpeedMonitor(device)
    said = ((step, pace.warning(one)) for step, one in enumerate(seconds, 1))
    return [(step, text) for step, text in said if text]


@pytest.mark.parametrize("device, word", [("cpu", "processor"), ("cuda", "graphics card")])
def test_steps_that_suddenly_take_many_times_as_long_are_reported_once(device: str, word: str) -> None:
    chance = random.Random(2)
    found = paces([chance.uniform(0.9, 1.1) for _ in range(100)] + [chance.uniform(18, 22) for _ in range(300)], device)
    assert [step for step, _ in found] == [120]
    assert word in found[0][1] and any(f"take {times} times" in found[0][1] for times in (18, 19, 20, 21, 22))


def test_steps_that_are_slow_again_after_a_recovery_are_reported_again() -> None:
    assert [step for step, _ in paces(3 * ([1.0] * 40 + [5.0] * 40))] == [60, 140, 220]


@given(st.lists(st.floats(1.0, 3.9), max_size=300), st.integers(0, 19))
def test_uneven_steps_and_short_pauses_are_left_in_peace(seconds: list[float], pause: int) -> None:
    assert not paces(seconds + [100.0] * pause + [1.0] * 30)


def test_steps_done_in_another_way_are_measured_again() -> None:
    pace = SpeedMonitor("cpu")
    said = [pace.warning(1.0) for _ in range(50)]
    pace.reset()
    assert not any(said + [pace.warning(10.0) for _ in range(50)])


def loads(*cores: float) -> list[tuple[int, str]]:
    """What is said after which of many long steps, where others used so many cores between two looks."""
    total, steps = 0.0, iter(range(len(cores)))

    def measure(by_program: bool) -> Usage:
        nonlocal total
        step = next(steps)
        total += cores[step]
        return Usage(step - 1e6, total, 0.0, {(7, "game.exe"): total} if by_program else None)

    load = LoadMonitor(measure)
    said = [(step, load.warning()) for step in range(1, 30)]
    return [(step, text) for step, text in said if text]


def test_programs_that_are_busy_when_a_run_starts_are_reported_once_with_the_busiest() -> None:
    found = loads(0.0, 2.0, 0.0, 1.9)
    assert [step for step, _ in found] == [3]
    assert "game.exe" in found[0][1] and "Other programs" in found[0][1]


def test_a_machine_that_is_idle_or_busy_for_a_moment_alone_is_not_reported() -> None:
    assert not loads(0.0, 0.1)
    assert not loads(0.0, 2.0, 0.0, 0.1)
