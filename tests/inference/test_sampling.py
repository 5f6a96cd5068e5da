"""Each sampler does what its paper says, whatever the logits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from llm_studio.config import GenerationSettings
from llm_studio.inference.sampling import (
    FILTERS,
    PENALTIES,
    distribution,
    draw,
    make_generator,
    min_p,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
)

PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}

# No two alike, so that "the k most likely" is one set.
logits_of_a_model = st.lists(st.integers(-400, 400), min_size=2, max_size=40, unique=True).map(
    lambda numbers: torch.tensor(numbers) / 40.0
)


def kept(logits: Tensor) -> set[int]:
    return set((logits > -math.inf).nonzero().flatten().tolist())


@given(logits_of_a_model, st.integers(1, 50))
def test_top_k_keeps_the_k_most_likely(logits: Tensor, k: int) -> None:
    ranked = sorted(range(len(logits)), key=lambda i: -logits[i])
    filtered = top_k(logits, k)
    assert kept(filtered) == set(ranked[:k])
    assert all(filtered[i] == logits[i] for i in kept(filtered))


@given(logits_of_a_model, st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_tokens_that_reach_p(logits: Tensor, p: float) -> None:
    probabilities = logits.double().softmax(dim=-1)
    chosen = kept(top_p(logits, p))
    least = min(chosen, key=lambda i: probabilities[i])
    assert probabilities[list(chosen)].sum() >= p - 1e-5
    assert probabilities[[i for i in chosen if i != least]].sum() < p + 1e-5
    assert all(i in chosen for i in range(len(logits)) if logits[i] > logits[least])


@given(logits_of_a_model, st.floats(0.01, 1))
def test_min_p_keeps_tokens_at_least_p_times_as_likely_as_the_best(logits: Tensor, p: float) -> None:
    ratios = (logits.double() - logits.double().max()).exp()
    chosen = kept(min_p(logits, p))
    assert all((ratios[i] >= p) == (i in chosen) for i in range(len(logits)) if abs(ratios[i] - p) > 1e-6)
    assert int(logits.argmax()) in chosen


@given(logits_of_a_model, st.floats(1.1, 3), st.data())
def test_the_penalty_lowers_tokens_of_the_context_and_no_other(
    logits: Tensor, penalty: float, data: st.DataObject
) -> None:
    seen = data.draw(st.lists(st.integers(0, len(logits) - 1), min_size=1))
    penalized = repetition_penalty(logits, seen, penalty)
    for i, (before, after) in enumerate(zip(logits.tolist(), penalized.tolist(), strict=True)):
        expected = before if i not in seen else before / penalty if before > 0 else before * penalty
        assert after == pytest.approx(expected)


@given(logits_of_a_model, st.floats(0.1, 5))
def test_temperature_divides_the_differences(logits: Tensor, value: float) -> None:
    torch.testing.assert_close(temperature(logits, value).softmax(-1), (logits / value).softmax(-1))


@given(logits_of_a_model, st.data())
def test_probabilities_are_never_negative_and_sum_to_one(logits: Tensor, data: st.DataObject) -> None:
    settings = GenerationSettings(
        temperature=data.draw(st.sampled_from([0.0, 1e-6, 0.5, 1.0, 10.0])),
        top_k=data.draw(st.integers(0, 50)),
        top_p=data.draw(st.floats(0.001, 1)),
        min_p=data.draw(st.floats(0, 1)),
        repetition_penalty=data.draw(st.floats(0.1, 10)),
    )
    probabilities = distribution(logits, [0, 1, 0], settings)
    assert probabilities.shape == logits.shape
    assert probabilities.min() >= 0
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)


@given(logits_of_a_model)
def test_without_filters_the_distribution_is_the_softmax(logits: Tensor) -> None:
    torch.testing.assert_close(distribution(logits, [0], GenerationSettings(**PLAIN)), logits.softmax(-1))


@given(logits_of_a_model, st.integers(0, 2**32))
def test_temperature_zero_takes_the_most_likely_token(logits: Tensor, seed: int) -> None:
    probabilities = distribution(logits, [], GenerationSettings(**(PLAIN | {"temperature": 0.0})))
    assert draw(probabilities, make_generator(seed)) == int(logits.argmax())


def test_the_penalty_comes_before_temperature_zero() -> None:
    settings = GenerationSettings(**(PLAIN | {"temperature": 0.0, "repetition_penalty": 2.0}))
    assert distribution(torch.tensor([3.0, 2.0, 1.0]), [0], settings).argmax() == 1


def test_temperature_comes_before_top_p() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    hot = GenerationSettings(**(PLAIN | {"temperature": 10.0, "top_p": 0.5}))  # nearly even: two are needed
    assert kept(distribution(logits, [], hot).log()) == {0, 1}


def test_top_k_comes_before_top_p() -> None:
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    both = GenerationSettings(**(PLAIN | {"top_k": 2, "top_p": 0.55}))  # 0.4 of the two's 0.7 is 0.57: enough
    assert kept(distribution(logits, [], both).log()) == {0}


def test_tokens_are_drawn_in_proportion_to_their_probability() -> None:
    probabilities, generator = torch.tensor([0.1, 0.0, 0.9]), make_generator(5)
    counts = torch.tensor([draw(probabilities, generator) for _ in range(2000)]).bincount(minlength=3)
    assert counts[1] == 0
    assert counts[0].item() == pytest.approx(200, abs=60)


def test_every_setting_but_length_seed_and_stop_strings_has_its_sampler() -> None:
    assert {*PENALTIES, *FILTERS} == {*GenerationSettings.model_fields} - {"max_tokens", "seed", "stop"}


@pytest.mark.parametrize("change", [{"repetition_penalty": 5.0}, {"temperature": 3.0}, {"top_k": 1}, {"top_p": 0.1},
                                    {"min_p": 0.9}], ids=str)  # fmt: skip
def test_every_sampler_takes_part(change: dict[str, float]) -> None:
    logits = torch.tensor([2.0, 1.5, 1.0])
    plain, changed = (distribution(logits, [0], GenerationSettings(**(PLAIN | one))) for one in ({}, change))
    assert not torch.allclose(plain, changed)
