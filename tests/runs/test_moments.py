"""Moments are log-spaced, about as many in any run; their file survives whatever happens to the process."""

import itertools
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.errors import ProjectError, StorageError
from llm_studio.runs import moments
from llm_studio.runs.moments import Candidate, GreedyText, Moment
from llm_studio.training.budget import TimeBudget


def made(step: int) -> Moment:
    top = (Candidate(7, " été", 0.25), Candidate(9, "\n", 0.125))
    text = GreedyText("Il était", (7, 9), (" été", "\n"), (0.25, 0.5), False, top)
    return Moment(step, 100 * step, (text, text))


def steps_of(last: int, every: float = 1.0) -> list[int]:
    return [step for step in range(last + 1) if moments.is_due(step, last, every)]


@given(st.integers(1, 200_000))
def test_a_run_has_at_least_sixty_or_one_after_each_step(last: int) -> None:
    found = steps_of(last)
    assert found[0] == 0 and found[-1] == last
    assert (len(found) == last + 1) if last < 70 else 66 <= len(found) <= 75
    assert abs(len(found) - moments.count(last)) <= 3


@given(st.integers(70, 200_000))
def test_they_are_evenly_spaced_on_a_logarithmic_scale(last: int) -> None:
    ratios = [(after + 1) / before for before, after in itertools.pairwise(steps_of(last)[1:-1])]
    gaps = [after - before for before, after in itertools.pairwise(steps_of(last))]
    dense = gaps.count(1)
    assert gaps[: dense // 2] == [1] * (dense // 2), "at first after each step"
    later = ratios[dense + 5 :]
    assert not later or max(later) < 1.35


@given(st.integers(70, 100_000), st.floats(1.3, 9.0))
def test_some_of_them_are_fewer_and_among_them(last: int, every: float) -> None:
    some = steps_of(last, every)
    assert set(some) <= set(steps_of(last)) and some[0] == 0 and some[-1] == last
    assert abs(len(some) - moments.count(last, every)) <= 4 and len(some) < 70


@given(
    st.floats(20.0, 3000.0), st.lists(st.floats(0.8, 2.0), min_size=1, max_size=6), st.floats(0.2, 5.0),
    st.integers(150, 4000),
)  # fmt: skip
def test_a_run_whose_end_the_clock_decides_has_as_many(
    seconds: float, factors: list[float], misjudged: float, steps: int
) -> None:
    """The end is misjudged at first, and the machine becomes slower and faster on the way."""
    now, pace = 0.0, seconds / steps
    budget = TimeBudget(seconds, {}, lambda: now, lambda _made: None)
    horizon = budget.begin(0, max(2, int(misjudged * steps)))
    step, found = 0, 1
    while step < horizon.last:
        step += 1
        now += pace * factors[min(len(factors) - 1, int(now / seconds * len(factors)))]
        if budget.is_due(step):
            horizon = budget.decide(step)
        found += moments.is_due(step, horizon.last)
    assert found >= min(60, step + 1), (step, found)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for step in (0, 1, 5):
        moments.append(tmp_path / "a", made(step))
    assert moments.read(tmp_path / "a") == [made(0), made(1), made(5)]
    assert moments.read(tmp_path / "a")[0].texts[0].text == " été\n"
    assert moments.last_step(tmp_path / "a") == 5 and moments.last_step(tmp_path / "b") == -1
    assert moments.read(tmp_path / "b") == []
    lines = (tmp_path / "a" / moments.FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["v"] for line in lines] == [1, 1, 1]


def test_a_line_torn_at_any_byte_is_no_moment_and_is_cut_before_the_next_one(tmp_path: Path) -> None:
    moments.append(tmp_path, made(0))
    path = tmp_path / moments.FILE
    kept = path.read_bytes()
    moments.append(tmp_path, made(1))
    whole = path.read_bytes()
    for end in range(len(kept), len(whole)):
        for tail in (b"", b"\0" * 20):
            path.write_bytes(whole[:end] + tail)
            assert moments.read(tmp_path) in ([made(0)], [made(0), made(1)])
            moments.cut_after(tmp_path, 1)
            assert path.read_bytes() == kept
            moments.append(tmp_path, made(1))
            assert path.read_bytes() == whole


def test_later_ones_are_cut_and_the_file_goes_with_the_last(tmp_path: Path) -> None:
    for step in (0, 1, 5, 9):
        moments.append(tmp_path, made(step))
    before = (tmp_path / moments.FILE).stat().st_mtime_ns
    moments.cut_after(tmp_path, 9)
    assert (tmp_path / moments.FILE).stat().st_mtime_ns == before
    moments.cut_after(tmp_path, 5)
    assert [moment.step for moment in moments.read(tmp_path)] == [0, 1, 5]
    moments.cut_after(tmp_path, -1)
    moments.cut_after(tmp_path, -1)
    assert not (tmp_path / moments.FILE).exists()


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"v": 1, "step": "a"}', '{"v": 1, "step": 3}',
                                  '{"v": 1, "step": 3, "tokens": 1, "texts": [{"prompt": 1}]}'])  # fmt: skip
def test_damaged_lines_are_left_out(tmp_path: Path, line: str) -> None:
    moments.append(tmp_path, made(0))
    with (tmp_path / moments.FILE).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    moments.append(tmp_path, made(5))
    assert moments.read(tmp_path) == [made(0), made(5)]


@pytest.mark.skipif(sys.platform == "win32", reason="there, files have no holes")
def test_a_file_larger_than_any_run_writes_is_refused_and_not_read_through(tmp_path: Path) -> None:
    (tmp_path / moments.FILE).touch()
    os.truncate(tmp_path / moments.FILE, 1 << 40)
    with pytest.raises(StorageError, match="it is damaged"):
        moments.read(tmp_path)


def test_those_of_a_newer_program_are_refused(tmp_path: Path) -> None:
    (tmp_path / moments.FILE).write_text('{"v": 2}\n', encoding="utf-8")
    with pytest.raises(ProjectError, match="newer LLM Studio"):
        moments.read(tmp_path)
