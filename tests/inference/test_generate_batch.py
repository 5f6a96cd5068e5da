"""Several texts at once are those that one after the other would be."""

import pytest

from llm_studio.config import GenerationSettings
from llm_studio.errors import Cancelled
from llm_studio.inference.generate import generate
from llm_studio.inference.generate_batch import generate_batch
from tests.model.builders import VOCABULARY, small_model

PROMPTS = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def unchecked() -> None:
    """Never cancelled."""


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_greedy_texts_are_those_of_one_at_a_time_also_past_the_context(positions: str) -> None:
    model = small_model(positions=positions).eval()
    greedy = GenerationSettings(temperature=0, max_tokens=3 * model.settings.max_seq_len)
    alone = [list(generate(model, prompt, greedy)) for prompt in PROMPTS]
    assert generate_batch(model, PROMPTS, greedy, (), unchecked) == alone
    stop = {alone[0][4]}
    assert generate_batch(model, PROMPTS, greedy, stop, unchecked) == [
        list(generate(model, prompt, greedy, stop)) for prompt in PROMPTS
    ]


def test_the_same_seed_gives_the_same_texts_and_equal_prompts_give_different_ones() -> None:
    model = small_model().eval()
    sampling = GenerationSettings(temperature=1, top_k=0, top_p=1, max_tokens=12, seed=1)
    first = generate_batch(model, [[1, 2]] * 3, sampling, (), unchecked)
    assert first == generate_batch(model, [[1, 2]] * 3, sampling, (), unchecked)
    assert len({tuple(text) for text in first}) == 3
    assert all(0 <= token < VOCABULARY for text in first for token in text)


def test_it_stops_when_cancelled_and_refuses_prompts_of_different_lengths() -> None:
    model = small_model().eval()

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        generate_batch(model, PROMPTS, GenerationSettings(), (), cancel)
    for prompts in ([[1], [2, 3]], [[], []], []):
        with pytest.raises(ValueError, match="same number"):
            generate_batch(model, prompts, GenerationSettings(), (), unchecked)
