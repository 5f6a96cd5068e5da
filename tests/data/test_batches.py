"""Which sequences a step sees, and which an evaluation_sequences."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.data.tokens.batches import draw_sequences, evaluation_sequences
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.errors import DataError

Make = Callable[..., Tokens]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Tokens that count upwards from 0, so that a token tells its place."""

    def made(
        train: int, validation: int = 0, sources: Sequence[tuple[int, float]] = (), vocab_size: int = 100_000
    ) -> Tokens:
        """`sources`: (end, weight) of each, one after the other."""
        folder = tmp_path_factory.mktemp("tokens")
        for name, count in (("train.bin", train), ("val.bin", validation)):
            np.arange(count, dtype="<u4").tofile(folder / name)
        ranges, start = [], 0
        for end, weight in sources or [(train, 1.0)]:
            ranges.append({"name": str(end), "start": start, "end": end, "weight": weight})
            start = end
        meta = {"version": 1, "dtype": "uint32", "vocab_size": vocab_size, "tokenizer": "", "corpus": "",
                "train": {"tokens": train, "sha256": ""}, "validation": {"tokens": validation, "sha256": ""},
                "sources": ranges}  # fmt: skip
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        return open_tokens(folder)

    return made


def test_a_draw_depends_on_seed_and_step_alone(make: Make) -> None:
    tokens = make(10_000)
    first = draw_sequences(tokens, 7, 3, 16, 32)
    np.random.default_rng().random(100)
    draw_sequences(tokens, 1, 1, 5, 8)
    assert np.array_equal(draw_sequences(make(10_000), 7, 3, 16, 32), first)
    assert not np.array_equal(draw_sequences(tokens, 7, 4, 16, 32), first)
    assert not np.array_equal(draw_sequences(tokens, 8, 3, 16, 32), first)


def test_a_draw_is_the_same_with_every_version(make: Make) -> None:
    """A run that is resumed after an update of the program or of numpy sees the sequences it would have seen."""
    starts = draw_sequences(make(10_000), seed=1337, step=12, sequences=6, length=8)[:, 0].tolist()
    assert starts == [904, 1550, 4950, 1898, 7423, 7932]
    assert draw_sequences(make(10_000), seed=2**63 - 1, step=10**9, sequences=1, length=8).shape == (1, 9)


def test_a_drawn_sequence_is_a_stretch_of_the_tokens(make: Make) -> None:
    rows = draw_sequences(make(10_000), 0, 0, 64, 32)
    assert rows.shape == (64, 33)
    assert rows.dtype == np.int64
    assert (np.diff(rows, axis=1) == 1).all()


def test_every_place_is_drawn_and_none_beyond_the_end(make: Make) -> None:
    tokens = make(40)
    starts = np.concatenate([draw_sequences(tokens, 0, step, 100, 32)[:, 0] for step in range(40)])
    counts = np.bincount(starts)
    assert len(counts) == 8, "the last sequence ends with the last token"
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)


def test_a_draw_honours_tokens_and_weights(make: Make) -> None:
    tokens = make(10_000, sources=[(1000, 1.0), (3000, 3.0), (5000, 0.0), (10_000, 1.0)])
    rows = draw_sequences(tokens, 0, 0, 24_000, 8)
    found = np.histogram(rows[:, 0], bins=[0, 1000, 3000, 5000, 10_000])[0]
    expected = np.array([1000 * 1, 2000 * 3, 0, 5000 * 1]) / 12_000 * 24_000
    assert found[2] == 0
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected)).all()
    for end in (1000, 3000, 10_000):
        assert not ((rows[:, 0] < end) & (rows[:, -1] >= end)).any(), "a sequence left its source"


def test_a_source_shorter_than_a_sequence_is_drawn_whole(make: Make) -> None:
    tokens = make(1000, sources=[(990, 1e-9), (995, 1.0), (1000, 1e-9)])
    rows = draw_sequences(tokens, 0, 0, 50, 20)
    assert {(row[0], row[-1]) for row in rows.tolist()} == {(979, 999)}
    tokens = make(1000, sources=[(500, 1e-9), (510, 1.0), (1000, 1e-9)])
    assert set(draw_sequences(tokens, 0, 0, 50, 20)[:, 0].tolist()) == {500}


def test_nothing_is_seen_of_a_source_that_is_left_out(make: Make) -> None:
    """Not even behind the end of a source that is shorter than a sequence."""
    tokens = make(1000, sources=[(990, 0.0), (995, 1.0), (1000, 0.0)])
    assert (draw_sequences(tokens, 0, 0, 50, 20) == 990 + np.arange(21) % 5).all()


def test_weights_in_the_settings_multiply_those_of_the_tokens(make: Make) -> None:
    tokens = make(10_000, sources=[(5000, 2.0), (10_000, 1.0)])
    weighed = make(10_000, sources=[(5000, 1.0), (10_000, 1.5)])
    weights = {"5000": 0.5, "10000": 1.5, "not there": 7.0}
    assert (draw_sequences(tokens, 3, 4, 500, 8, weights) == draw_sequences(weighed, 3, 4, 500, 8)).all()
    assert (draw_sequences(tokens, 3, 4, 500, 8, {}) == draw_sequences(tokens, 3, 4, 500, 8)).all()
    with pytest.raises(DataError, match=r"weight 0.*data\.weights"):
        draw_sequences(tokens, 0, 0, 1, 8, {"5000": 0.0, "10000": 0.0})


def test_a_corpus_of_one_sequence_is_enough_and_less_is_refused(make: Make) -> None:
    assert draw_sequences(make(33), 0, 0, 2, 32).tolist() == [list(range(33))] * 2
    with pytest.raises(DataError, match="smaller than one context: 32 tokens, 33 are needed") as raised:
        draw_sequences(make(32), 0, 0, 2, 32)
    assert "max_seq_len" in raised.value.to_do


def test_sources_that_all_weigh_nothing_are_refused(make: Make) -> None:
    with pytest.raises(DataError, match="weight 0"):
        draw_sequences(make(100, sources=[(100, 0.0)]), 0, 0, 1, 8)


def test_a_damaged_id_never_reaches_the_model(make: Make) -> None:
    tokens = make(100, 100)
    tokens.vocab_size = 50
    with pytest.raises(DataError, match="outside the vocabulary"):
        draw_sequences(tokens, 0, 0, 200, 8)
    with pytest.raises(DataError, match="outside the vocabulary"):
        evaluation_sequences(tokens, 10, 8)


@given(validation=st.integers(2, 400), count=st.integers(1, 40), length=st.integers(1, 64))
def test_an_evaluation_predicts_no_token_twice(make: Make, validation: int, count: int, length: int) -> None:
    rows = evaluation_sequences(tokens_of(make, validation), count, length)
    assert rows.shape[1] == min(length + 1, validation)
    assert (np.diff(rows, axis=1) == 1).all()
    predicted = rows[:, 1:].ravel()
    assert len(set(predicted.tolist())) == len(predicted)
    assert predicted.max() < validation
    possible = (validation - 1) // min(length, validation - 1)
    assert len(rows) == min(count, possible), "as many sequences as there is room for"


_made: dict[int, Tokens] = {}


def tokens_of(make: Make, validation: int) -> Tokens:
    if validation not in _made:
        _made[validation] = make(0, validation)
    return _made[validation]


def test_an_evaluation_reaches_from_the_first_token_to_the_last(make: Make) -> None:
    rows = evaluation_sequences(make(0, 1000), 5, 20)
    assert rows[:, 0].tolist() == [0, 244, 489, 734, 979]
    assert rows[-1, -1] == 999


def test_an_evaluation_without_text_is_refused(make: Make) -> None:
    for count in (0, 1):
        with pytest.raises(DataError, match="There is no validation text"):
            evaluation_sequences(make(100, count), 5, 20)
