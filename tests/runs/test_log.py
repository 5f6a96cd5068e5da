"""A run's log is read line by line, survives a crash, and forgets what is about to be done again."""

import json
import math
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.errors import StorageError
from llm_studio.events import CheckpointSaved, Evaluated, RolledBack, SampleWritten, StepDone, to_json
from llm_studio.runs import log
from llm_studio.runs.log import RunLog


def step(number: int, loss: float = 3.0) -> StepDone:
    return StepDone(number, loss, 0.001, 1.0, number * 100, 5000.0, 1.0)


def write(path: Path, *events: object) -> None:
    with RunLog(path) as written:
        for event in events:
            written.write(event)  # type: ignore[arg-type]


def steps(path: Path) -> list[int]:
    return [record["step"] for record in log.read(path)]


def test_what_is_written_is_read_back_in_order_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.jsonl"
    events = (step(1), SampleWritten(1, "Il était", " une fée\nici"), step(2, math.nan))
    write(path, *events[:2])
    write(path, events[2])
    assert list(log.read(path)) == [json.loads(to_json(event)) for event in events]
    assert "était" in path.read_text(encoding="utf-8") and "NaN" not in path.read_text(encoding="utf-8")


def test_an_event_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    with RunLog(tmp_path / "a.jsonl") as written:
        for number in (1, 2):
            written.write(step(number))
            assert steps(tmp_path / "a.jsonl")[-1] == number


@pytest.mark.skipif(sys.platform == "win32", reason="there, files have no holes")
def test_a_log_larger_than_any_run_writes_is_refused_and_not_read_through(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), step(2))
    os.truncate(path, 1 << 40)
    for attempt in (lambda: steps(path), lambda: log.cut_after(path, 1)):
        with pytest.raises(StorageError, match=r"larger than 4\.0\u00a0GB: it is damaged"):
            attempt()
    assert log.last_step(path) == 0


@pytest.mark.parametrize("cut", [1, 10, len('e":"x"}') + 4])
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), step(2), SampleWritten(2, "é" * 10, "é" * 10))
    path.write_bytes(path.read_bytes()[: -1 - cut])
    assert [record["event"] for record in log.read(path)] == ["step", "step"]


def test_after_a_torn_line_is_cut_the_log_goes_on_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), step(2), step(3))
    path.write_bytes(path.read_bytes()[:-20])
    log.cut_after(path, 2)
    write(path, step(3))
    assert [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()] == [1, 2, 3]


def test_cutting_forgets_later_steps_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), Evaluated(1, 2.5, True), step(2), CheckpointSaved(2, "step-000002", 10, 0.1),
          Evaluated(3, 2.4, True), SampleWritten(3, "été", "é"), step(3))  # fmt: skip
    kept = list(log.read(path))[:4]
    log.cut_after(path, 2)
    assert list(log.read(path)) == kept
    log.cut_after(path, -1)
    assert not list(log.read(path))


def test_an_absent_log_is_empty_and_can_be_cut(tmp_path: Path) -> None:
    assert not list(log.read(tmp_path / "none"))
    log.cut_after(tmp_path / "none", 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", [1, 12])
def test_a_log_is_cut_cleanly_where_a_crash_took_the_end_of_its_last_line(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), step(2), step(3))
    path.write_bytes(path.read_bytes()[:-missing])
    log.cut_after(path, 3)
    write(path, step(4))
    left = [1, 2, 3, 4] if missing == 1 else [1, 2, 4]
    assert [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()] == left


@given(st.data())
@settings(max_examples=60)
def test_what_is_left_of_a_cut_log_is_what_it_said_of_earlier_steps(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("logs") / "a.jsonl"
    last = data.draw(st.integers(0, 60))
    log_block = data.draw(st.sampled_from([7, 300, 1 << 16]))
    events: list[Any] = []
    for number in range(1, last + 1):
        events.append(step(number))
        if number % 5 == 0:
            events += [Evaluated(number, 3.0, True), SampleWritten(number, "O", "é\n" * (number % 9))]
        if number % 5 == 2 and number > 5:  # in the background, told when it is done
            events.append(CheckpointSaved(number - 2, f"step-{number - 2}", 1, 0.1))
        if number == 20:
            events.append(RolledBack(20, 25, 0.5))
    write(path, *events)
    cut, evaluated, resumed = data.draw(st.integers(-1, 65)), data.draw(st.booleans()), data.draw(st.booleans())
    again = (set() if evaluated else {"evaluation", "sample"}) | ({"rollback"} if resumed else set())
    left = [e for e in events if e.step < cut or (e.step == cut and e.kind not in again)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "_BLOCK", log_block)
        log.cut_after(path, cut, evaluated, resumed)
    assert path.read_text(encoding="utf-8") == "".join(to_json(event) + "\n" for event in left)


def test_cutting_a_long_log_never_has_it_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = "".join(to_json(step(number)) + "\n" for number in range(1, 20_001))
    path.write_text(lines, encoding="utf-8")
    tracemalloc.start()
    try:
        log.cut_after(path, 19_950)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(lines) / 4
    assert steps(path) == list(range(1, 19_951))


def test_a_log_of_which_nothing_is_forgotten_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, step(1), step(2), Evaluated(2, 2.5, True))
    before = path.stat()
    log.cut_after(path, 2)
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns
