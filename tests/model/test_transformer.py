"""What must hold for every shape of the Transformer."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from llm_studio.model.cache import KeyValueCache
from llm_studio.model.dropout import Dropout
from llm_studio.model.embeddings import sinusoids
from llm_studio.model.layers import MLP
from llm_studio.model.transformer import Transformer
from tests.model.builders import VOCABULARY, small_model, small_settings, some_ids

KINDS: list[dict[str, Any]] = [
    {"positions": "rope", "n_kv_heads": 2, "qk_norm": True},
    {"positions": "rope", "bias": True},
    {"positions": "learned", "norm": "layernorm", "activation": "gelu", "bias": True},
    {"positions": "sinusoidal", "norm": "layernorm", "tie_embeddings": False},
    {"positions": "rope", "activation": "relu2", "qk_norm": True, "zero_init": True},
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))


def new_cache(model: Transformer, batch: int) -> KeyValueCache:
    return KeyValueCache(model.settings, batch, model.settings.max_seq_len, "cpu", torch.float32)


@each_kind
def test_a_later_token_never_changes_an_earlier_output(kind: dict[str, Any]) -> None:
    model, ids = small_model(**kind), some_ids(2, 20)
    for place in (1, 7, 19):
        changed = ids.clone()
        changed[:, place] = (changed[:, place] + 1) % VOCABULARY
        before, after = model(ids), model(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place], atol=1e-6, rtol=0)
        assert (after[:, place:] - before[:, place:]).abs().amax(dim=(0, 2)).min() > 1e-4


@each_kind
def test_the_order_of_tokens_matters(kind: dict[str, Any]) -> None:
    """In one layer, where the last token sees the others as a set, apart from their positions."""
    model, ids = small_model(**kind, n_layers=1), some_ids(1, 12)
    swapped = ids[:, [1, 0, *range(2, 12)]]
    assert (model(ids)[:, -1] - model(swapped)[:, -1]).abs().max() > 1e-3


@each_kind
@pytest.mark.parametrize("chunks", [[1] * 24, [24], [5, 7, 1, 11], [1, 23]], ids=str)
@torch.no_grad()
def test_decoding_with_the_cache_equals_one_full_pass(kind: dict[str, Any], chunks: list[int]) -> None:
    model, ids = small_model(**kind), some_ids(2, 24)
    cache = new_cache(model, 2)
    for _ in range(2):  # a cleared cache works like a new one
        cache.clear()
        chunkwise = torch.cat([model(chunk, cache) for chunk in ids.split(chunks, dim=1)], dim=1)
        torch.testing.assert_close(chunkwise, model(ids), atol=1e-5, rtol=0)
    assert cache.length == 24


def test_sinusoids_are_those_of_the_paper() -> None:
    waves = sinusoids(30, 8)
    for position, i in ((0, 0), (7, 1), (29, 3)):
        angle = position / 10000 ** (2 * i / 8)
        assert waves[position, 2 * i : 2 * i + 2].tolist() == pytest.approx([math.sin(angle), math.cos(angle)])


def test_a_full_cache_refuses_more_tokens() -> None:
    model = small_model()
    cache = KeyValueCache(model.settings, 1, 8, "cpu", torch.float32)
    model(some_ids(1, 6), cache)
    with pytest.raises(ValueError, match="holds 8 tokens: 9"):
        model(some_ids(1, 3), cache)


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="25 tokens don't fit in a context of 24"):
        small_model()(some_ids(1, 25))


@each_kind
def test_the_loss_is_the_cross_entropy_of_the_logits(kind: dict[str, Any]) -> None:
    model, ids, targets = small_model(**kind), some_ids(3, 20), some_ids(3, 20, seed=2)
    expected = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(model.loss(ids, targets), expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(model.loss(ids, targets), list(model.parameters()))
    for gradient, expected_gradient in zip(
        gradients, torch.autograd.grad(expected, list(model.parameters())), strict=True
    ):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-7)


@each_kind
def test_the_kernels_compute_what_the_formulas_say(kind: dict[str, Any]) -> None:
    """In float64 the model is computed by the formulas alone, in float32 by the kernels."""
    model, ids, targets = small_model(**kind), some_ids(3, 20), some_ids(3, 20, seed=2)
    exact = small_model(**kind).double()
    torch.testing.assert_close(model(ids).double(), exact(ids), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.loss(ids, targets).double(), exact.loss(ids, targets), rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(model.loss(ids, targets), list(model.parameters()))
    expected = torch.autograd.grad(exact.loss(ids, targets), list(exact.parameters()))
    for gradient, expected_gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-6)


def test_four_micro_batches_of_eight_equal_one_of_thirty_two() -> None:
    model, ids, targets = small_model(), some_ids(32, 16), some_ids(32, 16, seed=2)
    model.loss(ids, targets).backward()
    whole = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for start in range(0, 32, 8):
        (model.loss(ids[start : start + 8], targets[start : start + 8]) / 4).backward()
    assert whole
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, whole[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("length", [24, 150])
@each_kind
def test_training_in_bfloat16_follows_float32(kind: dict[str, Any], length: int) -> None:
    model = small_model(**kind, max_seq_len=length)
    ids, targets = some_ids(4, length), some_ids(4, length, seed=2)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(model.loss(ids, targets), list(model.parameters()))])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(ids, targets)
    rounded = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
    assert loss.dtype == rounded.dtype == torch.float32
    assert loss.item() == pytest.approx(model.loss(ids, targets).item(), rel=0.01)
    assert F.cosine_similarity(exact, rounded, dim=0) > 0.999
    assert rounded.norm() / exact.norm() == pytest.approx(1, rel=0.02)


@each_kind
def test_a_new_model_knows_nothing(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Transformer(small_settings(**kind), VOCABULARY)
    loss = model.loss(some_ids(8, 24), some_ids(8, 24, seed=2)).item()
    assert loss == pytest.approx(math.log(VOCABULARY), abs=0.1)


def test_the_seed_decides_the_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = Transformer(small_settings(), VOCABULARY)
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_matrices_that_write_into_the_stream_start_smaller() -> None:
    torch.manual_seed(0)
    state = Transformer(small_settings(d_model=128, n_layers=8), VOCABULARY).state_dict()
    for name, tensor in state.items():
        if tensor.ndim == 2:
            residual = "output" in name or "down" in name
            assert tensor.std().item() == pytest.approx(0.02 / 4 if residual else 0.02, rel=0.1), name


def test_with_zero_init_the_blocks_start_as_the_identity_and_learn() -> None:
    torch.manual_seed(0)
    model = Transformer(small_settings(zero_init=True), VOCABULARY)
    ids = some_ids(2, 20)
    torch.testing.assert_close(model.hidden(ids), model.final_norm(model.embeddings(ids)))
    model.loss(ids, some_ids(2, 20, seed=2)).backward()
    for block in model.blocks:
        gradient = block.get_parameter("feed_forward.down.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_a_squared_relu_is_what_it_says() -> None:
    network = MLP(small_settings(activation="relu2"))
    x = torch.randn(3, 5, 32)
    expected = network.up(x).clamp(min=0) ** 2 @ network.down.weight.t()
    torch.testing.assert_close(network(x), expected)


def test_each_weight_is_stored_once() -> None:
    for tied in (True, False):
        state = small_model(tie_embeddings=tied).state_dict()
        assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
        assert ("head.weight" in state) != tied


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["kernel", "formula"])
def test_dropout_drops_a_fraction_p_and_keeps_the_mean(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropout, x = Dropout(0.3), torch.ones(1001, 999, dtype=dtype, requires_grad=True)
    y = dropout(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.003)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert y.mean().item() == pytest.approx(1, abs=0.005)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())
    assert dropout.eval()(x) is x


def test_dropout_is_on_only_in_training() -> None:
    model, ids = small_model(dropout=0.5), some_ids(1, 20)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


@each_kind
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_recomputed_activations_give_the_same_gradients(kind: dict[str, Any], precision: torch.dtype) -> None:
    """To the last bit, with the same dropout, and the random numbers drawn afterwards are the same, too."""
    model, ids = small_model(**kind, dropout=0.2).train(), some_ids(2, 20)
    found: list[list[torch.Tensor]] = []
    for recompute in (False, True):
        model.checkpoint_activations = recompute
        torch.manual_seed(5)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss = model.loss(ids[:, :-1], ids[:, 1:])
        loss.backward()
        found.append(
            [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None), torch.rand(3)]
        )
        model.zero_grad()
    assert len(found[0]) == len(found[1]) > 10
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_recomputed_activations_are_not_stored() -> None:
    stored: list[int] = []
    for recompute in (False, True):
        model, ids, count = small_model(n_layers=3), some_ids(2, 20), 0
        model.checkpoint_activations = recompute

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += 1
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.loss(ids[:, :-1], ids[:, 1:])
        stored.append(count)
    assert stored[1] < stored[0] / 3
