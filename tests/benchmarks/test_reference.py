"""The reference of the speed benchmark has the program's own architecture: otherwise the comparison is invalid."""

import pytest
import torch

from llm_studio.config.presets import load_preset
from llm_studio.model.transformer import Transformer
from tests.benchmarks.reference import PlainTransformer
from tests.benchmarks.training import STEPS
from tests.model.builders import VOCABULARY, small_model, some_ids


def plain_weights(ours: Transformer) -> dict[str, torch.Tensor]:
    """Our weights under the names of the plain model."""
    settings, state = ours.settings, ours.state_dict()
    widths = [n * settings.head_width for n in (settings.n_heads, settings.kv_heads, settings.kv_heads)]
    found = {"token.weight": ours.embeddings.token.weight, "head.weight": ours.head_weight}
    found["norm.weight"] = state["final_norm.weight"]
    for name, tensor in state.items():
        if not name.startswith("blocks."):
            continue
        block, _dot, part = name.removeprefix("blocks.").partition(".")
        prefix = f"blocks.{block}."
        if part == "attention.qkv.weight":
            parts = zip(("query", "key", "value"), tensor.split(widths), strict=True)
            found |= {f"{prefix}{short}.weight": rows for short, rows in parts}
        elif part == "feed_forward.gate_up.weight":
            gate, up = tensor.chunk(2)
            found |= {f"{prefix}gate.weight": gate, f"{prefix}up.weight": up}
        else:
            found[prefix + part.removeprefix("attention.").removeprefix("feed_forward.")] = tensor
    return found


@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("n_kv_heads", [None, 2])
def test_with_the_same_weights_the_plain_model_has_the_same_loss(n_kv_heads: int | None, qk_norm: bool) -> None:
    ours = small_model(n_kv_heads=n_kv_heads, qk_norm=qk_norm)
    plain = PlainTransformer(ours.settings, VOCABULARY)
    plain.load_state_dict(plain_weights(ours))
    ids, targets = some_ids(3, 24), some_ids(3, 24, seed=2)
    torch.testing.assert_close(plain.loss(ids, targets), ours.loss(ids, targets), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("preset", STEPS)
def test_both_have_the_same_number_of_parameters(preset: str) -> None:
    settings = load_preset(preset).model  # type: ignore[arg-type]
    with torch.device("meta"):
        plain, ours = PlainTransformer(settings, 1000), Transformer(settings, 1000)
    assert sum(p.numel() for p in plain.parameters()) == ours.parameter_count()
