"""Training for a given time: it ends when promised, with the rate fully decayed, and repeats what the clock decided."""

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.events import EndMoved, Event, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import decisions, registry
from llm_studio.training import clock
from llm_studio.training.budget import Horizon, TimeBudget
from llm_studio.training.clock import ActiveClock
from llm_studio.workflows.training.evaluate import evaluate
from llm_studio.workflows.training.train import train
from tests.tiny import project_with_tokens

TOLERANCE = 0.05
"""Of the time: what the program promises on a steady machine."""


class Machine:
    """A machine whose steps take `pace(step)` seconds, and the budget that it trains by."""

    def __init__(self, seconds: float, pace: Callable[[int], float], estimate: int, evaluation: float = 0.0) -> None:
        self.now, self.step = 0.0, 0
        self.pace, self.evaluation = pace, evaluation
        self.written: list[Horizon] = []
        self.budget = TimeBudget(seconds, {}, lambda: self.now, self.written.append)
        self.estimate = estimate

    def run(self) -> "Machine":
        horizon = self.budget.begin(0, self.estimate)
        every = max(1, self.estimate // 10)
        fractions = [0.0]
        while self.step < horizon.last:
            self.now += self.pace(self.step)
            self.step += 1
            fractions.append(horizon.fraction(self.step))
            if self.evaluation and (self.step % every == 0 or self.step == horizon.last):
                self.now += self.evaluation
                self.budget.evaluated(self.evaluation)
            if self.budget.is_due(self.step):
                horizon = self.budget.decide(self.step)
        assert fractions[-1] == 1.0, "the rate has fallen to its end"
        assert all(before < after for before, after in itertools.pairwise(fractions)), "the schedule never goes back"
        return self


@pytest.mark.parametrize("estimate", [20, 900, 40_000])
def test_a_run_ends_in_time_whatever_was_estimated(estimate: int) -> None:
    machine = Machine(180, lambda step: 0.1, estimate).run()
    assert machine.now == pytest.approx(180, rel=TOLERANCE)


def test_evaluations_count() -> None:
    machine = Machine(180, lambda step: 0.1, 1700, evaluation=1.5).run()
    assert machine.now == pytest.approx(180, rel=TOLERANCE)


@pytest.mark.parametrize("factor", [0.1, 0.3, 3.0, 8.0])
@pytest.mark.parametrize("change_at", [0.1, 0.5, 0.8])
def test_a_machine_that_gets_slower_or_faster_still_ends_in_time(factor: float, change_at: float) -> None:
    changing = int(change_at * 1800)
    machine = Machine(180, lambda step: 0.1 if step < changing else 0.1 * factor, 1800).run()
    assert machine.now == pytest.approx(180, rel=TOLERANCE)


@given(
    st.floats(0.01, 3.0), st.lists(st.floats(0.3, 3.0), min_size=1, max_size=8), st.floats(0.2, 5.0),
    st.sampled_from([60.0, 300.0]),
)  # fmt: skip
def test_an_unsteady_machine_ends_near_the_time(
    pace: float, factors: list[float], misjudged: float, seconds: float
) -> None:
    def unsteady(step: int) -> float:
        return pace * factors[step // 20 % len(factors)]

    machine = Machine(seconds, unsteady, max(2, int(seconds / pace * misjudged))).run()
    longest = pace * max(factors)
    assert abs(machine.now - seconds) <= 0.1 * seconds + 3 * longest


def test_what_is_decided_is_due_when_it_was_said() -> None:
    """Between two decisions nothing is decided, so that a run killed there is repeated as it was."""
    machine = Machine(60, lambda step: 0.05, 1000).run()
    for before, after in itertools.pairwise(machine.written):
        assert after.step == before.next


def test_a_stopped_clock_and_a_suspended_program_do_not_count() -> None:
    time = [0.0]
    found = ActiveClock(lambda: time[0], lambda: 0.0)
    time[0] = 10
    found.stop()
    time[0] = 100
    found.resume()
    assert found.seconds == 10
    for _step in range(10):
        found.begin_step()
        time[0] += 0.5
        assert found.end_step() == 0.5
    found.begin_step()
    time[0] += 3600  # asleep, or stopped in a debugger
    assert found.end_step() == 0.5
    assert found.seconds == pytest.approx(10 + 11 * 0.5)


def test_a_long_step_that_works_counts() -> None:
    time, busy = [0.0], [0.0]
    found = ActiveClock(lambda: time[0], lambda: busy[0])
    for seconds in (0.5, 0.5, 0.5, 60.0):
        found.begin_step()
        time[0] += seconds
        busy[0] += seconds
        assert found.end_step() == seconds


class FakeTime:
    """A clock that only steps move on: `pace` seconds each."""

    def __init__(self, pace: float) -> None:
        self.now, self.pace = 0.0, pace

    def take(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self.now += self.pace


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_with_tokens(tmp_path / "p", training__checkpoint_minutes=0)


def weights(project: Project, run: str, step: int) -> str:
    path = registry.folder(project, run) / f"step-{step:06d}" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


CHANGES: dict[str, object] = {
    "training.max_steps": 40,
    "training.checkpoint_interval": 10,
    "training.eval_interval": 10,
    "training.warmup_steps": 2,  # without it, it follows from the measured speed
}


def run_with(project: Project, monkeypatch: pytest.MonkeyPatch, run: str, pace: float, stop_at: int = 0,
             **how: object) -> list[Event]:  # fmt: skip
    time, seen = FakeTime(pace), list[Event]()
    monkeypatch.setattr(clock, "awake_seconds", lambda: time.now)

    def report(event: Event) -> None:
        seen.append(event)
        time.take(event)
        if isinstance(event, StepDone) and event.step == stop_at:
            raise KeyboardInterrupt  # as a kill: nothing is saved on the way out

    job = Job(report)
    if stop_at:
        with pytest.raises(KeyboardInterrupt):
            train(project, job, run=run, **how)  # type: ignore[arg-type]
    else:
        train(project, job, run=run, **how)  # type: ignore[arg-type]
    return seen


def test_a_killed_run_repeats_what_the_clock_decided(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second session's clock is slower: what was decided before the kill holds all the same."""
    whole = run_with(project, monkeypatch, "whole", 0.1, minutes=0.1, changes=CHANGES)
    run_with(project, monkeypatch, "killed", 0.1, 37, minutes=0.1, changes=CHANGES)
    for folder in registry.folder(project, "killed").glob("step-00003*"):  # killed before the last save was whole
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    again = run_with(project, monkeypatch, "killed", 0.15, resume=True)
    steps = [{e.step: (e.loss, e.gradient_norm) for e in seen if isinstance(e, StepDone)} for seen in (whole, again)]
    assert [steps[0][step] for step in range(21, 38)] == [steps[1][step] for step in range(21, 38)]
    rates = [{e.step: e.learning_rate for e in seen if isinstance(e, StepDone)} for seen in (whole, again)]
    assert [rates[0][step] for step in range(21, 38)] == [rates[1][step] for step in range(21, 38)]
    assert rates[0][40] != rates[1][40], "after the kill the slower clock decides"
    ends = [max(steps) for steps in rates]
    assert ends[0] == pytest.approx(60, abs=3)
    assert ends[1] < ends[0]
    assert registry.read(project, "killed").state == "finished"


def test_a_run_ends_in_time_fully_decayed_and_its_record_says_where(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = run_with(project, monkeypatch, "a", 0.1, minutes=0.2, changes=CHANGES)
    steps = [event for event in seen if isinstance(event, StepDone)]
    assert 0.1 * len(steps) == pytest.approx(12, rel=TOLERANCE)
    assert steps[-1].learning_rate == 0.0
    assert steps[-1].seconds_left == pytest.approx(0, abs=0.7)
    run = registry.read(project, "a")
    assert (run.state, run.step, run.max_steps) == ("finished", len(steps), len(steps))
    assert any(isinstance(event, EndMoved) for event in seen)


def test_five_more_minutes_go_back_up_and_end_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_with(project, monkeypatch, "a", 0.1, minutes=0.1, changes=CHANGES)
    more = run_with(project, monkeypatch, "a", 0.1, resume=True, minutes=0.1)
    rates = [event.learning_rate for event in more if isinstance(event, StepDone)]
    last = [event for event in first if isinstance(event, StepDone)][-1]
    assert len(rates) == pytest.approx(60, abs=4)
    assert rates[0] > 5 * last.learning_rate
    assert rates[0] == max(rates)
    assert rates[-1] == 0.0


def test_five_more_minutes_improve_the_model_and_lose_nothing_on_the_way(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured on held-out text. Stopped half-way, when the rate is high again, the run still has its best model."""
    bits: list[float] = []
    for session in range(3):
        run_with(project, monkeypatch, "a", 0.1, minutes=0.1, resume=session > 0, changes={} if session else CHANGES)
        bits.append(evaluate(project, Job(), "a").bits_per_byte)
    assert bits[1] < 0.98 * bits[0]
    assert bits[2] < 0.99 * bits[1]
    job = Job(lambda event: job.request_stop() if isinstance(event, StepDone) else None)
    train(project, job, run="a", resume=True, minutes=0.1)
    assert evaluate(project, Job(), "a").bits_per_byte <= bits[2]


def test_a_repeated_run_ends_where_the_first_one_did(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(project, monkeypatch, "a", 0.1, minutes=0.1, changes=CHANGES)
    run_with(project, monkeypatch, "b", 0.5, like="a")
    step = registry.read(project, "a").step
    assert registry.read(project, "b").step == step
    assert weights(project, "a", step) == weights(project, "b", step)


def test_a_lost_journal_loses_no_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(project, monkeypatch, "a", 0.1, 37, minutes=0.1, changes=CHANGES)
    (registry.folder(project, "a") / decisions.FILE).unlink()
    again = run_with(project, monkeypatch, "a", 0.1, resume=True)
    assert 55 <= max(event.step for event in again if isinstance(event, StepDone)) <= 65


def test_the_journal_is_on_the_disk_before_it_is_used(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def report(event: Event) -> None:
        if isinstance(event, EndMoved):
            lines = (registry.folder(project, "a") / decisions.FILE).read_text(encoding="utf-8").splitlines()
            written.append(json.loads(lines[-1])["last"] == event.max_steps)

    time = FakeTime(0.1)
    monkeypatch.setattr(clock, "awake_seconds", lambda: time.now)
    train(project, Job(lambda event: (time.take(event), report(event))), run="a", minutes=0.1, changes=CHANGES)
    assert written
    assert all(written)
