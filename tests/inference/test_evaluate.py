"""Every token of a long text is scored once, with at least half a context before it, as a naive loop would do it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.inference.evaluate import evenly_spread, score, windows
from llm_studio.model.transformer import Transformer
from tests.model.builders import VOCABULARY, small_model

CONTEXT = 24  # that of the small models


def naive_losses(model: Transformer, ids: list[int], context: int) -> list[float]:
    """The loss of each token after the first one, each from a forward pass of its own."""
    half = context // 2
    losses: list[float] = []
    for target in range(1, len(ids)):
        # the first window that reads the token before the target
        start = 0 if target <= context else -(-(target - context) // half) * half
        with torch.no_grad():
            logits = model(torch.tensor([ids[start:target]]))[0, -1]
        losses.append(-logits.double().log_softmax(0)[ids[target]].item())
    return losses


@pytest.mark.parametrize("length", [2, 12, 13, 24, 25, 26, 36, 37, 38, 100, 121])
def test_the_loss_is_that_of_a_naive_double_loop(length: int) -> None:
    model = small_model(seed=length)
    stream = np.random.default_rng(length).integers(0, VOCABULARY, length)
    nats, places = 0.0, list[int]()
    for scored in score(model, stream, windows(length - 1, CONTEXT)):
        nats += scored.nats
        places += scored.places.tolist()
    assert sorted(places) == list(range(1, length))
    assert nats == pytest.approx(sum(naive_losses(model, stream.tolist(), CONTEXT)), rel=1e-6)


def test_of_a_mask_only_what_counts_is_scored() -> None:
    model, stream = small_model(), np.random.default_rng(0).integers(0, VOCABULARY, 80)
    counted = np.random.default_rng(1).random(80) < 0.3
    scored = list(score(model, stream, windows(79, CONTEXT), counted))
    losses = naive_losses(model, stream.tolist(), CONTEXT)
    expected = sum(loss for place, loss in enumerate(losses, start=1) if counted[place])
    assert sum(part.nats for part in scored) == pytest.approx(expected, rel=1e-6)
    assert sorted(np.concatenate([part.places for part in scored])) == (np.flatnonzero(counted[1:]) + 1).tolist()


@given(targets=st.integers(1, 3000), context=st.integers(1, 300))
def test_windows_cover_each_target_once_with_half_a_context_before_it(targets: int, context: int) -> None:
    found = windows(targets, context)
    scored = [place for window in found for place in range(window.targets.start, window.targets.stop)]
    assert scored == list(range(1, targets + 1))
    assert all(0 < window.length <= context for window in found)
    assert all(window.skipped >= context // 2 for window in found[1:])


@given(targets=st.integers(1, 3000), context=st.integers(2, 300), limit=st.integers(1, 3000))
def test_windows_of_a_long_text_are_spread_from_its_beginning_to_its_end(
    targets: int, context: int, limit: int
) -> None:
    found = windows(targets, context)
    chosen = evenly_spread(found, limit)
    assert set(chosen) <= set(found) and len(set(chosen)) == len(chosen)
    assert sum(window.length - window.skipped for window in chosen) <= max(limit, found[0].length)
    if targets <= limit:
        assert chosen == found
    if len(chosen) > 1:
        assert (chosen[0], chosen[-1]) == (found[0], found[-1])
        gaps = np.diff([found.index(window) for window in chosen])
        assert gaps.max() - gaps.min() <= 1
