"""Small models for tests."""

from typing import Any

import torch

from llm_studio.config import ModelSettings
from llm_studio.model.transformer import Transformer

VOCABULARY = 97


def small_settings(**changes: Any) -> ModelSettings:
    """A tiny shape, without dropout unless asked for."""
    shape: dict[str, Any] = {"d_model": 32, "n_heads": 4, "n_layers": 2, "d_ff": 48, "max_seq_len": 24, "dropout": 0.0}
    return ModelSettings(**(shape | changes))


def small_model(seed: int = 0, **changes: Any) -> Transformer:
    """A tiny model in which every weight matters: none is 0 or 1, as fresh biases and norms are."""
    torch.manual_seed(seed)
    model = Transformer(small_settings(**changes), VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def some_ids(batch: int, length: int, seed: int = 1) -> torch.Tensor:
    """Random tokens (batch, length)."""
    return torch.randint(VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))
