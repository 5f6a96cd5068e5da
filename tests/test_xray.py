"""The X-ray of the next token: its candidates, and the text after a click on one."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, main
from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import FILTERS, MODEL, PENALTIES
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.generate import TextGenerator, answer, load_generator
from llm_studio.workflows.training.train import train

HOT = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("xray") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="a")
    return project


@pytest.fixture(scope="module")
def generator(trained: Project) -> TextGenerator:
    return load_generator(trained, Job())


def finished(generator: TextGenerator) -> chats.Turn:
    """A text that the model ended itself."""
    for seed in range(100):
        sampling = generator.settings_with({"max_tokens": 1000, "seed": seed, **HOT})
        turn = generator.generate_turn("Once", Job(), sampling)
        if chats.FINISHED in turn.notes:
            return turn
    raise AssertionError("no text ends")


def test_a_chosen_token_gives_the_text_that_would_have_been_generated(generator: TextGenerator) -> None:
    """Also if a token is only a part of a character, and from any branch."""
    for seed in range(4):
        sampling = generator.settings_with({"max_tokens": 12, "seed": seed, **HOT})
        written = generator.generate_turn("Once", Job(), sampling)
        turn = chats.Turn("Once", seconds=written.seconds, seed=seed, model=generator.name)
        for token in written.tokens:
            turn = generator.next_token([turn]).chosen(token.id)
        assert turn.text == written.text and turn.count == 12
        assert [replace(t, probability=0, alternatives=()) for t in turn.tokens] == [
            replace(t, probability=0, alternatives=()) for t in written.tokens
        ]
        assert [t.probability for t in turn.tokens] == pytest.approx([t.probability for t in written.tokens], rel=1e-3)
        tree = written.tree
        earlier = written.with_tree(tree.at(tree.node_after(5)))
        found = generator.next_token([earlier])
        other = next(c for c in found.candidates(sampling).first if c.token != written.tokens[5].id)
        branched = found.chosen(other.token)
        assert [t.id for t in branched.tokens] == [*(t.id for t in written.tokens[:5]), other.token]
        assert len(branched.tree.leaves) == 2 and written.tokens in map(branched.tree.tokens, branched.tree.leaves)


def test_a_text_that_grows_is_read_as_if_it_were_new(trained: Project, generator: TextGenerator) -> None:
    """Only new tokens are read, up to the length of the context; a different text is read from the beginning."""
    plain = generator.settings_with({"temperature": 1.0, "top_k": 0, "top_p": 1.0})
    for text in (
        "Once",
        "Once upon",
        "Once upon",
        "Once upon a time there was",
        "On",
        "Once upon a time " * 20,
        "Once",
    ):
        found = generator.next_token([chats.Turn(text)]).candidates(plain, 400).first
        alone = load_generator(trained, Job()).next_token([chats.Turn(text)]).candidates(plain, 400).first
        expected = {one.token: one.model_prob for one in alone}
        assert [one.model_prob for one in found] == pytest.approx([expected[one.token] for one in found], rel=1e-3)


def test_all_versions_are_kept_with_their_chat(trained: Project, generator: TextGenerator) -> None:
    sampling = generator.settings_with({"max_tokens": 6, "seed": 1, **HOT})
    chat = answer(trained, generator, chats.new(), chats.Turn("Once"), sampling, Job())
    (first,) = chat.turns
    again = first.with_tree(first.tree.at(0))
    assert again.text == "" and again.versions == replace(first.tree, current=0)
    chat = answer(trained, generator, replace(chat, turns=()), again, sampling.model_copy(update={"seed": 2}), Job())
    (second,) = chat.turns
    assert second.text == generator.generate("Once", Job(), sampling.model_copy(update={"seed": 2}))
    assert [second.tree.tokens(leaf) for leaf in second.tree.leaves] == [first.tokens, second.tokens]
    assert chats.read(trained, chat.id) == chat
    back = second.with_tree(second.tree.at(second.tree.leaves[0]))
    assert (back.text, back.tokens, back.notes) == (first.text, first.tokens, first.notes)
    path = trained.root / "chats" / f"{chat.id}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for nodes in ([], [[0, None, []]], [[-1, None, []], [7, [1, "a", 0.5, []], []]], [[-1, None, []], [-1, None, []]]):
        damaged = {**record, "turns": [{**record["turns"][0], "versions": {"nodes": nodes, "current": 1}}]}
        path.write_text(json.dumps(damaged), encoding="utf-8")
        with pytest.raises(Exception, match="damaged"):
            chats.read(trained, chat.id)


def test_of_many_versions_the_newest_are_kept(
    trained: Project, generator: TextGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = chats.Turn("Once")
    for seed in range(5):
        sampling = generator.settings_with({"max_tokens": 4, "seed": seed, **HOT})
        turn = generator.continue_chat([turn.with_tree(turn.tree.at(0))], Job(), sampling)
    monkeypatch.setattr(chats, "MOST_TOKENS", 9)
    chat = chats.write(trained, replace(chats.new(), turns=(turn,)))
    (kept,) = chats.read(trained, chat.id).turns
    assert kept.tokens == turn.tokens and 2 <= len(kept.tree.leaves) < 5
    assert kept.tree.tokens(kept.tree.leaves[0]) == turn.tree.tokens(turn.tree.leaves[-2])


def test_a_chat_whose_only_turn_was_undone_is_not_kept(trained: Project) -> None:
    chat = chats.write(trained, replace(chats.new(), turns=(chats.Turn("Once"),)))
    chats.write(trained, replace(chat, turns=()))
    assert chat.id not in [one.id for one in chats.listed(trained)]


def test_a_text_that_the_model_ended_continues_past_its_end(trained: Project, generator: TextGenerator) -> None:
    turn = finished(generator)
    greedy = generator.settings_with({"temperature": 0.0, "max_tokens": 3})
    found = generator.next_token([turn])
    end = next(c.token for c in found.candidates(greedy, 400).first if c.text == "(end)")
    assert found.chosen(end) == turn, "the end is where it has ended"
    longer = generator.continue_chat([turn], Job(), greedy)
    assert longer.count > turn.count and longer.text.startswith(turn.text)
    most_likely = [c.token for c in found.candidates(greedy.model_copy(update={"temperature": 1.0})).first]
    assert longer.tokens[turn.count].id == next(token for token in most_likely if token != end)
    ended = generator.next_token([longer]).chosen(end)
    assert ended.text == longer.text and ended.notes == (chats.FINISHED,)


def test_each_token_of_a_prompt_has_the_probability_that_the_model_gives_it(generator: TextGenerator) -> None:
    turns = [chats.Turn("The cat"), chats.Turn("\n\nOnce upon", " a time"), chats.Turn(" there was"), chats.Turn("")]
    found = generator.prompt_tokens(turns, Job())
    assert ["".join(token.text for token in prompt) for prompt in found] == [
        "The cat", "Once upon", " there was", "",
    ]  # fmt: skip
    plain = GenerationSettings(temperature=1.0, top_k=0, top_p=1.0)
    for number, place in ((0, 1), (1, 1), (2, 0), (2, 1)):
        prompt = found[number]
        before = "".join(token.text for token in prompt[:place])
        read = [*turns[:number], replace(turns[number], prompt=("\n\n" if number == 1 else "") + before, text="")]
        candidates = generator.next_token(read).candidates(plain, 400).first
        expected = {c.token: c.model_prob for c in candidates}[prompt[place].id]
        assert prompt[place].probability == pytest.approx(expected, rel=1e-3)
        assert prompt[place].alternatives[0][1] == pytest.approx(candidates[0].model_prob, rel=1e-3)


def test_explain_shows_what_each_filter_does(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["generate", str(trained.root), "--prompt", "Once upon", "--seed", "5", "--top-k", "4"]
    assert main([*command, "--explain", "--max-tokens", "3", "--json"]) == DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    explained = [line for line in lines if line["event"] == "explained"]
    assert len(explained) == 3
    for line in explained:
        assert line["stages"] == [MODEL, *PENALTIES, *FILTERS] and line["left"][:4] == [400, 400, 400, 4]
        drawn = next(one for one in line["candidates"] if one["token"] == line["token"])
        assert drawn["removed_by"] is None and drawn["probs"][-1] > 0
        assert sum(one["probs"][-1] for one in line["candidates"]) == pytest.approx(1, abs=1e-5)
        assert {one["removed_by"] for one in line["candidates"]} <= {None, "top_k", "top_p"}
    assert main([*command, "--max-tokens", "3"]) == DONE
    assert capsys.readouterr().out.strip() == "Once upon" + lines[-1]["figures"]["text"].rstrip()
    assert main([*command, "--explain"]) == DONE
    out = capsys.readouterr().out
    assert out.count("Drawn: ") == 1 and re.search(r"[1-4] possible tokens? of 400", out)
    assert re.search(r"token +removed by +id +Model +Penalty +Temperature +Top-k +Top-p +Min-p\n", out)
    assert "probability when drawing" in out
