"""A damaged project: a sample of `python -m tests.benchmarks damage`, without the window, and its judge of outcomes."""

import os
import random
from pathlib import Path

import pytest

from tests.damage import project
from tests.damage.cases import Case, judge, parse, some_cases
from tests.damage.operations import Outcome
from tests.damage.run import run, table
from tests.damage.ways import WAYS

SAMPLE = 24
"""Number of cases; all of them would take half an hour."""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and holes in files")
def test_a_damaged_file_hides_nothing_whole_and_nothing_wrong_is_used(tmp_path: Path) -> None:
    place = tmp_path / "base"
    place.mkdir()
    project.make(place, with_window=False)
    results = run(place, some_cases(project.files_of(place), SAMPLE, seed=1), with_window=False)
    failed = [result for result in results if result.failed]
    assert len(results) >= SAMPLE
    assert not failed, "\n".join([table(results), *map(str, failed)])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_damages_and_repeats_itself(tmp_path: Path, way: str) -> None:
    if way in ("pipe", "huge") and not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes and holes in files")
    after: list[object] = []
    for name in ("one", "two"):
        path = tmp_path / name
        path.write_text('{"a": [1, 2, {"b": "c"}], "d": 1.5}', encoding="utf-8")
        before = path.read_bytes()
        WAYS[way](path, random.Random(way), tmp_path / f"outside {name}")
        after.append((path.is_symlink(), path.is_dir(), path.is_fifo(), path.stat().st_size,
                      path.read_bytes() if path.is_file() and path.stat().st_size < 10**7 else b""))  # fmt: skip
        assert path.is_symlink() or not path.is_file() or path.stat().st_size > 10**7 or path.read_bytes() != before
    assert after[0] == after[1]


BEFORE = Outcome({"run run-1": [1], "chats": ["a"], "weights": ["w"]})


@pytest.mark.parametrize("file, way, after, kind", [
    ("project/chats/chat-1.json", "empty", Outcome({"run run-1": [1], "weights": ["w"]}, [], "damaged"), "sentence"),
    ("project/chats/chat-1.json", "empty", Outcome({"run run-1": [1], "weights": ["w"]}), "silent"),
    ("project/chats/chat-1.json", "empty", Outcome({"run run-1": [1], "weights": ["w"]}, ["lost"]), "said"),
    ("project/chats/chat-1.json", "empty", Outcome({"chats": ["a"], "weights": ["w"]}, ["lost"]), "hidden"),
    ("project/chats/chat-1.json", "flipped", Outcome({"run run-1": [1], "chats": ["b"], "weights": ["w"]}), "altered"),
    ("project/data/processed/train.bin", "flipped", Outcome({**BEFORE.parts, "weights": ["v"]}), "silent"),
    ("project/data/processed/train.bin", "flipped", Outcome({**BEFORE.parts}), "as before"),
])  # fmt: skip
def test_the_judge_tells_what_is_hidden_and_what_is_silent(file: str, way: str, after: Outcome, kind: str) -> None:
    assert judge(Case(file, way, 0), BEFORE, after).kind == kind


def test_a_case_is_repeated_by_its_name() -> None:
    case = Case("project/a:b.json", "flipped", 7)
    assert parse(str(case)) == case
