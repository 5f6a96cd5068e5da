"""The speed of a run and the time left, when a step takes much longer than the others."""

import pytest

from llm_studio.training.clock import ActiveClock
from llm_studio.training.throughput import Throughput


def test_a_pause_of_twenty_seconds_changes_neither_the_time_left_nor_the_speed_much() -> None:
    speed = Throughput()
    for seconds in [0.05] * 40 + [20.0] + [0.05] * 3:
        speed.add(64, seconds)
    assert 100 * speed.seconds_per_step == pytest.approx(5, rel=0.1)
    assert speed.tokens_per_second == pytest.approx(64 / 0.05, rel=0.1)


def test_steps_that_stay_slow_are_believed() -> None:
    speed = Throughput()
    for seconds in [0.05] * 40 + [0.5] * 25:
        speed.add(64, seconds)
    assert speed.seconds_per_step == pytest.approx(0.5)


def test_steps_of_changing_length_keep_their_mean() -> None:
    speed = Throughput()
    for step in range(100):
        speed.add(64, 0.1 if step % 5 else 0.2)
    assert speed.seconds_per_step == pytest.approx(0.12)


def test_nothing_is_known_before_the_first_step() -> None:
    assert (Throughput().seconds_per_step, Throughput().tokens_per_second) == (0.0, 0.0)


def test_a_suspended_program_does_not_train_meanwhile() -> None:
    now, busy, speed = [0.0], [0.0], Throughput()
    clock = ActiveClock(lambda: now[0], lambda: busy[0])
    for step in range(100):
        clock.begin_step()
        now[0] += 20.05 if step == 60 else 0.05  # 20 seconds without any processor time
        busy[0] += 0.05
        speed.add(64, clock.end_step())
    assert clock.seconds == pytest.approx(100 * 0.05)
    assert speed.seconds_per_step == pytest.approx(0.05)
