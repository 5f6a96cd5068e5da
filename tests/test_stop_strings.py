"""A generated text ends before the first stop string: no part of it is shown, and no text before it is lost."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.cli.app import DONE, main
from llm_studio.config import Settings
from llm_studio.errors import ConfigError
from llm_studio.events import Event, TextWritten, TokenWritten
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.generate import answer, load_generator
from llm_studio.workflows.generation.stop_strings import StopStrings, escaped, unescaped
from llm_studio.workflows.training.train import train

pieces = st.lists(st.text("ab\n", max_size=4), max_size=12)
stops = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)


def cut(text: str, strings: list[str]) -> str:
    """The text before the stop string that is completed first (the longest, if several are), by brute force."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in strings if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)]
    return text


@given(pieces, stops)
def test_the_text_ends_before_the_first_stop_string_however_it_comes(given: list[str], strings: list[str]) -> None:
    stopping = StopStrings(strings)
    found = list(stopping.until(enumerate(given)))
    whole = "".join(given)
    assert "".join(text for _place, text in found) == cut(whole, strings)
    assert bool(stopping.found) == (cut(whole, strings) != whole)
    assert all(text == given[place] for place, text in found[:-1]), "each piece is whole but the last one"
    assert [place for place, _text in found] == list(range(len(found)))


@given(pieces, stops)
def test_only_what_may_begin_a_stop_string_is_held_back(given: list[str], strings: list[str]) -> None:
    shown, shown_before = "", list[str]()

    def coming() -> Iterator[tuple[int, str]]:
        for place, piece in enumerate(given):
            shown_before.append(shown)
            yield place, piece

    for _place, text in StopStrings(strings).until(coming()):
        shown += text
    for count, before in enumerate(shown_before):
        came = "".join(given[:count])
        begun = max(n for n in range(len(came) + 1) if n == 0 or any(stop.startswith(came[-n:]) for stop in strings))
        whole = ["".join(given[:n]) for n in range(count + 1)]
        assert before == max((text for text in whole if len(text) <= len(came) - begun), key=len)


@given(pieces, stops)
def test_a_text_that_was_stopped_goes_past_the_stop_string_it_begins_with(given: list[str], strings: list[str]) -> None:
    whole = "".join(given)
    shown = "".join(text for _place, text in StopStrings(strings, past_first=True).until(enumerate(given)))
    assert shown == whole[:1] + cut(whole[1:], strings)


@given(st.text("a\\nt\n\t"))
def test_a_stop_string_is_typed_on_one_line(text: str) -> None:
    assert unescaped(escaped(text)) == text and "\n" not in escaped(text)


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.from_dict({"generation": {"stop": ["ok", ""]}})
    assert [str(problem.message) for problem in refused.value.problems] == ["must not be empty"]


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    import shutil

    root = tmp_path_factory.mktemp("stops") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="a")
    return project


def test_a_stopped_answer_ends_before_it_and_continues_past_it(trained: Project) -> None:
    generator = load_generator(trained, Job())
    free = generator.settings_with({"max_tokens": 30, "seed": 3, "temperature": 1.5})
    whole = generator.generate("Once", Job(), free)
    stop = whole[11:13]
    stopping = free.model_copy(update={"stop": (stop,)})
    events: list[Event] = []
    (turn,) = answer(trained, generator, chats.new(), chats.Turn("Once"), stopping, Job(events.append)).turns
    assert turn.text == whole[: whole.index(stop)] == generator.generate("Once", Job(), stopping)
    assert turn.notes == (chats.STOPPED,)
    written = [event.text for event in events if isinstance(event, TextWritten | TokenWritten)]
    assert "".join(written) == turn.text == "".join(token.text for token in turn.tokens)
    greedy = stopping.model_copy(update={"temperature": 0.0, "stop": (generator.generate(
        "Once" + turn.text, Job(), free.model_copy(update={"temperature": 0.0}))[0],)})  # fmt: skip
    (longer,) = answer(trained, generator, chats.new(), turn, greedy, Job()).turns
    assert len(longer.text) > len(turn.text), "the next character is the stop string: it doesn't stop again at once"


def test_stop_strings_of_the_command_line(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(trained.root), "--prompt", "Once", "--seed", "3", "--max-tokens", "40", "--temperature",
               "1.5"]  # fmt: skip
    assert main(command) == DONE
    whole = capsys.readouterr().out.removesuffix("\n").removeprefix("Once")
    stops = [whole[20:22], whole[9:11]]
    first = min(whole.index(stop) for stop in stops)
    typed = [f"--stop={escaped(stop)}" for stop in stops]
    assert main([*command, *typed, "--json"]) == DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["figures"]["text"] == whole[:first]
    assert "".join(line["text"] for line in lines[1:] if line["event"] == "text") == whole[:first]
    assert main(["config", str(trained.root), "--set", 'generation.stop=["\\n\\n", "FIN"]']) == DONE
    assert trained.settings().generation.stop == ("\n\n", "FIN")
    trained.change_settings({"generation.stop": ()})
    assert trained.settings().generation.stop == ()
