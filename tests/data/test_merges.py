"""The merges replayed step by step end in what the library makes of a word."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.data.tokenizer.merges import MAX_WORD_BYTES, Merges
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.project import Project

_made: dict[str, tuple[Tokenizer, Merges]] = {}


@pytest.fixture(autouse=True)
def tools(prepared: Path) -> tuple[Tokenizer, Merges]:
    if "it" not in _made:
        tokenizer = Tokenizer.load(Project.open(prepared).tokenizer_file)
        _made["it"] = tokenizer, Merges(tokenizer)
    return _made["it"]


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    import tokenizers

    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    assert library.pre_tokenizer is not None
    return [text[start:end] for _word, (start, end) in library.pre_tokenizer.pre_tokenize_str(text)]


@given(st.one_of(st.text(max_size=60), st.text("the onceupa \nlitrd'", max_size=100), st.text("aé漢👧 1", max_size=40)))
def test_the_last_step_is_what_the_library_gives(text: str) -> None:
    tokenizer, merges = _made["it"]
    text = text.encode("utf-8", "replace").decode()
    for word in words(tokenizer, text):
        steps = merges.replay(word.encode())
        if len(word.encode()) <= MAX_WORD_BYTES:
            assert [merges.id_of(piece) for piece in steps[-1].symbols] == tokenizer.encode(word)


@given(st.text("the onceupa", min_size=1, max_size=60))
def test_each_step_joins_two_neighbours_of_the_one_before(word: str) -> None:
    _tokenizer, merges = _made["it"]
    steps = merges.replay(word.encode())
    assert steps[0].symbols == tuple(bytes([byte]) for byte in word.encode())
    for before, after in pairwise(steps):
        place = after.merged
        joined = before.symbols[place] + before.symbols[place + 1]
        assert after.symbols == (*before.symbols[:place], joined, *before.symbols[place + 2 :])
        assert after.rank >= 0


def test_all_merges_give_the_whole_tokenizer_and_fewer_give_more_tokens(tools: tuple[Tokenizer, Merges]) -> None:
    import tokenizers

    tokenizer, merges = tools
    library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    text = "Once upon a time, a little dragon lost 12 things in the forest."
    whole, size = merges.truncated(len(merges), library)
    half, half_size = merges.truncated(len(merges) // 2, library)
    none, none_size = merges.truncated(0, library)
    ids = [len(made.encode(text, add_special_tokens=False).ids) for made in (whole, half, none)]
    assert ids[0] == len(tokenizer.encode(text))
    assert ids[0] < ids[1] < ids[2] == len(text.encode())
    assert size == tokenizer.vocab_size
    assert none_size == merges.base_vocabulary_size() < half_size < size


def test_a_smaller_vocabulary_is_what_a_smaller_training_gives(project: Project) -> None:
    """Merges are learned in order, so the first of them are those of a training that asked for less."""
    import tokenizers

    from llm_studio.jobs import Job
    from llm_studio.workflows.tokenizer.train import train_tokenizer

    large = Tokenizer.load(project.tokenizer_file)
    train_tokenizer(project, Job(), 330)
    small = Tokenizer.load(project.tokenizer_file)
    merges = Merges(large)
    library = tokenizers.Tokenizer.from_str(large.to_json())
    cut, size = merges.truncated(330 - merges.base_vocabulary_size(), library)
    assert size == small.vocab_size == 330
    text = "Once upon a time, a little dragon lost 12 things in the forest."
    pieces = [piece.replace("\u0120", " ") for piece in cut.encode(text, add_special_tokens=False).tokens]
    assert pieces == [small.token_bytes(token).decode() for token in small.encode(text)]
