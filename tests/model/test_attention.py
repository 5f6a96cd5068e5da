"""Attention shown by its weights: what each head takes from each token."""

from typing import Any

import pytest
import torch

from llm_studio.model.attention import CausalSelfAttention, attention_weights, repeat_heads
from tests.model.builders import small_model, some_ids


@pytest.fixture
def qkv() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 9, 8, generator=generator) for heads in (6, 2, 2))
    return q, k, v


def test_weights_are_probabilities_of_the_tokens_so_far(qkv: tuple[torch.Tensor, ...]) -> None:
    q, k, _ = qkv
    weights = attention_weights(q, k)
    assert weights.shape == (2, 6, 9, 9)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 6, 9))
    visible = torch.ones(9, 9).tril().bool()
    assert (weights[..., visible] > 0).all()
    assert (weights[..., ~visible] == 0).all()


def test_the_last_queries_alone_have_the_same_weights(qkv: tuple[torch.Tensor, ...]) -> None:
    q, k, _ = qkv
    torch.testing.assert_close(attention_weights(q[:, :, -3:], k), attention_weights(q, k)[:, :, -3:])


def test_equal_keys_are_averaged(qkv: tuple[torch.Tensor, ...]) -> None:
    q, k, _ = qkv
    weights = attention_weights(q, k[:, :, :1].expand_as(k))
    torch.testing.assert_close(weights[0, 0], torch.ones(9, 9).tril() / torch.arange(1, 10)[:, None])


@pytest.mark.parametrize("kind", [{"qk_norm": True, "n_kv_heads": 2}, {"positions": "learned"}], ids=str)
@torch.no_grad()
def test_the_weights_of_a_layer_explain_its_output(kind: dict[str, Any]) -> None:
    model = small_model(**kind)
    layer = model.blocks[0].attention
    assert isinstance(layer, CausalSelfAttention)
    x = model.embeddings(some_ids(2, 20))
    rotation = None if model.rotary is None else model.rotary(0, 20, x.dtype)
    q, k, v = layer.project(x, rotation)
    y = attention_weights(q, k) @ repeat_heads(v, q.shape[1])
    torch.testing.assert_close(layer.output(y.transpose(1, 2).reshape(2, 20, -1)), layer(x, rotation))
