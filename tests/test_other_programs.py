"""The processor use of other programs is measured without our own, and the busiest program is named."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from llm_studio import other_programs
from llm_studio.other_programs import Usage

BUSY = "while True: pass"


@pytest.fixture
def started_elsewhere() -> Iterator[int]:
    """A busy program that isn't a child of this process: it was started by another process, which has ended."""
    code = ("import subprocess, sys; "
            f"print(subprocess.Popen([sys.executable, '-c', {BUSY!r}], stdout=-3, stderr=-3).pid)")  # fmt: skip
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    other = psutil.Process(int(out))
    yield other.pid
    other.kill()
    psutil.wait_procs([other], timeout=10)


def until(seconds: float) -> None:
    """Compute for `seconds` of processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_busy_program_counts_and_has_a_name(started_elsewhere: int) -> None:
    before = other_programs.usage(by_program=True)
    assert before.programs
    deadline, used, after, name = time.perf_counter() + 60, 0.0, before, ""
    while used < 0.2 and time.perf_counter() < deadline:
        after = other_programs.usage(by_program=True)
        assert after.programs
        (key,) = (key for key in after.programs if key[0] == started_elsewhere)
        name = key[1]
        used = after.programs[key] - before.programs.get(key, 0.0)
    assert "python" in name.lower()
    assert other_programs.cores_used(before, after) >= 0.5 * used / (after.at - before.at) > 0


def test_what_this_process_and_those_it_started_use_is_its_own() -> None:
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        before = other_programs.usage(by_program=True)
        until(0.3)
        after = other_programs.usage(by_program=True)
    finally:
        child.kill()
        child.wait()
    assert after.own - before.own >= 0.3
    assert after.programs is not None and child.pid not in {pid for pid, _name in after.programs}


def of(at: float, total: float, own: float, **programs: float) -> Usage:
    return Usage(at, total, own, {(n, name): seconds for n, (name, seconds) in enumerate(programs.items())})


def test_the_busiest_program_is_that_whose_processes_together_used_most() -> None:
    before = Usage(0.0, 0.0, 0.0, {(1, "a"): 50.0, (2, "browser"): 5.0, (3, "browser"): 5.0})
    after = Usage(1.0, 2.0, 0.5, {(1, "a"): 50.5, (2, "browser"): 5.4, (3, "browser"): 5.3, (4, "new"): 9.0})
    assert other_programs.busiest(before, after) == "browser"
    assert other_programs.cores_used(before, after) == 1.5


def test_many_small_programs_have_no_name_in_common() -> None:
    assert other_programs.busiest(of(0, 0, 0, a=1, b=1), of(1, 2, 0, a=1.2, b=1.2)) == ""
    assert other_programs.busiest(Usage(0, 0, 0), Usage(1, 2, 0)) == ""


@pytest.mark.parametrize(("cores", "used", "busy"), [(2, 0.4, False), (2, 0.6, True), (16, 1.4, False), (16, 2, True)])
def test_what_is_busy_depends_on_the_cores(
    cores: int, used: float, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_programs, "_own_cores", lambda: list(range(cores)))
    assert other_programs.are_busy(Usage(0, 0, 0), Usage(2, 2 * used + 3, 3)) is busy
