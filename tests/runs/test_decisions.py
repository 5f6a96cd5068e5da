"""What the clock decided is found again, whatever happened to the process, and is never changed."""

from pathlib import Path

import pytest

from llm_studio.errors import StorageError
from llm_studio.runs import decisions
from llm_studio.runs.decisions import Decision, DecisionLog


def test_a_decision_is_found_by_a_later_session_with_its_step_and_values(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "run-1")
    assert log.latest("end", 10**9) is None
    made = log.record(120, "end", max_steps=400, seconds=0.1 + 0.2, note="durée", pair=(1, 2))
    later = DecisionLog(tmp_path / "run-1")
    assert later.made_at("end", 120) == made
    assert made.values == {"max_steps": 400, "seconds": 0.1 + 0.2, "note": "durée", "pair": [1, 2]}
    assert later.made_at("end", 119) is None and later.made_at("end", 121) is None
    assert later.latest("end", 119) is None and later.latest("end", 10**9) == made


def test_the_decision_that_holds_is_the_last_of_its_kind_up_to_a_step(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    log.record(10, "threads", threads=1)
    log.record(15, "end", max_steps=90)
    log.record(20, "threads", threads=2)
    for known in (log, DecisionLog(tmp_path)):
        held = [known.latest("threads", step) for step in (9, 10, 19, 20, 21)]
        assert [one and one.values["threads"] for one in held] == [None, 1, 1, 2, 2]
        assert known.last_step("threads") == 20 and known.last_step("end") == 15 and known.last_step("other") == -1


def test_a_session_that_resumes_behind_a_decision_cannot_decide_otherwise(tmp_path: Path) -> None:
    DecisionLog(tmp_path).record(20, "threads", threads=1)
    resumed = DecisionLog(tmp_path)
    for step in (12, 20):
        with pytest.raises(ValueError, match="up to step 20"):
            resumed.record(step, "threads", threads=2)
    assert resumed.record(12, "end", max_steps=50)
    assert resumed.record(21, "threads", threads=2)


def test_a_line_torn_at_any_byte_is_no_decision_and_the_next_one_is_whole(tmp_path: Path) -> None:
    first = DecisionLog(tmp_path / "whole")
    first.record(1, "threads", threads=1)
    path = tmp_path / "whole" / decisions.FILE
    kept = path.read_bytes()
    first.record(2, "threads", threads=2)
    whole = path.read_bytes()
    for end in range(len(kept), len(whole) + 1):
        for tail in (b"", b"\0" * 20):
            folder = tmp_path / f"{end}-{len(tail)}"
            folder.mkdir()
            (folder / decisions.FILE).write_bytes(whole[:end] + tail)
            found = DecisionLog(folder)
            known = found.made_at("threads", 2)
            assert found.made_at("threads", 1) == Decision(1, "threads", {"threads": 1})
            assert known is None or known.values == {"threads": 2}
            found.record(3, "threads", threads=3)
            again = DecisionLog(folder)
            assert again.made_at("threads", 2) == known, "what one session left out, the next one has to leave out"
            assert again.made_at("threads", 3) == Decision(3, "threads", {"threads": 3})


def test_what_the_disk_refuses_is_not_decided(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the place of the folder", encoding="utf-8")
    log = DecisionLog(tmp_path / "file")
    with pytest.raises(StorageError):
        log.record(1, "threads", threads=1)
    assert log.latest("threads", 1) is None


def test_the_file_cannot_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MOST", 3)
    log = DecisionLog(tmp_path)
    for step in range(3):
        assert not log.full
        log.record(step, "threads", threads=1)
    assert log.full and DecisionLog(tmp_path).full
    size = (tmp_path / decisions.FILE).stat().st_size
    with pytest.raises(ValueError, match="can't be recorded"):
        log.record(3, "threads", threads=1)
    with pytest.raises(ValueError, match="can't be recorded"):
        DecisionLog(tmp_path / "other").record(1, "threads", note="x" * decisions.LONGEST)
    assert (tmp_path / decisions.FILE).stat().st_size == size


def test_a_damaged_decision_is_no_line_that_a_crash_tore(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    log.record(10, "threads", threads=1)
    with (tmp_path / decisions.FILE).open("ab") as file:
        file.write(b'{"v": 1, "step": 15, "ki')
    DecisionLog(tmp_path).record(20, "threads", threads=2)
    assert DecisionLog(tmp_path).damaged == 0
    content = (tmp_path / decisions.FILE).read_bytes()
    (tmp_path / decisions.FILE).write_bytes(content.replace(b'"step": 20', b'"step": 2{'))
    damaged = DecisionLog(tmp_path)
    assert damaged.damaged == 1 and damaged.last_step("threads") == 10
