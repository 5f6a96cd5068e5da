"""A text of one endless line is read, learned from and turned into tokens in bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="Windows tells no peak memory this way")

MEGABYTES = 20
GROWTH = 250
"""MB above what the imports take. Measured: 161, and 106 in the process that learns the tokenizer."""


@pytest.mark.slow
def test_one_line_of_twenty_megabytes_becomes_tokens_in_bounded_memory(tmp_path: Path) -> None:
    from tests.benchmarks.preparing import write_line

    write_line(tmp_path / "line.txt", MEGABYTES)
    assert (tmp_path / "line.txt").stat().st_size >= MEGABYTES * 1_000_000
    command = [sys.executable, "-m", "tests.benchmarks.preparing", "line", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=400)
    figures = json.loads(done.stdout)
    assert figures["token_bytes"] > MEGABYTES * 1_000_000 * 0.2  # the line was not cut short on the way
    assert figures["peak_mb"] - figures["base_mb"] < GROWTH
    assert figures["child_mb"] - figures["base_mb"] < GROWTH
