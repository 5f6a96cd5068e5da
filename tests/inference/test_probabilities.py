"""Probabilities shown for a token are the model's and the samplers' own."""

import pytest
import torch

from llm_studio.config import GenerationSettings
from llm_studio.inference.generate import generate, generate_with_logits
from llm_studio.inference.probabilities import most_likely, token_probabilities
from llm_studio.inference.sampling import distribution
from tests.model.builders import small_model

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


@pytest.mark.parametrize("change", [{"top_k": 3}, {"top_p": 0.4}, {"min_p": 0.5}, {"temperature": 0.0},
                                    {"repetition_penalty": 3.0, "top_k": 5}])  # fmt: skip
def test_probabilities_are_those_of_the_samplers(change: dict[str, float]) -> None:
    torch.manual_seed(1)
    logits, settings = torch.randn(50) * 3, FREE.model_copy(update=change)
    expected = distribution(logits, [3, 7], settings)
    found, kept = token_probabilities(logits, [3, 7], settings, 50)
    assert kept == int((expected > 0).sum())
    assert [one.sampling_prob > 0 for one in found] == [True] * kept + [False] * (50 - kept)
    for one in found:
        assert one.sampling_prob == pytest.approx(float(expected[one.token]))
        assert one.model_prob == pytest.approx(float(logits.softmax(0)[one.token]))
