"""The whole model: a decoder-only Transformer that reads tokens and predicts, at each position, the next one.

    ids (B, T) -> embeddings -> block x n_layers -> norm -> head -> logits (B, T, V)

Axes: B batch, T new tokens, S all tokens so far, D = d_model, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from llm_studio.config import ModelSettings
from llm_studio.model.cache import KeyValueCache
from llm_studio.model.embeddings import Embeddings, RotaryPositions
from llm_studio.model.kernels import compute_dtype
from llm_studio.model.layers import Block, make_norm
from llm_studio.model.loss import cross_entropy

INIT_STD = 0.02
"""Standard deviation of new weights, as in GPT-2."""


class Transformer(nn.Module):
    """A language model with `vocab_size` tokens: the trained tokenizer's, which may be fewer than the settings'."""

    def __init__(self, settings: ModelSettings, vocab_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.vocab_size = vocab_size
        self.checkpoint_activations = False
        """In training, discard the activations inside the blocks and recompute them in the backward pass: less memory,
        a quarter to a third slower, and bit-identical gradients (Chen et al. 2016)."""
        self.embeddings = Embeddings(settings, vocab_size)
        self.rotary = RotaryPositions(settings) if settings.positions == "rope" else None
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.n_layers))
        self.final_norm = make_norm(settings)
        # tied, the table that embeds tokens also predicts them (Press and Wolf 2017), and is stored once
        self.head = None if settings.tie_embeddings else nn.Linear(settings.d_model, vocab_size, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialize the weights with torch's global generator.

        Each of the 2 x n_layers sublayers adds to the residual stream. The standard deviation of a sum of n independent
        terms grows with sqrt(n), so the matrices that write into the stream start smaller by that factor (GPT-2,
        section 2.3). With `zero_init` they start at zero, so that each block starts as the identity.
        """
        residual_std = 0.0 if self.settings.zero_init else INIT_STD / math.sqrt(2 * self.settings.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
                nn.init.normal_(parameter, std=residual_std if is_residual else INIT_STD)
            else:
                nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)

    @property
    def head_weight(self) -> Tensor:
        """The matrix (V, D) that turns vectors into logits."""
        return self.embeddings.token.weight if self.head is None else self.head.weight

    def forward(self, ids: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits (B, T, V) for the token after each of `ids` (B, T), int64. Tokens in `cache` come before them."""
        return self.logits(self.hidden(ids, cache))

    def hidden(self, ids: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """The last hidden states (B, T, D), normalised, from which the logits are computed."""
        start = 0 if cache is None else cache.length
        count = ids.shape[1]
        if start + count > self.settings.max_seq_len:
            raise ValueError(f"{start + count} tokens don't fit in a context of {self.settings.max_seq_len}")
        x = self.embeddings(ids, start)  # (B, T, D)
        rotation = None if self.rotary is None else self.rotary(start, count, compute_dtype(x))
        recompute = self.checkpoint_activations and cache is None and torch.is_grad_enabled()
        for layer, block in enumerate(self.blocks):
            x = checkpoint(block, x, rotation, use_reentrant=False) if recompute else block(x, rotation, cache, layer)
        if cache is not None:
            cache.advance(count)
        return self.final_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores (..., V), one for each token of the vocabulary, from hidden states (..., D)."""
        return F.linear(hidden, self.head_weight)

    def loss(self, ids: Tensor, targets: Tensor, loss_mask: Tensor | None = None) -> Tensor:
        """Mean cross-entropy in nats per token of predicting `targets` (B, T), the token after each of `ids`.

        With `loss_mask` (B, T), bool, the mean is over the targets where it is true; 0 if it is false everywhere. The
        mask may be on the CPU while the rest is on a GPU: its targets are then counted without waiting for the GPU.
        """
        hidden, targets = self.hidden(ids).flatten(0, 1), targets.flatten()  # (B x T, D), (B x T,)
        if loss_mask is not None:  # skip the logits of the other targets
            indices = loss_mask.flatten().nonzero()[:, 0].to(hidden.device, non_blocking=True)
            hidden, targets = hidden.index_select(0, indices), targets.index_select(0, indices)
        return cross_entropy(hidden, self.head_weight, targets)

    def parameter_count(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
