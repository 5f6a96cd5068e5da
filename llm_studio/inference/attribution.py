"""What each part of a model adds to the logit of a token: direct logit attribution (Elhage et al. 2021).

The last state of the residual stream is a sum: the embeddings, what each head and each feed-forward network added, and
the biases. With the scale s of the final norm held fixed, the logit of a token is linear in it, so it is a sum too:

    logit of token v = W_v . norm(x) = sum over the parts of  s (W_v * weight) . part  +  W_v . bias

(a LayerNorm subtracts from each part its mean). The effect of a part on later layers is counted with those layers.

Axes: P predictions (a position and a token each), L layers, H heads, K head width, D = d_model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_studio.inference.trace import Trace, blocks_of
from llm_studio.model.norms import EPS, LayerNorm
from llm_studio.model.transformer import Transformer


@dataclass(frozen=True)
class Attribution:
    """The contributions to the logits of P predictions. All parts of a prediction sum to its `logit`."""

    logit: Tensor
    """(P,): the logit of the model."""
    token: Tensor
    """(P,): contribution of the token's embedding."""
    position: Tensor
    """(P,): contribution of the position's embedding; 0 with rotary positions, which aren't added to the stream."""
    heads: Tensor
    """(L, H, P)."""
    attention_bias: Tensor
    """(L, P): the bias of the attention output projection, which belongs to no head."""
    feed_forward: Tensor
    """(L, P), with its biases."""
    norm_bias: Tensor
    """(P,): contribution of the bias of the final norm."""

    def total(self) -> Tensor:
        """The sum of all parts, (P,): `logit`, up to rounding."""
        outside = self.token + self.position + self.norm_bias
        return outside + self.heads.sum((0, 1)) + self.attention_bias.sum(0) + self.feed_forward.sum(0)


@torch.inference_mode()
def attribute(trace: Trace, positions: Sequence[int], tokens: Sequence[int], minus: Sequence[int] = ()) -> Attribution:
    """The contributions to the logit of `tokens`, each for the token after one of `positions`.

    With `minus`, as many tokens, the contributions to the difference: the token's logit minus this one's.
    """
    model = trace.model
    device = model.head_weight.device
    at = torch.tensor(list(positions), device=device)
    rows = model.head_weight[torch.tensor(list(tokens), device=device)]  # (P, D)
    if minus:
        rows = rows - model.head_weight[torch.tensor(list(minus), device=device)]
    direction = _through_norm(model, trace.residual[-1, at], rows)  # (P, D)

    token = model.embeddings.token(trace.ids[at])  # (P, D)
    if model.embeddings.waves is not None:
        token = token * math.sqrt(model.embeddings.d_model)
    heads: list[Tensor] = []
    attention_bias: list[Tensor] = []
    for layer, block in enumerate(blocks_of(model)):
        output = block.attention.output
        by_head = (direction @ output.weight).unflatten(-1, (model.settings.n_heads, -1))  # (P, H, K)
        heads.append((by_head * trace.gathered[layer][:, at].transpose(0, 1)).sum(-1).T)  # (H, P)
        attention_bias.append(direction @ output.bias if model.settings.bias else direction.new_zeros(len(at)))
    written = trace.residual[1:, at] - trace.middle[:, at]  # (L, P, D), outputs of the feed-forward networks
    norm_bias = getattr(model.final_norm, "bias", None)
    return Attribution(
        logit=(rows * model.final_norm(trace.residual[-1, at])).sum(-1),
        token=(direction * token).sum(-1),
        position=(direction * (trace.residual[0, at] - token)).sum(-1),
        heads=torch.stack(heads),
        attention_bias=torch.stack(attention_bias),
        feed_forward=(direction * written).sum(-1),
        norm_bias=direction.new_zeros(len(at)) if norm_bias is None else rows @ norm_bias,
    )


def _through_norm(model: Transformer, x: Tensor, rows: Tensor) -> Tensor:
    """Directions (P, D) whose product with x (P, D) equals that of `rows` (P, D) with norm(x), without its bias."""
    norm = model.final_norm
    weighted = rows * norm.weight
    if isinstance(norm, LayerNorm):
        weighted = weighted - weighted.mean(dim=-1, keepdim=True)  # a . (x - mean(x)) = (a - mean(a)) . x
        x = x - x.mean(dim=-1, keepdim=True)
    return weighted / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + EPS)
