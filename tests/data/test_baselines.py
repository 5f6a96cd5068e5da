"""The losses of models that only count, against what probability theory says."""

import itertools
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_studio.data.tokens import baselines
from llm_studio.data.tokens.baselines import bigram_loss, unigram_loss
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.errors import DataError


def tokens_of(folder: Path, train: NDArray[np.int64], validation: NDArray[np.int64], vocab_size: int) -> Tokens:
    train.astype("<u2").tofile(folder / "train.bin")
    validation.astype("<u2").tofile(folder / "val.bin")
    meta = {"version": 1, "dtype": "uint16", "vocab_size": vocab_size, "tokenizer": "", "corpus": "",
            "train": {"tokens": len(train), "sha256": ""}, "validation": {"tokens": len(validation), "sha256": ""},
            "sources": [{"name": "x", "start": 0, "end": len(train), "weight": 1.0}]}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return open_tokens(folder)


def chain(transitions: NDArray[np.float64], length: int, seed: int) -> NDArray[np.int64]:
    """A Markov chain: row i of `transitions` is the distribution of what follows i."""
    uniform = np.random.default_rng(seed).random(length)
    edges = np.cumsum(transitions, axis=1)
    state, states = 0, []
    for number in uniform:
        state = min(int(np.searchsorted(edges[state], number)), len(transitions) - 1)
        states.append(state)
    return np.array(states)


def test_the_bigram_loss_of_a_markov_chain_is_near_its_entropy(tmp_path: Path) -> None:
    transitions = np.random.default_rng(1).dirichlet(np.full(20, 0.2), size=20)
    tokens = tokens_of(tmp_path, chain(transitions, 50_000, 0), chain(transitions, 50_000, 1), 20)
    stationary = np.linalg.matrix_power(transitions, 200)[0]
    logs = np.log(transitions, where=transitions > 0, out=np.zeros_like(transitions))
    entropy = -(stationary[:, None] * transitions * logs).sum()
    assert bigram_loss(tokens) == pytest.approx(entropy, abs=0.03)
    assert unigram_loss(tokens) == pytest.approx(-(stationary * np.log(stationary)).sum(), abs=0.03)
    assert bigram_loss(tokens) < unigram_loss(tokens) - 0.5


def test_independent_tokens_have_no_better_bigram_loss(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = tokens_of(tmp_path, rng.integers(0, 50, 100_000), rng.integers(0, 50, 10_000), 50)
    assert unigram_loss(tokens) == pytest.approx(math.log(50), abs=0.005)
    assert bigram_loss(tokens) == pytest.approx(math.log(50), abs=0.03)


def test_the_formulas_are_those_of_the_docstrings(tmp_path: Path) -> None:
    train, validation, size = [0, 1, 2, 0, 1, 0, 1, 3, 3, 0, 2], [1, 0, 1, 4, 2, 3, 3], 6
    tokens = tokens_of(tmp_path, np.array(train), np.array(validation), size)
    after_first = train[1:]
    unigram = [(after_first.count(w) + 1) / (len(after_first) + size) for w in range(size)]
    assert unigram_loss(tokens) == pytest.approx(-np.mean([math.log(unigram[w]) for w in validation[1:]]))

    pairs = list(itertools.pairwise(train))
    kinds = set(pairs)
    once, twice = (sum(pairs.count(kind) == times for kind in kinds) for times in (1, 2))
    discount = (once + 1) / (once + 2 * twice + 2)

    def probability(v: int, w: int) -> float:
        lower = (sum(second == w for _, second in kinds) + 1) / (len(kinds) + size)
        total = sum(first == v for first, _ in pairs)
        if total == 0:
            return lower
        rest = discount * sum(first == v for first, _ in kinds) / total
        return max(pairs.count((v, w)) - discount, 0) / total + rest * lower

    for v in range(size):
        assert sum(probability(v, w) for w in range(size)) == pytest.approx(1)
    losses = [-math.log(probability(v, w)) for v, w in itertools.pairwise(validation)]
    assert bigram_loss(tokens) == pytest.approx(np.mean(losses))


def test_counting_in_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tokens = tokens_of(tmp_path, rng.zipf(1.5, 10_001).clip(1, 99), rng.zipf(1.5, 997).clip(1, 99), 100)
    expected = unigram_loss(tokens), bigram_loss(tokens)
    monkeypatch.setattr(baselines, "_BLOCK", 1000)
    monkeypatch.setattr(baselines, "_TRAIN_BLOCKS", 10)
    assert (unigram_loss(tokens), bigram_loss(tokens)) == pytest.approx(expected, rel=1e-12)


def test_a_large_corpus_is_sampled_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves that speak differently are both counted, though not in full."""
    train = np.concatenate([np.tile([1, 2], 5000), np.tile([3, 4], 5000)])
    tokens = tokens_of(tmp_path, train, np.array([1, 2, 1, 2, 3, 4, 3, 4]), 5)
    monkeypatch.setattr(baselines, "_BLOCK", 1000)
    assert bigram_loss(tokens) < 1.5


def test_five_million_tokens_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = rng.zipf(1.2, 5_000_000).clip(1, 15_999)
    tokens = tokens_of(tmp_path, ids, ids[:250_000], 16_000)
    start = time.perf_counter()
    bigram_loss(tokens)
    assert time.perf_counter() - start < 15


def test_too_few_tokens_are_refused(tmp_path: Path) -> None:
    tokens = tokens_of(tmp_path, np.array([1, 2, 3]), np.array([1]), 5)
    for loss in (unigram_loss, bigram_loss):
        with pytest.raises(DataError, match="too few tokens"):
            loss(tokens)
