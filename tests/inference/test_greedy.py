"""Greedy texts of several prompts at once are those that one after the other would be, with their probabilities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import GenerationSettings
from llm_studio.errors import Cancelled
from llm_studio.inference.generate import generate_with_logits
from llm_studio.inference.greedy import GreedyTokens, passes, write_greedily
from llm_studio.model.transformer import Transformer
from tests.model.builders import VOCABULARY, small_model


def unchecked() -> None:
    """Never cancelled."""


def alone(model: Transformer, prompt: list[int], count: int, stop: set[int]) -> GreedyTokens:
    """The same, by generating one text."""
    greedy = GenerationSettings(temperature=0, max_tokens=count)
    found = list(generate_with_logits(model, prompt, greedy))
    pairs = [(token, float(logits.softmax(-1)[token])) for token, logits, _context in found]
    end = next((place for place, (token, _p) in enumerate(pairs) if token in stop), None)
    top = found[0].logits.softmax(-1).topk(3)
    return GreedyTokens(pairs[:end], end is not None, list(zip(top.indices.tolist(), top.values.tolist(), strict=True)))  # pyright: ignore[reportArgumentType]  compared as tuples


def same(one: GreedyTokens, other: GreedyTokens) -> bool:
    close = all(a[1] == pytest.approx(b[1], abs=1e-5) for x, y in ((one.tokens, other.tokens), (one.top, other.top))
                for a, b in zip(x, y, strict=True))  # fmt: skip
    ids = [[pair[0] for pair in text.tokens] for text in (one, other)]
    return ids[0] == ids[1] and one.ended == other.ended and close


LENGTH = small_model().settings.max_seq_len


@given(
    prompts=st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6), min_size=1, max_size=4),
    count=st.integers(1, LENGTH - 6), stop=st.sets(st.integers(0, VOCABULARY - 1), max_size=4),
)  # fmt: skip
def test_texts_are_those_of_one_at_a_time(prompts: list[list[int]], count: int, stop: set[int]) -> None:
    model = small_model(positions="rope").eval()
    found = write_greedily(model, prompts, count, stop, 3, unchecked)
    assert all(same(text, alone(model, prompt, count, stop)) for text, prompt in zip(found, prompts, strict=True))


@pytest.mark.parametrize("positions", ["rope", "learned", "sinusoidal"])
def test_prompts_of_very_different_lengths_and_longer_than_the_context_are_completed(positions: str) -> None:
    model = small_model(positions=positions).eval()
    prompts = [[1], [2] * 3, [3] * (3 * LENGTH)]
    found = write_greedily(model, prompts, 4, (), 3, unchecked)
    assert same(found[0], alone(model, prompts[0], 4, set()))
    assert same(found[2], alone(model, prompts[2][: LENGTH - 3], 4, set())), "the end of a prompt is read"
    assert all(len(text.tokens) == LENGTH for text in write_greedily(model, [[1]], 10 * LENGTH, (), 3, unchecked))


def test_how_often_the_model_is_computed_is_known_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = small_model().eval(), 0
    hidden = Transformer.hidden

    def counted(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return hidden(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Transformer, "hidden", counted)
    for lengths in ([1], [3, 3], [1, 4, 2], [1, 2, 25, 30]):
        calls = 0
        write_greedily(model, [[1] * length for length in lengths], 5, (), 3, unchecked)
        assert calls == passes([min(length, LENGTH - 4) for length in lengths], 5)


def test_no_random_number_is_drawn_and_the_mode_of_the_model_stays() -> None:
    model = small_model(dropout=0.5).train()
    before = torch.random.get_rng_state()
    first = write_greedily(model, [[1, 2], [3]], 6, (), 3, unchecked)
    assert model.training and torch.equal(before, torch.random.get_rng_state())
    assert first == write_greedily(model, [[1, 2], [3]], 6, (), 3, unchecked)


def test_it_stops_when_cancelled() -> None:
    def cancel() -> None:
        raise Cancelled

    model = small_model().train()
    with pytest.raises(Cancelled):
        write_greedily(model, [[1]], 5, (), 3, cancel)
    assert model.training
