"""A part that is switched off adds nothing; with nothing switched off, nothing changes."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.config import GenerationSettings
from llm_studio.inference.ablation import ablated
from llm_studio.inference.generate import generate
from llm_studio.inference.parts import ModelPart, all_parts
from llm_studio.inference.trace import trace
from llm_studio.model.transformer import Transformer
from tests.inference.architectures import models
from tests.model.builders import small_model, some_ids

PARTS = all_parts(2, 4)
fewer = settings(max_examples=40)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums of several threads are rounded differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@given(model=models())
@fewer
def test_switching_nothing_off_changes_not_a_bit(model: Transformer) -> None:
    ids = some_ids(2, 24)
    same = ablated(model, [])
    with torch.inference_mode():
        assert torch.equal(same(ids), model(ids))
    sampling = GenerationSettings(temperature=1.0, max_tokens=30, seed=3)
    assert list(generate(same, [1, 2], sampling)) == list(generate(model, [1, 2], sampling))


@given(model=models(), off=st.sets(st.sampled_from(PARTS), min_size=1))
@fewer
def test_what_is_off_adds_nothing_and_the_rest_is_computed_as_before(model: Transformer, off: set[ModelPart]) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    without = ablated(model, off)
    found = trace(without, some_ids(1, 12)[0].tolist())
    with torch.inference_mode():
        for layer, block in enumerate(model.blocks):
            x = found.residual[layer, None]
            heads = [head for head in range(4) if ModelPart(layer, "head", head) not in off]
            if ModelPart(layer, "attention") in off:
                expected = x
            else:
                y = torch.zeros(1, 4, 12, 8)
                y[:, heads] = found.gathered[layer, None, heads]
                expected = x + block.attention.mix(y)
            torch.testing.assert_close(found.middle[layer, None], expected)
            if ModelPart(layer, "feed_forward") not in off:
                expected = expected + block.feed_forward(block.feed_forward_norm(expected))
            torch.testing.assert_close(found.residual[layer + 1, None], expected, atol=1e-5, rtol=1e-4)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), "the original has changed"


def test_with_everything_off_only_the_embeddings_are_left() -> None:
    model, ids = small_model(bias=True), some_ids(1, 10)
    with torch.inference_mode():
        expected = model.logits(model.final_norm(model.embeddings(ids)))
        assert torch.equal(ablated(model, PARTS)(ids), expected)


def test_all_other_weights_are_shared() -> None:
    model = small_model()
    without = ablated(model, [ModelPart(1, "head", 2)])
    changed = {
        name for name, weight in without.state_dict().items()
        if weight.data_ptr() != model.state_dict()[name].data_ptr()
    }  # fmt: skip
    assert changed == {"blocks.1.attention.output.weight"}


@pytest.mark.parametrize("part", [ModelPart(2, "attention"), ModelPart(0, "head", 4), ModelPart(-1, "feed_forward")])
def test_a_part_that_the_model_does_not_have_is_refused(part: ModelPart) -> None:
    with pytest.raises(ValueError, match="no"):
        ablated(small_model(), [part])
