"""Tokenizers made before 29 November 2026 split texts like GPT-2: their projects work as before."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers

from llm_studio import files
from llm_studio.config import SPECIAL_TOKENS, Settings
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.training.train import train

TEXT = "“Wait!”\nsaid Tom (the 2nd), “it's 1984.”\r\n\r\nNot 'T’S.\tl'eau…\n"


def older(split_digits: bool) -> Library:
    """A tokenizer as made by earlier versions of the program."""
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library = Library(models.BPE())
    library.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]) if split_digits else words
    )
    library.decoder = decoders.ByteLevel()
    library.train_from_iterator(
        [*generate_stories("en", 300), TEXT * 20],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    return library


@pytest.fixture
def older_project(project: Project) -> Project:
    """A project with the tokenizer that an earlier version trained on these texts, and its tokens."""
    tokenizer = Tokenizer.from_json(older(True).to_str())
    tokenizer.save(project.tokenizer_file)
    settings = project.settings()
    inputs = projects.tokenizer_inputs(settings, Corpus(project.raw, settings.data).fingerprint())
    files.write_json(project.tokenizer_meta, {
        "version": 1, "asked": 400, "vocab_size": 400, "fingerprint": tokenizer.fingerprint,
        "characters_per_token": 3.0, "tokens_per_word": 1.6, "inputs": inputs,
    })  # fmt: skip
    return project


def test_the_fingerprint_of_a_tokenizers_settings_is_that_of_earlier_versions() -> None:
    """Otherwise the tokenizer of every project would be out of date."""
    known = "1616f81c904a0a0e603e91d562226803eeca83364829f852ed50850395e977ac"
    assert projects.tokenizer_inputs(Settings(), "corpus")["settings"] == known


@pytest.mark.parametrize("split_digits", [True, False])
def test_an_older_tokenizer_gives_the_same_ids(split_digits: bool, tmp_path: Path) -> None:
    library = older(split_digits)
    (tmp_path / "tokenizer.json").write_text(library.to_str(), encoding="utf-8")
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    text = TEXT * 1000  # longer than a chunk encoded at once
    assert tokenizer.encode(text) == library.encode(text, add_special_tokens=False).ids
    assert [tokenizer.decode([token]) for token in tokenizer.encode("1984")][-1] in ("4", "1984", "84", "984")


def test_a_project_with_an_older_tokenizer_is_up_to_date_and_trains_and_generates(older_project: Project) -> None:
    heard: list[Event] = []
    assert projects.steps(older_project).tokenizer is State.READY
    prepare_tokens(older_project, Job(heard.append))
    assert not [event for event in heard if isinstance(event, Notice)]
    assert projects.steps(older_project).tokens is State.READY

    library = older(True)
    library.encode_special_tokens = True
    corpus = Corpus(older_project.raw, older_project.settings().data)
    expected: list[int] = []
    for span in corpus.plan(Job()).texts("train"):
        expected += [*library.encode(span.text, add_special_tokens=False).ids, 0]
    with open_tokens(older_project.processed) as tokens:
        assert np.array_equal(np.array(tokens.train), expected)

    train(older_project, Job(), changes={"training.max_steps": 3})
    generator = load_generator(older_project, Job())
    assert generator.generate("Once upon", Job(), generator.settings_with({"max_tokens": 5}))
    assert projects.steps(older_project).tokenizer is State.READY
