"""The activations of a model on a text, recorded in one forward pass.

    x = embeddings(ids)
    for each layer:
        q, k, v = queries, keys and values of norm(x)
        x = x + mix(attention(q, k, v))          the stream after attention: `middle`
        x = x + feed_forward(norm(x))            the stream after the layer: `residual`

The operations are those of `Transformer.hidden`, in the same order: with the same number of threads, the recorded
stream is bit-identical to the model's. Attention weights are not stored, so that a trace of a long text stays small;
they are computed from queries and keys, layer by layer. The logit lens, attribution and the scores of heads are
computed from a trace.

Axes: T tokens, L layers, H query heads, G key/value heads, K head width, D = d_model, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from llm_studio.inference.generate import threads_for
from llm_studio.model.attention import attention, attention_weights
from llm_studio.model.kernels import compute_dtype
from llm_studio.model.layers import Block
from llm_studio.model.transformer import Transformer

Check = Callable[[], object]
"""Called at intervals during a long computation; it raises an exception to cancel it."""


def never() -> None:
    """The check for a computation that can't be cancelled."""


def blocks_of(model: Transformer) -> list[Block]:
    """The layers of a model, typed as `Block`."""
    return cast("list[Block]", list(model.blocks))


@dataclass(frozen=True)
class Trace:
    """The activations of `model` for the tokens `ids`, on the model's device."""

    model: Transformer
    ids: Tensor
    """(T,)"""
    residual: Tensor
    """(L + 1, T, D): the residual stream after the embeddings and after each layer."""
    middle: Tensor
    """(L, T, D): the residual stream in each layer, between attention and feed-forward."""
    queries: Tensor
    """(L, H, T, K): after the model's normalisation and rotation."""
    keys: Tensor
    """(L, G, T, K): likewise."""
    gathered: Tensor
    """(L, H, T, K): the output of each head, its weighted average of the values."""

    def __len__(self) -> int:
        return len(self.ids)

    @torch.inference_mode()
    def attention(self, layer: int) -> Tensor:
        """The attention weights (H, T, T) of a layer: of each query token (row) for each key token (column)."""
        return attention_weights(self.queries[layer, None], self.keys[layer, None])[0]

    @torch.inference_mode()
    def attention_of_all(self, dtype: torch.dtype = torch.float16, check: Check = never) -> Tensor:
        """The attention weights (L, H, T, T) of all layers, by default in half precision: enough to draw them."""
        n_layers, n_heads, length, _width = self.queries.shape
        result = torch.empty(n_layers, n_heads, length, length, dtype=dtype, device=self.queries.device)
        for layer in range(n_layers):
            check()
            result[layer] = self.attention(layer)
        return result

    @torch.inference_mode()
    def hidden(self) -> Tensor:
        """The final hidden states (T, D), normalised: equal to `Transformer.hidden` for the ids."""
        return self.model.final_norm(self.residual[-1])

    @torch.inference_mode()
    def logits(self, position: int) -> Tensor:
        """The model's logits (V,), float32, for the token after `position`."""
        return self.model.logits(self.model.final_norm(self.residual[-1, position])).float()


@torch.inference_mode()
def trace(model: Transformer, ids: Sequence[int], check: Check = never) -> Trace:
    """Run `model`, which must be in eval mode, on 1 to `max_seq_len` ids and record its activations.

    Raises ValueError for another number of ids, and what `check` raises.
    """
    count = len(ids)
    if not 0 < count <= model.settings.max_seq_len:
        raise ValueError(f"{count} tokens don't fit in a context of 1 to {model.settings.max_seq_len}")
    with threads_for(model.parameter_count() * count):
        return _trace(model, torch.tensor(list(ids), device=model.head_weight.device), check)


def _trace(model: Transformer, ids: Tensor, check: Check) -> Trace:
    settings, count = model.settings, len(ids)
    x = model.embeddings(ids[None])  # (1, T, D)
    rotation = None if model.rotary is None else model.rotary(0, count, compute_dtype(x))
    shape = (settings.n_layers, settings.n_heads, count, settings.head_width)
    residual = x.new_empty(settings.n_layers + 1, count, settings.d_model)
    middle = x.new_empty(settings.n_layers, count, settings.d_model)
    queries, gathered = x.new_empty(shape), x.new_empty(shape)
    keys = x.new_empty(settings.n_layers, settings.kv_heads, count, settings.head_width)
    residual[0] = x[0]
    for layer, block in enumerate(blocks_of(model)):
        check()
        q, k, v = block.attention.project(block.attention_norm(x), rotation)  # (1, H, T, K), (1, G, T, K) twice
        y = attention(q, k, v)  # (1, H, T, K)
        x = x + block.attention.mix(y)  # (1, T, D)
        middle[layer] = x[0]
        x = x + block.feed_forward(block.feed_forward_norm(x))
        residual[layer + 1] = x[0]
        queries[layer], keys[layer], gathered[layer] = q[0], k[0], y[0]
    return Trace(model, ids, residual, middle, queries, keys, gathered)
