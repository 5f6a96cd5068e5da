"""Chats are stored in the project: complete, in order, safe from accidental deletion, and never read if damaged."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio.config.presets import load_preset, preset_names
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
def generator(trained: Project) -> TextGenerator:
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
    with pytest.raises(ProjectError, match="This chat is gone"):
        chats.read(project, chat.id)
    assert chats.read(project, chats.write(project, gone).id) == chat


def test_damaged_and_newer_chats_are_refused_and_listed_as_such(project: Project) -> None:
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
    assert [chat.title for chat in chats.listed(project)] == [f"{path.name} can't be read"]
    assert chats.newest(project) is None
    assert chats.scan(project).unreadable == [path.name]
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


def test_an_answer_is_what_the_command_line_would_write_and_is_kept(trained: Project, generator: TextGenerator) -> None:
    sampling = generator.settings_with({"max_tokens": 30, "seed": 3, "temperature": 1.5})
    said: list[TokenWritten] = []
    job = Job(lambda event: said.append(event) if isinstance(event, TokenWritten) else None)
    chat = answer(trained, generator, chats.new(), chats.Turn("Once"), sampling, job)
    (turn,) = chat.turns
    assert turn.text == generator.generate("Once", Job(), sampling) == "".join(token.text for token in turn.tokens)
    assert (turn.count, turn.seed, turn.model) == (len(turn.tokens), 3, generator.name) and turn.seconds > 0
    assert [event.token for event in said] == [token.id for token in turn.tokens]
    assert chats.read(trained, chat.id).text == chat.text
    for token in turn.tokens:
        chances = dict(token.alternatives)
        assert len(token.alternatives) == 5 and max(chances.values()) >= token.probability > 0
        assert list(chances.values()) == sorted(chances.values(), reverse=True)


def test_continuing_a_text_is_as_if_it_had_never_stopped(trained: Project, generator: TextGenerator) -> None:
    """Also if it stops within a character, or if encoding the text again gives other tokens than the model's."""
    for seed in range(8):
        hot = {"seed": seed, "temperature": 5.0, "top_k": 0, "top_p": 1.0}
        beginning = generator.generate_turn("Once", Job(), generator.settings_with({"max_tokens": 8, **hot})).text
        greedy = {"temperature": 0.0, "repetition_penalty": 1.3}
        whole = generator.generate_turn(beginning, Job(), generator.settings_with({"max_tokens": 20, **greedy}))
        chat = chats.Chat(chats.new().id)
        turn, few = chats.Turn(beginning), generator.settings_with({"max_tokens": 5, **greedy})
        while len(turn.tokens) < 20 and chats.ENDED not in turn.notes:
            (turn,) = answer(trained, generator, chat, turn, few, Job()).turns
        assert (turn.text, [one.text for one in turn.tokens]) == (whole.text, [one.text for one in whole.tokens])
        assert turn.count == len(turn.tokens) and chats.read(trained, chat.id).turns == (turn,)


def test_what_is_stopped_is_kept(trained: Project, generator: TextGenerator) -> None:
    job = Job(lambda event: isinstance(event, TokenWritten) and job.request_stop())  # type: ignore[arg-type]
    chat = answer(trained, generator, chats.new(), chats.Turn("Once"), generator.settings_with({"seed": 3}), job)
    assert chat.turns[0].count == 1 and chats.read(trained, chat.id).turns[0].count == 1


def test_the_sampler_cuts_what_its_settings_say(trained: Project, generator: TextGenerator) -> None:
    found = generator.next_token([chats.Turn("Once upon")])
    plain = generator.settings_with({"temperature": 1.0, "top_k": 0, "top_p": 1.0})
    free = found.candidates(plain)
    assert free.kept == free.total == 400 and len(free.first) == 10
    assert all(abs(c.model_prob - c.sampling_prob) < 1e-6 for c in free.first)
    three = found.candidates(plain.model_copy(update={"top_k": 3}))
    assert three.kept == 3 and [c.kept for c in three.first] == [True] * 3 + [False] * 7
    assert sum(c.sampling_prob for c in three.first) == pytest.approx(1)
    assert [c.model_prob for c in three.first] == [c.model_prob for c in free.first]
    greedy = found.candidates(plain.model_copy(update={"temperature": 0.0}))
    assert greedy.kept == 1 and greedy.first[0].sampling_prob == 1
    for preset in PRESETS.values():
        assert found.candidates(generator.settings_with({**preset, "top_k": int(preset["top_k"])})).kept >= 1


def test_every_step_that_is_offered_can_be_loaded(trained: Project) -> None:
    (of_run,) = points(trained)
    assert of_run.run == "a" and of_run.last == 30 and {0, 1, 2, 30} <= set(of_run.steps)
    sampling = load_generator(trained, Job()).settings_with({"max_tokens": 3, "seed": 1})
    for step in of_run.steps:
        generator = load_generator(trained, Job(), "a", str(step))
        assert generator.name == f"a/step-{step:06d}"
        generator.generate("Once", Job(), sampling)


def test_another_text_is_written_as_if_nothing_were_above_it(trained: Project, generator: TextGenerator) -> None:
    sampling = generator.settings_with({"max_tokens": 12, "seed": 3})
    chat = answer(trained, generator, chats.new(), chats.Turn("A long beginning"), sampling, Job())
    chat = answer(trained, generator, chat, chats.Turn("\n\nOnce"), sampling, Job())
    assert chat.turns[1].text == generator.generate("Once", Job(), sampling)
    longer = answer(trained, generator, chat, chats.Turn(" upon"), sampling, Job())
    alone = answer(trained, generator, chats.Chat(chats.new().id, (replace(chat.turns[1], prompt="Once"),)),
                   chats.Turn(" upon"), sampling, Job())  # fmt: skip
    assert longer.turns[2].text == alone.turns[1].text
    assert longer.text.startswith("A long beginning" + chat.turns[0].text + "\n\nOnce")
    assert chats.read(trained, longer.id) == longer


def test_an_answer_says_that_it_was_cut_and_that_the_prompt_was(trained: Project, generator: TextGenerator) -> None:
    sampling = generator.settings_with({"max_tokens": 2, "seed": 3})
    turn = answer(trained, generator, chats.new(), chats.Turn("Once"), sampling, Job()).turns[0]
    assert turn.notes == (chats.LIMIT,)
    turn = answer(trained, generator, chats.new(), chats.Turn("Once upon a time " * 200), sampling, Job()).turns[0]
    assert turn.notes == (chats.PROMPT_CUT, chats.LIMIT)
    job = Job(lambda event: isinstance(event, TokenWritten) and job.request_stop())  # type: ignore[arg-type]
    long = generator.settings_with({"seed": 3})
    assert answer(trained, generator, chats.new(), chats.Turn("Once"), long, job).turns[0].notes == ()


@pytest.mark.parametrize(
    ("ids", "repeated"), [([7] * 200, True), ([1, 2, 3] * 30, True), ([*range(60), *[1, 2] * 20], True),
                          (list(range(100)), False), ([7] * 30, False), ([*[7] * 100, 8], False)],
)  # fmt: skip
def test_a_text_that_goes_round_in_circles_is_noticed(ids: list[int], repeated: bool) -> None:
    assert chats.repeats(ids) is repeated


def test_a_new_project_writes_more_than_200_tokens_unless_the_text_ends() -> None:
    assert all(load_preset(name).generation.max_tokens >= 500 for name in preset_names())
