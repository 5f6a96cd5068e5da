"""Damaged tokens end a run with a sentence; what it had saved stays and is resumed when they are prepared again."""

import json
import threading
import time
from pathlib import Path

import pytest

from llm_studio.cli.app import PROBLEM, main
from llm_studio.data.tokens.token_files import BLOCK, BlockChecksums, TokenFile
from llm_studio.errors import DamagedTokensError
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.runs import checkpoint, registry
from llm_studio.training.token_check import TokenCheck
from llm_studio.workflows import projects
from llm_studio.workflows.tokenizer.lab import open_bench
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.training.train import train
from tests.training.test_resume import StopAt, assert_same_weights


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(place)
        (byte,) = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("file", ["train.bin", "val.bin"])
def test_a_flipped_bit_ends_the_run_until_the_tokens_are_prepared_again(file: str, project: Project) -> None:
    train(project, Job(), run="whole")
    train(project, StopAt(12).job, run="parts")
    flip(project.processed / file, 1001)  # the id stays in the vocabulary
    with pytest.raises(DamagedTokensError, match=rf"{file} has changed since it was prepared.*“llm-studio prepare”"):
        train(project, Job(), run="parts", resume=True)
    run = registry.read(project, "parts")
    assert run.state == "failed" and run.step < 30  # nothing of the damaged tokens was saved as the end
    assert not [thread for thread in threading.enumerate() if thread.name == "token check"]
    # the window and the commands know it now
    assert projects.steps(project).tokens is State.OUT_OF_DATE
    assert file in " ".join(open_bench(project).reasons)
    assert main(["train", str(project.root)]) == PROBLEM
    prepare_tokens(project, Job())
    assert projects.steps(project).tokens is State.READY
    assert train(project, Job(), run="parts", resume=True).finished
    if run.step == 12:  # unless a step of the failed session was saved
        assert_same_weights(project, "whole", "parts")


def test_files_restored_from_a_copy_are_used_again(project: Project) -> None:
    flip(project.processed / "train.bin", 1001)
    with pytest.raises(DamagedTokensError):
        train(project, Job(), run="a")
    assert json.loads(project.tokens_meta.read_text())["damaged"] == "train.bin"
    flip(project.processed / "train.bin", 1001)
    assert train(project, Job(), run="b", changes={"training.max_steps": 2}).finished
    assert projects.steps(project).tokens is State.READY


def test_no_checkpoint_is_written_once_damage_is_known(project: Project) -> None:
    flip(project.processed / "train.bin", 1001)
    with pytest.raises(DamagedTokensError):
        train(project, Job(), run="a", changes={"training.checkpoint_interval": 1000, "training.eval_interval": 1000})
    assert checkpoint.listed(registry.folder(project, "a")) == []


def test_evaluating_reads_no_damaged_validation_tokens(project: Project) -> None:
    train(project, Job(), run="a", changes={"training.max_steps": 2})
    flip(project.processed / "val.bin", 101)
    assert main(["evaluate", str(project.root)]) == PROBLEM


class Counting(TokenFile):
    """Blocks of nothing."""

    def verify(self):  # type: ignore[no-untyped-def]
        for _ in range(10_000):
            time.sleep(0.001)
            yield


def test_a_run_that_ends_waits_for_the_check_no_longer_than_a_second(tmp_path: Path) -> None:
    with TokenCheck([Counting(tmp_path / "absent", "")]) as check:
        began = time.monotonic()
        check.finish()
        check.look()
    waited = time.monotonic() - began
    print(f"{waited:.2f} s")
    assert waited < 10  # of more than ten that the file takes


def test_small_files_are_always_checked_to_their_end(tmp_path: Path) -> None:
    content = bytes(3 * BLOCK)
    (tmp_path / "train.bin").write_bytes(content[:-1] + b"\1")
    sums = BlockChecksums()
    sums.add(content)
    with TokenCheck([TokenFile(tmp_path / "train.bin", "", sums.text())]) as check, pytest.raises(DamagedTokensError):
        check.finish()
