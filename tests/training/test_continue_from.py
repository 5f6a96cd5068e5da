"""A new run can begin with the weights of another; then its model can be made to chat."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_studio.data.sources.conversations import ASSISTANT, END, USER
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import CheckpointError, ProjectError, TrainingError
from llm_studio.events import Notice
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry, snapshots
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.generate import answer, load_generator
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train
from tests.talk import add_talk
from tests.training.test_resume import DieAt, StopAt, assert_same_weights

SHORT = {"training.max_steps": 4, "training.warmup_steps": 1, "training.learning_rate": 1e-3}


@pytest.fixture(scope="module")
def based(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("based") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job(), run="base", changes={"training.max_steps": 12})
    return root


@pytest.fixture
def base(based: Path, tmp_path: Path) -> Project:
    shutil.copytree(based, tmp_path / "base")
    return Project.open(tmp_path / "base")


def test_it_begins_with_those_weights_at_step_0_with_a_schedule_of_its_own(base: Project) -> None:
    made = train(base, Job(), run="more", continue_from="base/step-000010", changes=SHORT).run
    assert (made.continued_from, made.step, made.max_steps) == ("base/step-000010", 4, 4)
    assert replace(registry.read(base, "more"), bytes=0) == made
    origin = checkpoint.read(base.checkpoints / "base" / "step-000010")
    begun = snapshots.read(snapshots.listed(base.checkpoints / "more")[0])
    assert all(torch.equal(begun[name].half(), tensor.half()) for name, tensor in origin.weights().items())
    assert origin.state.step == 10  # and is as it was
    checkpoint.verify(origin)


@pytest.mark.parametrize("stop", [1, 3])
def test_it_resumes_bit_for_bit_even_when_its_origin_is_gone(base: Project, stop: int) -> None:
    train(base, Job(), run="whole", continue_from="base", changes=SHORT)
    with pytest.raises(RuntimeError, match="killed"):
        train(base, Job(DieAt(stop)), run="parts", continue_from="base", changes=SHORT)
    registry.delete(base, "base")
    train(base, Job(), run="parts", resume=True)
    assert_same_weights(base, "whole", "parts")
    assert registry.read(base, "parts").continued_from.startswith("base/step-0000")


def test_one_that_had_not_saved_what_it_begins_with_is_not_begun_with_others(base: Project) -> None:
    train(base, StopAt(2).job, run="a", continue_from="base", changes=SHORT)
    for saved in checkpoint.listed(base.checkpoints / "a"):
        shutil.rmtree(saved.path)
    with pytest.raises(CheckpointError, match=r"saved nothing yet.*--continue-from base/step-"):
        train(base, Job(), run="a", resume=True)


def test_a_folder_of_another_project_with_the_same_tokenizer_will_do(
    base: Project, prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "other")
    other = Project.open(tmp_path / "other")
    other.change_settings({"model.d_model": 48, "model.dropout": 0.0})
    said: list[Any] = []
    folder = base.checkpoints / "base" / "step-000010"
    made = train(other, Job(said.append), continue_from=str(folder), changes=SHORT).run
    assert made.continued_from == str(folder.resolve())
    assert made.settings["model"]["d_model"] == 32 and made.settings["model"]["dropout"] == 0.0
    assert any(isinstance(e, Notice) and "d_model = 32" in e.text for e in said)
    assert train(other, Job(), continue_from=str(folder.parent), changes=SHORT).finished  # the run's folder: its best


def test_what_does_not_fit_is_refused_in_a_sentence_and_leaves_nothing(base: Project) -> None:
    with pytest.raises(TrainingError, match=r"shape is that of the checkpoint.*model\.n_layers"):
        train(base, Job(), run="a", continue_from="base", changes={"model.n_layers": 3})
    with pytest.raises(CheckpointError, match=r"“nowhere” is neither.*base/step-000012"):
        train(base, Job(), run="a", continue_from="nowhere")
    with pytest.raises(CheckpointError):
        train(base, Job(), run="a", continue_from=str(base.raw))
    with pytest.raises(ProjectError, match="--resume"):
        train(base, Job(), run="base", continue_from="base", resume=True)
    newest = checkpoint.listed(base.checkpoints / "base")[-1].path / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        train(base, Job(), run="a", continue_from="base/step-000012")
    train_tokenizer(base, Job(), 300)
    prepare_tokens(base, Job())
    with pytest.raises(TrainingError, match=r"another tokenizer.*tokenizer\.json"):
        train(base, Job(), run="a", continue_from="base/step-000010")
    assert not registry.exists(base, "a")


# --- A model that chats -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chatting(based: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The base, made to chat: a few hundred steps of a tiny model."""
    root = tmp_path_factory.mktemp("chatting") / "project"
    shutil.copytree(based, root)
    project = Project.open(root)
    add_talk(project, 1500)
    train(project, Job(), run="chat", continue_from="base", changes={
        "training.loss_on": "answers", "data.weights.stories-en": 0, "training.max_steps": 250, "model.dropout": 0.0,
        "training.eval_interval": 125, "training.checkpoint_interval": 125, "training.batch_size": 16,
    })  # fmt: skip
    return project


def test_it_answers_and_stops(chatting: Project) -> None:
    assert registry.read(chatting, "chat").conversations and not registry.read(chatting, "base").conversations
    generator = load_generator(chatting, Job(), "chat")
    sampling = generator.settings_with({"temperature": 0.0, "max_tokens": 60})
    assert generator.conversations
    for question, form in (
        ("Who is Mia?", r"\w+ is a little \w+ \w+\."),
        ("Where is the red dog?", r"The \w+ \w+ is in the \w+\."),
    ):
        text = generator.generate(question, Job(), sampling, chat=True)
        assert re.fullmatch(form, text), text
        turn = generator.generate_turn(question, Job(), sampling, chat=True)
        assert (turn.text, turn.question) == (text, True) and turn.count < 60
    base = load_generator(chatting, Job(), "base")
    assert not base.conversations and base.generate("Who is Mia?", Job(), sampling, chat=True) != text


def test_a_chat_of_questions_is_read_by_the_model_as_a_conversation(chatting: Project) -> None:
    generator = load_generator(chatting, Job(), "chat")
    sampling = generator.settings_with({"temperature": 0.0, "max_tokens": 40})
    chat = answer(chatting, generator, chats.new(), chats.Turn(" Who is Tom? ", question=True), sampling, Job())
    chat = answer(chatting, generator, chat, chats.Turn("Where is the red cat?", question=True), sampling, Job())
    assert chats.read(chatting, chat.id) == chat and [turn.question for turn in chat.turns] == [True, True]
    tokenizer = Tokenizer.load(chatting.tokenizer_file)
    read = generator.next_token([chats.Turn("Who is Tom?", question=True)])
    user, assistant = tokenizer.markers[USER], tokenizer.markers[ASSISTANT]
    assert read._context == [user, *tokenizer.encode("Who is Tom?"), assistant]
    first, second = chat.turns
    ids = [user, *tokenizer.encode("Who is Tom?"), assistant, *tokenizer.encode(first.text),
           user, *tokenizer.encode("Where is the red cat?"), assistant]  # fmt: skip
    from llm_studio.inference.generate import generate

    stop = tuple(tokenizer.markers.values())
    assert second.text == tokenizer.decode(list(generate(generator._model, ids, sampling, stop)))


def test_plain_writing_of_a_chatting_model_stops_at_a_turn_too(chatting: Project) -> None:
    """Whatever is drawn, no marker is written."""
    generator = load_generator(chatting, Job(), "chat")
    for seed in range(5):
        sampling = generator.settings_with(
            {"temperature": 2.0, "top_k": 0, "top_p": 1.0, "max_tokens": 60, "seed": seed}
        )
        text = generator.generate("Tom is a little", Job(), sampling)
        assert USER not in text and END not in text


def test_the_command_line_asks_and_shows_where_a_run_comes_from(
    chatting: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    from llm_studio.cli.app import main

    root = str(chatting.root)
    assert main(["generate", root, "--chat", "Who is Ben?", "--greedy"]) == 0
    assert re.fullmatch(r"\w+ is a little \w+ \w+\.\n", capsys.readouterr().out)
    assert main(["generate", root, "--run", "base", "--chat", "Who?", "--max-tokens", "3"]) == 0
    assert "not trained on conversations" in capsys.readouterr().err
    assert main(["generate", root, "--chat", "Who?", "--prompt", "x"]) == 2
    assert main(["train", root, "--resume", "--continue-from", "base"]) == 2
    capsys.readouterr()
    assert main(["runs", root]) == 0
    assert "base/step-0000" in capsys.readouterr().out
