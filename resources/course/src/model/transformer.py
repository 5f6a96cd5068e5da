"""The whole model: a decoder-only Transformer that reads tokens and predicts, at each position, the next one.

    ids (B, T) -> embeddings -> block x n_layers -> norm -> head -> logits (B, T, V)

Axes: B batch, T tokens, D = d_model, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.model.attention import CausalSelfAttention, KeyValueCache
from src.model.embeddings import Embeddings
from src.model.layers import FeedForward, Norm

INIT_STD = 0.02
"""Standard deviation of new weights, as in GPT-2."""


class Block(nn.Module):
    """x = x + attention(norm(x)), then x = x + feed_forward(norm(x)).

    The sums are the residual stream: each layer adds something to x instead of replacing it (He et al. 2015).
    """

    def __init__(self, config) -> None:
        super().__init__()
        self.attention_norm = Norm(config.d_model)
        self.attention = CausalSelfAttention(config)
        self.feed_forward_norm = Norm(config.d_model)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        """x (B, T, D) to (B, T, D)."""
        x = x + self.attention(self.attention_norm(x), cache, layer)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(nn.Module):
    """A language model. Its settings are those under `model` in config/config.yaml."""

    def __init__(self, config) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = Norm(config.d_model)
        # [if not tied]
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        # [end]
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Random weights. Those that write into the residual stream start smaller, as many of them add up there."""
        # [if zero_init]
        residual_std = 0.0  # each block starts by changing nothing
        # [else]
        residual_std = INIT_STD / (2 * self.config.n_layers) ** 0.5
        # [end]
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
                nn.init.normal_(parameter, std=residual_std if is_residual else INIT_STD)
            else:
                nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)

    def forward(self, ids: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits (B, T, V): scores for the token after each of `ids` (B, T), which come after the tokens in `cache`."""
        start = 0 if cache is None else cache.length
        x = self.embeddings(ids, start)  # (B, T, D)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, layer)
        if cache is not None:
            cache.length += ids.shape[1]
        x = self.final_norm(x)
        # [if tied]
        return F.linear(x, self.embeddings.token.weight)  # the table that embeds tokens also predicts them
        # [else]
        return self.head(x)
        # [end]

    # [if not answers]
    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy: how surprised the model is by the token that really follows, in nats, on average."""
        return F.cross_entropy(self(ids).float().flatten(0, 1), targets.flatten())

    # [end]
    # [if answers]
    def loss(self, ids: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        """Cross-entropy: how surprised the model is by the token that follows, in nats, on average over the answers."""
        logits = self(ids)[counted]  # (N, V): one for each token of an answer
        return F.cross_entropy(logits.float(), targets[counted], reduction="sum") / max(len(logits), 1)

    # [end]
