"""Chats are kept in the project: whole, in order, undeletable by accident, and never read where they are damaged."""

import json
import os
from pathlib import Path

import pytest

from llm_studio.errors import BusyError, ProjectError
from llm_studio.events import TokenWritten
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.generate import TextGenerator, answer, load_generator, points
from llm_studio.workflows.generation.next_token import PRESETS
from llm_studio.workflows.training.train import train

TOKEN = chats.Token(5, " é", 0.25, ((" a", 0.5), (" é", 0.25)))


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    import shutil

    root = tmp_path_factory.mktemp("chats") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="a")
    return project


@pytest.fixture(scope="module")
def writer(trained: Project) -> TextGenerator:
    return load_generator(trained, Job())


def a_chat(*prompts: str) -> chats.Chat:
    chat = chats.new()
    for prompt in prompts:
        chat = chat.followed_by(chats.Turn(prompt, " é", (TOKEN,), 1, 0.5, 42, "a/step-000030"))
    return chat


def test_what_is_kept_is_read_again(project: Project) -> None:
    assert chats.listed(project) == [] and chats.newest(project) is None
    first, second = chats.write(project, a_chat("Once", " upon")), chats.write(project, a_chat("Il était"))
    os.utime(project.root / "chats" / f"{first.id}.json", (1, 1))
    assert chats.read(project, first.id) == first and chats.newest(project) == second
    assert [chat.title for chat in chats.listed(project)] == ["Il était é", "Once é upon é"]
    assert not any(chat.favourite for chat in chats.listed(project))
    chats.write(project, first.marked(1, True))
    assert [chat.favourite for chat in chats.listed(project)] == [True, False]


def test_a_deleted_chat_can_be_put_back(project: Project) -> None:
    chat = chats.write(project, a_chat("Once"))
    gone = chats.delete(project, chat.id)
    assert chats.listed(project) == []
    with pytest.raises(ProjectError, match="gone, or its file"):
        chats.read(project, chat.id)
    assert chats.read(project, chats.write(project, gone).id) == chat


def test_damaged_and_newer_chats_are_refused_and_left_out_of_the_list(project: Project) -> None:
    chat = chats.write(project, a_chat("Once"))
    path = project.root / "chats" / f"{chat.id}.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for damaged in ({**whole, "turns": [{}]}, {**whole, "turns": None}, [], {**whole, "turns": [{"tokens": [[1]]}]}):
        path.write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(ProjectError, match="damaged"):
            chats.read(project, chat.id)
    path.write_text(json.dumps({**whole, "version": 99}), encoding="utf-8")
    with pytest.raises(ProjectError, match="newer LLM Studio"):
        chats.read(project, chat.id)
    assert chats.listed(project) == []
    with pytest.raises(ProjectError, match="no chat"):
        chats.read(project, "../../config/config")


def test_only_the_last_tokens_are_kept_one_by_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chats, "MOST_TOKENS", 2)
    chat = chats.write(project, a_chat("a", "b", "c"))
    read = chats.read(project, chat.id)
    assert [len(turn.tokens) for turn in read.turns] == [0, 1, 1]
    assert read.text == chat.text


def test_two_windows_do_not_write_chats_at_once(project: Project) -> None:
    with project.writing("chats"), pytest.raises(BusyError):
        chats.write(project, a_chat("Once"))


@pytest.mark.parametrize(
    ("before", "prompt", "joined"),
    [("", "Il", "Il"), ("chêne.", "Elle", " Elle"), ("chêne. ", "Elle", "Elle"), ("un", ", deux", ", deux"),
     ("dit :", "« Oui", " « Oui"), ("« ", "Oui", "Oui"), ("a\n", "b", "b"), ("a", "\nb", "\nb"), ("a", "", "")],
)  # fmt: skip
def test_a_prompt_gets_the_space_that_it_needs(before: str, prompt: str, joined: str) -> None:
    assert chats.joined(before, prompt) == joined


def test_an_answer_is_what_the_command_line_would_write_and_is_kept(trained: Project, writer: TextGenerator) -> None:
    how = writer.settings_with({"max_tokens": 30, "seed": 3, "temperature": 1.5})
    said: list[TokenWritten] = []
    job = Job(lambda event: said.append(event) if isinstance(event, TokenWritten) else None)
    chat = answer(trained, writer, chats.new(), "Once", how, job)
    (turn,) = chat.turns
    assert turn.text == writer.write("Once", Job(), how) == "".join(token.text for token in turn.tokens)
    assert (turn.count, turn.seed, turn.model) == (len(turn.tokens), 3, writer.name) and turn.seconds > 0
    assert [event.token for event in said] == [token.id for token in turn.tokens]
    assert chats.read(trained, chat.id).text == chat.text
    for token in turn.tokens:
        chances = dict(token.alternatives)
        assert len(token.alternatives) == 5 and max(chances.values()) >= token.probability > 0
        assert list(chances.values()) == sorted(chances.values(), reverse=True)


def test_going_on_makes_the_last_answer_longer(trained: Project, writer: TextGenerator) -> None:
    how = writer.settings_with({"max_tokens": 5, "seed": 3})
    chat = answer(trained, writer, chats.new(), "Once", how, Job())
    longer = answer(trained, writer, chat, None, how, Job())
    (turn,) = longer.turns
    assert turn.text.startswith(chat.turns[0].text) and turn.count == 10 == len(turn.tokens)
    assert turn.text[len(chat.turns[0].text) :] == writer.write(chat.text, Job(), how)
    more = answer(trained, writer, longer, " And", how, Job())
    assert more.turns[1].text == writer.write(longer.text + " And", Job(), how)


def test_what_is_stopped_is_kept(trained: Project, writer: TextGenerator) -> None:
    job = Job(lambda event: isinstance(event, TokenWritten) and job.request_stop())  # type: ignore[arg-type]
    chat = answer(trained, writer, chats.new(), "Once", writer.settings_with({"seed": 3}), job)
    assert chat.turns[0].count == 1 and chats.read(trained, chat.id).turns[0].count == 1


def test_the_sampler_cuts_what_its_settings_say(trained: Project, writer: TextGenerator) -> None:
    found = writer.next_token("Once upon")
    plain = writer.settings_with({"temperature": 1.0, "top_k": 0, "top_p": 1.0})
    free = found.under(plain)
    assert free.kept == free.total == 400 and len(free.first) == 10
    assert all(abs(c.own - c.drawn) < 1e-6 for c in free.first)
    three = found.under(plain.model_copy(update={"top_k": 3}))
    assert three.kept == 3 and [c.kept for c in three.first] == [True] * 3 + [False] * 7
    assert sum(c.drawn for c in three.first) == pytest.approx(1)
    assert [c.own for c in three.first] == [c.own for c in free.first]
    greedy = found.under(plain.model_copy(update={"temperature": 0.0}))
    assert greedy.kept == 1 and greedy.first[0].drawn == 1
    for preset in PRESETS.values():
        assert found.under(writer.settings_with({**preset, "top_k": int(preset["top_k"])})).kept >= 1


def test_every_step_that_is_offered_can_be_loaded(trained: Project) -> None:
    (of_run,) = points(trained)
    assert of_run.run == "a" and of_run.last == 30 and {0, 1, 2, 30} <= set(of_run.steps)
    how = load_generator(trained, Job()).settings_with({"max_tokens": 3, "seed": 1})
    for step in of_run.steps:
        writer = load_generator(trained, Job(), "a", str(step))
        assert writer.name == f"a/step-{step:06d}"
        writer.write("Once", Job(), how)
