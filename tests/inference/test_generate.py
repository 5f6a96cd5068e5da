"""Generation gives the tokens that the model, read from the start each time, would give."""

import pytest
import torch

from llm_studio.config import GenerationSettings
from llm_studio.inference.generate import Reader, generate, next_token_logits
from tests.model.builders import VOCABULARY, small_model, some_ids

GREEDY = GenerationSettings(temperature=0.0, max_tokens=20)
FREE = GenerationSettings(temperature=1.5, top_k=0, top_p=1.0, max_tokens=20, seed=7)


@torch.no_grad()
def test_greedy_tokens_are_those_of_full_passes() -> None:
    model = small_model()
    ids = [1, 2, 3]
    for _ in range(20):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert list(generate(model, [1, 2, 3], GREEDY)) == ids[3:]


@pytest.mark.parametrize("positions", ["rope", "learned", "sinusoidal"])
@torch.no_grad()
def test_past_the_context_the_last_half_is_read_again(positions: str) -> None:
    model, ids = small_model(positions=positions), some_ids(1, 80)[0].tolist()
    reader, window = Reader(model), list[int]()
    for token in ids:
        window = [*(window if len(window) < 24 else window[-11:]), token]
        logits = reader.read([token])
        torch.testing.assert_close(logits, model(torch.tensor([window]))[0, -1], atol=1e-5, rtol=0)
        assert reader.context == window


@torch.no_grad()
def test_a_long_prompt_is_used_from_its_end() -> None:
    model, ids = small_model(), some_ids(1, 60)[0].tolist()
    torch.testing.assert_close(Reader(model).read(ids), model(torch.tensor([ids[-24:]]))[0, -1], atol=1e-5, rtol=0)
    assert len(list(generate(model, ids, GREEDY))) == 20


def test_the_same_seed_gives_the_same_tokens() -> None:
    model = small_model()
    first = list(generate(model, [1, 2], FREE))
    assert list(generate(model, [1, 2], FREE)) == first
    assert list(generate(model, [1, 2], FREE.model_copy(update={"seed": 8}))) != first


def test_without_a_seed_each_time_is_different() -> None:
    model, settings = small_model(), FREE.model_copy(update={"seed": None})
    assert list(generate(model, [1, 2], settings)) != list(generate(model, [1, 2], settings))


def test_generation_leaves_no_trace() -> None:
    """Torch's global generator, grad mode between tokens and the model's mode are as before."""
    model = small_model(dropout=0.5).train()
    state = torch.get_rng_state()
    tokens = generate(model, [1, 2], FREE)
    for _ in range(5):
        next(tokens)
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    model.loss(some_ids(1, 8), some_ids(1, 8)).backward()


def test_dropout_is_off_while_generating() -> None:
    model = small_model(dropout=0.9)
    calm = list(generate(model, [1, 2], FREE))
    assert list(generate(model.train(), [1, 2], FREE)) == calm


def test_a_stop_token_ends_the_text_and_is_not_given() -> None:
    model = small_model()
    tokens = list(generate(model, [1, 2], FREE))
    stop = tokens[6]
    assert list(generate(model, [1, 2], FREE, stop=[stop])) == tokens[: tokens.index(stop)]


def test_every_token_is_one_of_the_vocabulary_and_max_tokens_are_given() -> None:
    tokens = list(generate(small_model(), [1], FREE.model_copy(update={"max_tokens": 100})))
    assert len(tokens) == 100
    assert all(0 <= token < VOCABULARY for token in tokens)


def test_an_empty_prompt_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="the prompt is empty"):
        generate(small_model(), [], GREEDY)


def test_the_penalty_hinders_repetition() -> None:
    model = small_model()
    plain = list(generate(model, [1], GREEDY))
    penalized = list(generate(model, [1], GREEDY.model_copy(update={"repetition_penalty": 10.0})))
    assert len(set(penalized)) > len(set(plain))


def test_logits_of_the_next_token_need_no_cache() -> None:
    model, ids = small_model(), [4, 5, 6]
    torch.testing.assert_close(next_token_logits(model, ids), Reader(model).read(ids), atol=1e-6, rtol=0)
