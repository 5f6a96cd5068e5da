"""Damaged tokens end a run with a sentence; what it had saved stays and is resumed when they are prepared again."""

import json
import threading
import time
from pathlib import Path
from zlib import crc32

import pytest

from llm_studio.cli.app import PROBLEM, main
from llm_studio.data.tokens.token_files import BLOCK, TokenFile
from llm_studio.errors import DamagedTokensError
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.runs import checkpoint, registry
from llm_studio.training.token_check import AT_ONCE, TokenCheck
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
    assert (run.state, run.step) == ("failed", 12)  # nothing was learned from the damaged tokens
    assert not [thread for thread in threading.enumerate() if thread.name == "token check"]
    # the window and the commands know it now
    assert projects.steps(project).tokens is State.OUT_OF_DATE
    assert file in " ".join(open_bench(project).reasons)
    assert main(["train", str(project.root)]) == PROBLEM
    prepare_tokens(project, Job())
    assert projects.steps(project).tokens is State.READY
    assert train(project, Job(), run="parts", resume=True).finished
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


def large_file(path: Path, blocks: int) -> TokenFile:
    """A file of zeros that takes no room on the disk."""
    with path.open("wb") as stream:
        stream.truncate(blocks * BLOCK)
    return TokenFile(path, "", f"{crc32(bytes(BLOCK)):08x}" * blocks)


def test_few_tokens_are_verified_before_the_first_step(tmp_path: Path) -> None:
    file = large_file(tmp_path / "train.bin", AT_ONCE - 1)
    check = TokenCheck([file])
    check.begin()
    check.end()
    flip(file.path, (AT_ONCE - 1) * BLOCK - 1)
    with pytest.raises(DamagedTokensError):
        TokenCheck([file]).begin()


def test_many_tokens_are_verified_beside_the_training(tmp_path: Path) -> None:
    file = large_file(tmp_path / "train.bin", AT_ONCE + 20)
    flip(file.path, (AT_ONCE + 10) * BLOCK)
    check, deadline = TokenCheck([file]), time.monotonic() + 60
    check.begin()
    check.look()
    with pytest.raises(DamagedTokensError):
        while time.monotonic() < deadline:
            check.look()
            threading.Event().wait(0.01)
    check.end()


def test_a_check_that_is_not_done_ends_with_the_run(tmp_path: Path) -> None:
    check = TokenCheck([large_file(tmp_path / "train.bin", 100_000)])
    check.begin()
    began = time.monotonic()
    check.end()
    print(f"{time.monotonic() - began:.2f} s")
    assert not [thread for thread in threading.enumerate() if thread.name == "token check"]
