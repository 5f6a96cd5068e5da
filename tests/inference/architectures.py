"""All architectures that the settings allow, as tiny random models."""

from typing import Any

from hypothesis import strategies as st

from llm_studio.model.transformer import Transformer
from tests.model.builders import small_model

CHOICES: dict[str, tuple[object, ...]] = {
    "positions": ("rope", "learned", "sinusoidal"), "n_kv_heads": (None, 1, 2), "tie_embeddings": (True, False),
    "qk_norm": (True, False), "norm": ("rmsnorm", "layernorm"), "activation": ("swiglu", "gelu", "relu2"),
    "bias": (True, False),
}  # fmt: skip


def architectures() -> st.SearchStrategy[dict[str, Any]]:
    """Settings of any architecture."""
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CHOICES.items()})


def models() -> st.SearchStrategy[Transformer]:
    """A tiny model of any architecture in which every weight matters."""
    return st.builds(lambda seed, settings: small_model(seed, **settings), st.integers(0, 3), architectures())
