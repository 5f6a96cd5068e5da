"""Quality of generated texts: their figures compared with those of held-out documents, and the verdict in words."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from llm_studio.cli.app import DONE, main
from llm_studio.data.corpus.occurrences import Occurrences
from llm_studio.data.corpus.words import letter_words, whole_words
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.decoding import decoded
from llm_studio.errors import Cancelled
from llm_studio.events import Event, Progress
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation.verdict import Verdict, WritingFigures, common_words, figures, verdict_of
from llm_studio.workflows.generation.writing_quality import FILE, writing_quality
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train

NAMES = [
    first + last
    for first in ("Bel", "Cor", "Dan", "Fae", "Gil", "Hol", "Jun", "Kim")
    for last in ("a", "in", "or", "ette", "us")
]
THINGS = [
    first + last
    for first in ("boat", "ston", "lant", "kett", "drum", "feath", "mirr", "candl")
    for last in ("er", "le", "ing", "on", "ia")
]


def story(chance: random.Random) -> str:
    """Six sentences about one person and one thing."""
    name, thing = chance.choice(NAMES), chance.choice(THINGS)
    lines = [
        f"One day {name} found a {thing} under the old tree.", f"The {thing} was very small and it was cold.",
        f"So {name} took the {thing} home and put it by the fire.", f"In the night the {thing} began to sing.",
        f"Then {name} was happy and did not sleep at all.", f"And {name} kept the {thing} for ever and ever.",
        f"In the end all the children came to see the {thing}.", f"They said that {name} was their best friend.",
    ]  # fmt: skip
    chance.shuffle(lines)
    return " ".join(lines)


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    chance = random.Random(0)
    return [story(chance) for _count in range(400)]


HELD_OUT = [story(random.Random(1000 + seed)) for seed in range(40)]


def measured(texts: list[str], corpus: list[str]) -> tuple[WritingFigures, WritingFigures]:
    """The figures of `texts` and of the held-out ones."""
    held_out = [letter_words(text) for text in HELD_OUT]
    known = Occurrences([*map(letter_words, texts), *held_out])
    for text in corpus:
        known.read(letter_words(text), ends=True)
    common = common_words(held_out)
    return figures(texts, known, common), figures(HELD_OUT, known, common)


def judged(texts: list[str], corpus: list[str]) -> Verdict:
    return verdict_of(*measured(texts, corpus))


def random_letters(chance: random.Random) -> str:
    return "".join(chance.choice("abcdefghijklmnopqrstuvwxyz    .") for _count in range(500))


def shuffled_words(chance: random.Random) -> str:
    words = story(chance).split()
    chance.shuffle(words)
    return " ".join(words)


def mixed_sentences(chance: random.Random) -> str:
    """Sentences that each come from a different story."""
    return " ".join(chance.choice(story(chance).split(". ")).rstrip(".") + "." for _count in range(8))


def looping_sentence(chance: random.Random) -> str:
    return (story(chance).split(". ")[0] + ". ") * 9


def loop(_chance: random.Random) -> str:
    return "the " * 80


def nothing(_chance: random.Random) -> str:
    return ""


def digits(_chance: random.Random) -> str:
    return "123 456. " * 20


KINDS = [
    (random_letters, "letters"), (shuffled_words, "words"), (mixed_sentences, "sentences"), (story, "stories"),
    (loop, "words"), (looping_sentence, "words"), (nothing, "letters"),
    (digits, "letters"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "verdict"), KINDS)
def test_each_kind_of_text_is_called_what_it_is(kind: object, verdict: Verdict, corpus: list[str]) -> None:
    assert callable(kind)
    texts = [str(kind(random.Random(5000 + seed))) for seed in range(30)]
    assert judged(texts, corpus) == verdict


def test_texts_whose_ends_have_nothing_to_do_with_their_beginnings_have_no_cohesion() -> None:
    """With as few texts as a model writes for long documents, some pairs of rare words match in any of them."""
    words = [f"{first}{last}" for first in NAMES for last in THINGS[:8]]
    found: list[float] = []
    for seed in range(60):
        chance = random.Random(seed)
        texts = [" ".join(words[min(int(chance.expovariate(0.02)), 319)] for _word in range(60)) for _text in range(12)]
        split = [letter_words(text) for text in texts]
        found.append(figures(texts, Occurrences(split), frozenset()).cohesion)
    assert sum(cohesion >= 0.02 for cohesion in found) <= 3


def test_words_are_runs_of_letters_in_any_case_and_script() -> None:
    assert letter_words("L’Été, 3 ÉTÉS; STRASSE Straße x2y") == ["l", "été", "étés", "strasse", "strasse", "x", "y"]
    assert letter_words("漢字 kana") == ["漢", "字", "kana"]


def test_a_text_that_was_cut_out_of_another_is_read_in_whole_words() -> None:
    text = "The small dog, Élodie's 3 boats. 漢字は one"
    for start in range(len(text)):
        for end in range(start, len(text) + 1):
            found = letter_words(whole_words(text[start:end], text[:start]))
            assert set(found) <= set(letter_words(text)), (text[:start], text[start:end])
    assert letter_words(whole_words("og barks at the ca", "The d")) == ["dog", "barks", "at", "the"]


def test_words_that_were_cut_in_two_are_not_invented_ones(tmp_path: Path, corpus: list[str]) -> None:
    """Every word of the held-out documents also occurs in the others, but with so few tokens, their fragments don't."""
    (tmp_path / "texts.txt").write_text("\n***\n".join(corpus), encoding="utf-8")
    project = projects.new_project(tmp_path / "project", "nano", "en")
    changes = {"model.vocab_size": 300, "training.max_steps": 1, "training.threads": 1, "data.validation_share": 0.1}
    projects.change_settings(project, changes)
    sources.add_files(project, tmp_path / "texts.txt", Job(), separator="***")
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    train(project, Job())
    assert writing_quality(project, Job()).held_out.real_words == 1.0


def test_sequences_are_found_wherever_the_corpus_is_cut_but_never_across_documents() -> None:
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]
    for cut in range(len(words) + 1):
        known = Occurrences([words, ["k", "x"]])
        known.read(words[:cut])
        known.read(words[cut:], ends=True)
        known.read(["x"], ends=True)
        assert known.known_words([words, ["x"]]) == 1
        assert [known.known_sequences([words], length) for length in (2, 3, 8)] == [1, 1, 1]
        assert known.copied([words]) == 1
        assert known.known_sequences([["k", "x"]], 2) == 0
    assert Occurrences([words]).known_words([words]) == 0


def test_the_copied_part_is_what_stands_in_sequences_of_eight_words() -> None:
    source = [f"w{chr(97 + place)}" for place in range(20)]
    text = [*source[4:12], "new", *source[:7]]
    known = Occurrences([text])
    known.read(source, ends=True)
    assert known.copied([text]) == 8 / 16


def test_decoding_gives_every_document_back_without_special_tokens(prepared: Path) -> None:
    tokenizer = Tokenizer.load(Project(prepared).tokenizer_file)
    texts = ["Once upon a time, été. 漢字", "a" * 30_000, "", "the end\n" * 30_000]
    ids = [token for text in texts for token in (*tokenizer.encode(text), tokenizer.end_of_text)]
    found, whole = [""], ""
    for text, ends in decoded(np.array(ids), tokenizer):
        whole = found.pop() + text
        found += [whole, ""] if ends else [whole]
    assert found[: len(texts)] == texts
    assert "".join(found[len(texts) :]) == ""


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job())
    return Project.open(root)


def test_a_model_is_measured_once_and_another_checkpoint_again(trained: Project) -> None:
    events: list[Event] = []
    found = writing_quality(trained, Job(events.append), "run-1")
    assert found.verdict in ("letters", "words")
    assert found.own.words >= 2000
    assert found.held_out.real_words > found.own.real_words
    assert len(found.samples) == 10
    assert any(isinstance(event, Progress) for event in events)
    events.clear()
    assert writing_quality(trained, Job(events.append), "run-1") == found
    assert not events
    other = writing_quality(trained, Job(events.append), "run-1/5")
    assert events
    assert other != found
    assert writing_quality(trained, Job(), "run-1") == found
    file = registry.folder(trained, "run-1") / FILE
    file.write_text('{"version": 1, "measured": {"a": 3, "b": {"checkpoint": "poems"}}}')
    events.clear()
    assert writing_quality(trained, Job(events.append), "run-1") == found
    assert events


def test_it_can_be_cancelled(trained: Project) -> None:
    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        writing_quality(trained, job, "run-1/20")


def test_the_command_shows_verdict_figures_and_texts(
    trained: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(trained.root), "--writing"]) == DONE
    shown = capsys.readouterr().out
    assert "It writes" in shown
    assert "Real words" in shown
    assert main(["evaluate", str(trained.root), "--writing", "--json"]) == DONE
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["figures"]["verdict"] in ("letters", "words")
    assert 0 < done["figures"]["own"]["real_words"] < 1
    (tmp_path / "a.txt").write_text("text")
    assert main(["evaluate", str(trained.root), "--writing", "--texts", str(tmp_path / "a.txt")]) != DONE


@pytest.mark.slow
def test_a_model_learns_letters_then_words_then_sentences(tmp_path: Path) -> None:
    """A real run on the built-in stories: after one step, a few, and two hundred."""
    project = projects.new_project(tmp_path / "project", "nano", "en")
    steps = {"training.max_steps": 200, "training.warmup_steps": 20, "training.checkpoint_minutes": 0.0}
    projects.change_settings(project, {"training.threads": 1, "training.eval_interval": 200, **steps})
    sources.add_stories(project, "en", 3000, Job())
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    train(project, Job(), run="a")
    found = [writing_quality(project, Job(), f"a/{step}") for step in ("1", "23", "200")]
    assert [one.verdict for one in found] == ["letters", "words", "sentences"]
    assert found[2].own.real_words > 0.95 > found[0].own.real_words
