"""The code of a model that was trained on conversations: answers only, and a source that is left out."""

import shutil
from pathlib import Path

import pytest

from llm_studio.config.yaml_file import dump
from llm_studio.export.code_project import FORMAT
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import locate
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.training.train import train
from tests.export.code_scripts import copied, run, train_like_the_program
from tests.export.test_code_project import assert_clean
from tests.talk import add_talk
from tests.web.models import refresh


@pytest.fixture(scope="module")
def talking(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project with conversations, after 20 of 30 steps on their answers alone; the stories are left out."""
    root = tmp_path_factory.mktemp("talking") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    add_talk(project, 200)
    changes = {
        "training.max_steps": 30, "training.loss_on": "answers", "training.precision": "float32",
        "training.gradient_accumulation_steps": 2, "data.weights.stories-en": 0,
    }  # fmt: skip
    job = Job(lambda event: job.request_stop() if getattr(event, "step", 0) >= 20 else None)
    train(project, job, run="talk", changes=changes)
    return project


@pytest.fixture(scope="module")
def exported(talking: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its code, with the tokens and the texts."""
    target = tmp_path_factory.mktemp("out") / "code"
    FORMAT.write(locate(talking, "talk/last"), target, {"with_tokens": True, "with_texts": True}, Job())
    return target


def test_it_answers_what_the_program_answers(talking: Project, exported: Path) -> None:
    assert_clean(exported)
    generator = load_generator(talking, Job(), checkpoint="talk/last")
    sampling = generator.settings_with({"seed": 4, "max_tokens": 30})
    expected = generator.generate("Who is Tom?", Job(), sampling, chat=True)
    options = ("--seed", "4", "--max-tokens", "30")
    assert run(exported, "scripts/generate.py", "--chat", "Who is Tom?", *options) == expected + "\n"
    expected = generator.generate("Tom is", Job(), sampling)
    assert run(exported, "scripts/generate.py", "--prompt", "Tom is", *options) == "Tom is" + expected + "\n"


def test_a_stop_string_of_the_project_ends_a_text(talking: Project, tmp_path: Path) -> None:
    generator = load_generator(talking, Job(), checkpoint="talk/last")
    whole = generator.generate("Tom is", Job(), generator.settings_with({"seed": 4, "max_tokens": 40}))
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    root = shutil.copytree(talking.root, tmp_path / "project")
    model = locate(Project.open(root), "talk/last")
    (model.path / "config.yaml").write_text(dump(model.settings().replaced({"generation.stop": [stop]})), "utf-8")
    refresh(model.path)
    FORMAT.write(locate(Project.open(root), "talk/last"), tmp_path / "code", {}, Job())
    assert_clean(tmp_path / "code")
    written = run(tmp_path / "code", "scripts/generate.py", "--prompt", "Tom is", "--seed", "4", "--max-tokens", "40")
    assert written == "Tom is" + whole[: whole.index(stop)] + "\n"


def test_it_goes_on_learning_from_answers_as_the_program_does(
    talking: Project, exported: Path, tmp_path: Path
) -> None:  # fmt: skip
    train_like_the_program(talking, "talk", copied(exported, tmp_path), tmp_path)


_COMPARE = """
import json
import numpy as np
from scripts.prepare_data import targets
from src.data.tokenizer import Tokenizer

tokenizer, found, text = Tokenizer(), [], []
kind = json.load(open("data/processed/meta.json", encoding="utf-8"))["dtype"]
ids = np.fromfile("data/processed/train.bin", dtype=kind)
mask = np.unpackbits(np.fromfile("data/processed/train.mask", dtype=np.uint8), bitorder="little")[: len(ids)]
for token in ids.tolist():
    text.append(token)
    if token == tokenizer.end_of_text:
        found += targets(tokenizer, text)
        text = []
print(len(ids) - len(found), int((np.array(found) != mask).sum()))
"""


def test_which_tokens_are_learned_is_decided_as_in_the_program(exported: Path) -> None:
    assert run(exported, "-c", _COMPARE).split() == ["0", "0"]


def test_texts_can_be_prepared_again(exported: Path, tmp_path: Path) -> None:
    here = copied(exported, tmp_path)
    assert "tokens to learn from" in run(here, "scripts/prepare_data.py")
    assert "step 23 of 23" in run(here, "scripts/train.py", "--steps", "3")
