"""Probabilities shown for a token are the model's and the samplers' own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.generate import generate, generate_with_logits
from llm_studio.inference.probabilities import candidate_table, most_likely, score_text
from llm_studio.inference.sampling import FILTERS, MODEL, PENALTIES, distribution
from tests.model.builders import small_model, some_ids

FREE = GenerationSettings(temperature=1.5, top_k=0, top_p=1.0, max_tokens=20, seed=7)


def test_tokens_with_their_logits_are_the_same_tokens() -> None:
    model = small_model()
    sampled = list(generate_with_logits(model, [1, 2], FREE))
    assert [one.token for one in sampled] == list(generate(model, [1, 2], FREE))
    ids = [1, 2, *(one.token for one in sampled)]
    with torch.no_grad():
        torch.testing.assert_close(sampled[4].logits, model(torch.tensor([ids[:6]]))[0, -1], atol=1e-5, rtol=0)


def test_the_most_likely_tokens_are_the_models() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0])
    probability, best = most_likely(logits, 2, 3)
    assert probability == pytest.approx(float(logits.softmax(0)[2]))
    assert [one.token for one in best] == [1, 2, 0] and best[1].probability == pytest.approx(probability)
    assert len(most_likely(logits, 0, 50)[1]) == 4


a_table = st.tuples(
    st.lists(st.integers(-400, 400), min_size=2, max_size=60, unique=True).map(lambda n: torch.tensor(n) / 40.0),
    st.lists(st.integers(0, 59), max_size=20),
    st.builds(
        GenerationSettings,
        temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 3.0]),
        top_k=st.integers(0, 70),
        top_p=st.floats(0.01, 1),
        min_p=st.floats(0, 1),
        repetition_penalty=st.floats(0.5, 3),
    ),
)


@given(a_table, st.integers(1, 70))
def test_the_table_is_what_the_sampler_does(table: tuple[Tensor, list[int], GenerationSettings], count: int) -> None:
    logits, context, settings = table
    context = [token for token in context if token < len(logits)]
    expected = distribution(logits, context, settings)
    found = candidate_table(logits, context, settings, count)
    assert len(found.rows) == min(count, len(logits)) == len({row.token for row in found.rows})
    for row in found.rows:
        assert row.probs[-1] == float(expected[row.token])
        assert row.probs[0] == float(logits.softmax(0)[row.token])
    left = [row.removed_at is None for row in found.rows]
    assert left == sorted(left, reverse=True), "tokens that can be sampled come first"
    assert [row.probs[-1] for row in found.rows] == sorted((row.probs[-1] for row in found.rows), reverse=True)
    assert found.kept[0] == len(logits) and list(found.kept) == sorted(found.kept, reverse=True)


@given(a_table)
def test_each_token_is_removed_by_the_first_sampler_that_gives_it_no_probability(
    table: tuple[Tensor, list[int], GenerationSettings],
) -> None:
    """Each sampler alone, on what the one before it left, removes the tokens that the table says."""
    logits, context, settings = table
    context = [token for token in context if token < len(logits)]
    found = candidate_table(logits, context, settings, len(logits))
    assert found.stages == (MODEL, *PENALTIES, *FILTERS)
    left = logits
    for number, name in enumerate(found.stages):
        if name in PENALTIES:
            left = PENALTIES[name](left, context, getattr(settings, name))
        elif name in FILTERS:
            left = FILTERS[name](left, getattr(settings, name))
        kept = {row.token for row in found.rows if row.removed_at is None or row.removed_at > number}
        assert kept == set((left > -torch.inf).nonzero().flatten().tolist()) and len(kept) == found.kept[number]
        for row in found.rows:
            assert row.probs[number] == pytest.approx(float(left.softmax(0)[row.token]), abs=1e-6)


def test_requested_tokens_are_in_the_table_once() -> None:
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    found = candidate_table(logits, [], FREE, 2, also=(0, 3))
    assert [row.token for row in found.rows] == [0, 1, 3]


@pytest.mark.parametrize("count", [0, 1, 2, 24, 25, 60])
@torch.no_grad()
def test_the_probability_of_each_token_of_a_text_is_that_of_the_model(count: int) -> None:
    model = small_model()  # a context of 24
    ids = some_ids(1, 60)[0].tolist()[:count]
    found = score_text(model, ids, first=2, count=3)
    assert len(found) == count
    for place, (prob, best) in enumerate(found):
        before = ids[:place] if place < 25 else ids[(place - 25) // 12 * 12 + 12 : place]  # windows overlap by 12
        logits = model(torch.tensor([before or [2]]))[0, -1]
        assert prob == pytest.approx(float(logits.softmax(0)[ids[place]]), abs=1e-6)
        assert [one.token for one in best] == logits.topk(3).indices.tolist()
