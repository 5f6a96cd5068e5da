"""Bits per byte on held-out text: what is counted, and that models with different vocabularies can be compared."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from llm_studio.cli.app import DONE, PROBLEM, main
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.errors import Cancelled
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.workflows.training.evaluate import evaluate
from llm_studio.workflows.training.train import train
from tests.talk import add_talk
from tests.tiny import project_with_tokens

TEXT = "Once upon a time, a little fox lived by the sea.\r\nÉtonnant, non ? 漢字\n"


def make_uniform(project: Project) -> None:
    """Replace the checkpoint of a project's last run by one in which every token is equally likely."""
    train(project, Job(), changes={"training.max_steps": 1})
    folder = registry.folder(project, registry.listed(project)[-1].name)
    saved = checkpoint.listed(folder)[-1]
    zeros = {name: torch.zeros_like(weight) for name, weight in saved.weights().items()}
    settings, tokenizer, moments = saved.settings(), saved.tokenizer_json(), dict(saved.moments())
    shutil.rmtree(saved.path)
    checkpoint.save(folder, saved.state, settings, tokenizer, zeros, moments)


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job())
    return Project.open(root)


@pytest.fixture(scope="module")
def uniform(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Two projects on the same texts with vocabularies of different sizes, and uniform models."""
    folder = tmp_path_factory.mktemp("uniform")
    shutil.copytree(prepared, folder / "small")
    projects = Project.open(folder / "small"), project_with_tokens(folder / "large", model__vocab_size=700)
    for project in projects:
        make_uniform(project)
    return projects


def tokenizer_of(project: Project) -> Tokenizer:
    return Tokenizer.load(project.tokenizer_file)


def validation_text(project: Project) -> str:
    """The validation texts without the marks between them."""
    tokenizer = tokenizer_of(project)
    with open_tokens(project.processed) as tokens:
        return tokenizer.decode(token for token in tokens.validation.tolist() if token != tokenizer.end_of_text)


def test_all_validation_texts_are_evaluated(trained: Project) -> None:
    found = evaluate(trained, Job())
    with open_tokens(trained.processed) as tokens:
        assert found.tokens == found.available_tokens == len(tokens.validation)
    assert found.bytes == len(validation_text(trained).encode())
    assert found.bits_per_byte == pytest.approx(found.loss / math.log(2) * found.tokens / found.bytes)
    measured = registry.read(trained, "run-1").best_bits_per_byte
    assert measured is not None and found.bits_per_byte == pytest.approx(measured, rel=0.2)  # on some of it


def test_the_end_of_a_text_is_counted_and_has_no_bytes(uniform: tuple[Project, Project], tmp_path: Path) -> None:
    """A uniform model needs log2(V) bits for every token, so the number of counted tokens follows from the bits."""
    file = tmp_path / "text.txt"
    file.write_bytes(TEXT.encode())
    for project in uniform:
        tokenizer = tokenizer_of(project)
        found = evaluate(project, Job(), texts=[file, file])
        tokens = 2 * (len(tokenizer.encode(TEXT)) + 1)
        assert (found.tokens, found.bytes) == (tokens, 2 * len(TEXT.encode()))
        assert found.loss == pytest.approx(math.log(tokenizer.vocab_size), rel=1e-6)
        assert found.bits_per_byte == pytest.approx(math.log2(tokenizer.vocab_size) * tokens / found.bytes, rel=1e-6)


def test_models_with_other_vocabularies_are_compared_on_the_same_bytes(uniform: tuple[Project, Project]) -> None:
    small, large = (evaluate(project, Job()) for project in uniform)
    sizes = [tokenizer_of(project).vocab_size for project in uniform]
    assert sizes[0] < sizes[1]
    assert small.loss < large.loss  # although, with its longer tokens, the larger vocabulary encodes better here
    assert (small.bytes, small.tokens > large.tokens) == (large.bytes, True)
    for found, size in zip((small, large), sizes, strict=True):
        assert found.bits_per_byte == pytest.approx(math.log2(size) * found.tokens / found.bytes, rel=1e-6)


def test_a_model_of_another_project_reads_the_texts_with_its_own_tokenizer(uniform: tuple[Project, Project]) -> None:
    here, there = uniform
    own = evaluate(there, Job())
    found = evaluate(here, Job(), str(registry.folder(there, "run-1")))
    assert (found.tokens, found.bytes, found.bits_per_byte) == (own.tokens, own.bytes, own.bits_per_byte)


def test_of_conversations_the_answers_are_evaluated_where_the_run_learns_answers(
    prepared: Path, uniform: tuple[Project, Project], tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "talk")
    project = Project.open(tmp_path / "talk")
    add_talk(project, 200)
    train(project, Job(), changes={"training.max_steps": 1, "training.loss_on": "answers"})
    found = evaluate(project, Job())
    with open_tokens(project.processed) as tokens:
        counted = tokens.in_answer("validation", np.arange(len(tokens.validation)))
        targets = tokens.validation[counted].tolist()
    tokenizer = tokenizer_of(project)
    text = tokenizer.decode(token for token in targets if token not in tokenizer.markers.values())
    assert (found.answers_only, found.tokens, found.bytes) == (True, len(targets), len(text.encode()))
    other = uniform[1]  # with another tokenizer, the bytes of the answers are the same
    saved = checkpoint.listed(registry.folder(other, "run-1"))[-1]
    checkpoint.save(
        tmp_path / "answers", saved.state, saved.settings().replaced({"training.loss_on": "answers"}),
        saved.tokenizer_json(), dict(saved.weights()), dict(saved.moments()),
    )  # fmt: skip
    again = evaluate(project, Job(), str(tmp_path / "answers" / "step-000001"))
    assert (again.answers_only, again.bytes) == (True, found.bytes)
    size = tokenizer_of(other).vocab_size
    assert again.bits_per_byte == pytest.approx(math.log2(size) * again.tokens / again.bytes, rel=1e-6)


def test_of_long_texts_some_tokens_are_evaluated_and_this_is_said(
    trained: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(trained, Job(), max_tokens=2000)
    assert 1900 < found.tokens <= 2000 < found.available_tokens
    assert found.bits_per_byte == pytest.approx(evaluate(trained, Job()).bits_per_byte, rel=0.1)
    assert main(["evaluate", str(trained.root), "--max-tokens", "2000"]) == DONE
    assert f"{found.tokens:,} of {found.available_tokens:,}, evenly spread" in capsys.readouterr().out


def test_an_evaluation_can_be_cancelled(trained: Project) -> None:
    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        evaluate(trained, job)


def test_the_command_prints_the_figures(trained: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(TEXT.encode())
    arguments = ["evaluate", str(trained.root), "--checkpoint", "run-1/last", "--texts", str(file)]
    assert main([*arguments, "--json"]) == DONE
    *others, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in others} == {"progress"}
    figures = last["figures"]
    assert (figures["checkpoint"], figures["bytes"]) == ("run-1/step-000030", len(TEXT.encode()))
    assert main(arguments) == DONE
    assert f"Bits per byte   {figures['bits_per_byte']:.3f}" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe", "not UTF-8"), (b"", "no text to evaluate")])
def test_a_file_without_text_is_explained(
    trained: Project, tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.txt").write_bytes(content)
    assert main(["evaluate", str(trained.root), "--texts", str(tmp_path / "file.txt")]) == PROBLEM
    assert said in capsys.readouterr().err
