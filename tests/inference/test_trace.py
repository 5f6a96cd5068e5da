"""What is recorded of a model is what it computes, for every architecture."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.inference.attribution import attribute
from llm_studio.inference.logit_lens import NO_TARGET, lens, predict
from llm_studio.inference.trace import trace
from llm_studio.model.transformer import Transformer
from tests.inference.architectures import models
from tests.model.builders import VOCABULARY, small_model, some_ids

LENGTHS = st.integers(1, 24)
fewer = settings(max_examples=40)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """A trace of few tokens takes one thread; the sums of several would be rounded differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ids_of(length: int) -> list[int]:
    return some_ids(1, length, seed=length)[0].tolist()


@given(model=models(), length=LENGTHS)
@fewer
def test_the_trace_is_the_models_own_pass_to_the_last_bit(model: Transformer, length: int) -> None:
    ids = ids_of(length)
    found = trace(model, ids)
    with torch.inference_mode():
        assert torch.equal(found.residual[0], model.embeddings(torch.tensor([ids]))[0])
        assert torch.equal(found.hidden(), model.hidden(torch.tensor([ids]))[0])
        torch.testing.assert_close(found.logits(length - 1), model(torch.tensor([ids]))[0, -1])


@given(model=models(), length=LENGTHS)
@fewer
def test_each_state_of_the_stream_is_what_the_blocks_make_of_the_one_before(model: Transformer, length: int) -> None:
    found = trace(model, ids_of(length))
    with torch.inference_mode():
        rotation = None if model.rotary is None else model.rotary(0, length, torch.float32)
        for layer, block in enumerate(model.blocks):
            before = found.residual[layer, None]
            torch.testing.assert_close(block(before, rotation)[0], found.residual[layer + 1])
            middle = before + block.attention(block.attention_norm(before), rotation)
            torch.testing.assert_close(middle[0], found.middle[layer])


@given(model=models(), length=LENGTHS)
@fewer
def test_attention_weights_sum_to_1_and_never_see_the_future(model: Transformer, length: int) -> None:
    found = trace(model, ids_of(length))
    for layer in range(len(model.blocks)):
        weights = found.attention(layer)
        torch.testing.assert_close(weights.sum(-1), torch.ones(4, length))
        assert not weights.triu(diagonal=1).any() and (weights >= 0).all()
    every = found.attention_of_all()
    assert every.shape == (2, 4, length, length) and every.dtype == torch.float16
    torch.testing.assert_close(every[1].float(), found.attention(1), atol=1e-3, rtol=1e-3)


@given(model=models(), length=LENGTHS)
@fewer
def test_heads_gather_with_these_weights_what_the_layer_adds(model: Transformer, length: int) -> None:
    """The weights shown are those that the model used: with them, values become what attention added."""
    found = trace(model, ids_of(length))
    rotation = None if model.rotary is None else model.rotary(0, length, torch.float32)
    for layer, block in enumerate(model.blocks):
        with torch.inference_mode():
            _q, _k, v = block.attention.project(block.attention_norm(found.residual[layer, None]), rotation)
            gathered = found.attention(layer) @ v[0].repeat_interleave(4 // v.shape[1], dim=0)
            torch.testing.assert_close(gathered, found.gathered[layer], atol=1e-5, rtol=1e-4)
            added = block.attention.mix(gathered[None])[0]
        torch.testing.assert_close(found.residual[layer] + added, found.middle[layer], atol=1e-5, rtol=1e-4)


@given(model=models(), length=LENGTHS)
@fewer
def test_the_lens_at_the_last_layer_is_the_models_output(model: Transformer, length: int) -> None:
    ids = ids_of(length)
    targets = torch.tensor([*ids[1:], NO_TARGET])
    found = lens(trace(model, ids), targets, kept=5)
    with torch.inference_mode():
        probabilities = model(torch.tensor([ids]))[0].double().softmax(-1)  # (T, V)
    best = probabilities.topk(5)
    torch.testing.assert_close(found.probabilities[-1].double(), best.values, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(probabilities.gather(1, found.tokens[-1]), best.values, atol=1e-6, rtol=1e-4)
    entropy = -(probabilities * probabilities.log2()).sum(-1)
    torch.testing.assert_close(found.entropy[-1].double(), entropy, atol=1e-4, rtol=1e-4)
    for place, target in enumerate(ids[1:]):
        of_target = probabilities[place, target].item()
        assert found.surprise[-1, place] == pytest.approx(-math.log2(of_target), abs=1e-4)
        assert found.target_probability[-1, place] == pytest.approx(of_target, rel=1e-3)
        assert found.rank[-1, place] == 1 + int((probabilities[place] > of_target).sum())
    assert found.surprise[:, -1].isnan().all() and not found.rank[:, -1].any()


def test_the_lens_at_layer_0_reads_the_embeddings() -> None:
    model, ids = small_model(), ids_of(9)
    found = lens(trace(model, ids), torch.tensor(ids))
    with torch.inference_mode():
        logits = model.logits(model.final_norm(model.embeddings(torch.tensor([ids]))[0]))
    assert torch.equal(found.tokens[0, :, 0], logits.argmax(-1))
    assert found.tokens.shape == (3, 9, 20)


def test_predictions_do_not_depend_on_how_they_are_chunked(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.inference import logit_lens

    model, hidden = small_model(), torch.randn(50, 32)
    targets = some_ids(1, 50)[0]
    whole = predict(model, hidden, targets)
    checks: list[int] = []
    monkeypatch.setattr(logit_lens, "_MIN_ROWS", 7)
    monkeypatch.setattr(logit_lens, "_CHUNK_LOGITS", 1)
    chunked = predict(model, hidden, targets, check=lambda: checks.append(1))
    assert len(checks) == 8  # it can be cancelled before each chunk
    torch.testing.assert_close(chunked.surprise, whole.surprise)
    assert torch.equal(chunked.rank, whole.rank) and torch.equal(chunked.tokens, whole.tokens)


@given(model=models(), length=LENGTHS, token=st.integers(0, VOCABULARY - 1), other=st.integers(0, VOCABULARY - 1))
@fewer
def test_contributions_add_up_to_the_logit(model: Transformer, length: int, token: int, other: int) -> None:
    ids = ids_of(length)
    found = trace(model, ids)
    positions = sorted({0, length // 2, length - 1})
    parts = attribute(found, positions, [token] * len(positions))
    with torch.inference_mode():
        logits = model(torch.tensor([ids]))[0, positions]
    torch.testing.assert_close(parts.logit, logits[:, token], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(parts.total(), logits[:, token], atol=1e-4, rtol=1e-4)
    difference = attribute(found, positions, [token] * len(positions), [other] * len(positions))
    torch.testing.assert_close(difference.total(), logits[:, token] - logits[:, other], atol=1e-4, rtol=1e-4)


def test_the_contribution_of_a_head_is_what_the_logit_loses_without_its_vector() -> None:
    """At the last layer, with the norm's scale held fixed, removing a head's vector removes just its contribution."""
    model, ids = small_model(norm="layernorm", bias=True, positions="learned"), ids_of(12)
    found = trace(model, ids)
    parts = attribute(found, [11], [5])
    output = model.blocks[1].attention.output.weight
    with torch.inference_mode():
        vector = output[:, 16:24] @ found.gathered[1, 2, 11]  # of head 2, 8 wide
        x = found.residual[-1, 11]
        scale = torch.sqrt((x - x.mean()).square().mean() + 1e-5)
        normed = model.final_norm.weight * (vector - vector.mean()) / scale
        expected = model.head_weight[5] @ normed
    torch.testing.assert_close(parts.heads[1, 2, 0], expected)
    bias = model.final_norm.bias
    assert bias is not None
    torch.testing.assert_close(parts.norm_bias[0], model.head_weight[5] @ bias)
    with torch.inference_mode():
        torch.testing.assert_close(found.residual[0, 11], model.embeddings(torch.tensor([ids]))[0, 11])
    assert parts.position.abs().min() > 0


def test_too_many_tokens_or_none_are_refused() -> None:
    for ids in ([], [0] * 25):
        with pytest.raises(ValueError, match="context"):
            trace(small_model(), ids)
