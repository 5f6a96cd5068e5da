"""AdamW pulls matrices towards zero and leaves the rest; its state survives being stored."""

import pytest
import torch

from llm_studio.config import TrainingSettings
from llm_studio.model.transformer import Transformer
from llm_studio.training import optimizer
from tests.model.builders import small_model, some_ids

SETTINGS = TrainingSettings(learning_rate=0.01, weight_decay=0.5)


def model() -> Transformer:
    return small_model(positions="learned", norm="layernorm", activation="gelu", bias=True)


def step(model: Transformer, adamw: torch.optim.Optimizer, seed: int) -> None:
    model.loss(some_ids(4, 16, seed), some_ids(4, 16, seed + 100)).backward()
    adamw.step()
    adamw.zero_grad()


def test_weight_decay_pulls_matrices_only() -> None:
    """Seen in a step whose gradients are all zero, in which nothing else moves a weight."""
    trained = model()
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    for parameter in trained.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.build(trained, SETTINGS).step()
    kinds = {p.dim() for p in trained.parameters()}
    assert kinds == {1, 2}
    for name, parameter in trained.named_parameters():
        expected = before[name] * (1 - 0.01 * 0.5) if parameter.dim() == 2 else before[name]
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-6, atol=0, msg=name)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_trained_once(tied: bool) -> None:
    trained = small_model(tie_embeddings=tied)
    held = [id(p) for group in optimizer.build(trained, SETTINGS).param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in trained.parameters())


def test_its_numbers_are_those_of_the_settings() -> None:
    settings = TrainingSettings(learning_rate=0.02, beta1=0.8, beta2=0.9, weight_decay=0.3)
    groups = optimizer.build(model(), settings).param_groups
    assert [(g["lr"], g["betas"], g["weight_decay"]) for g in groups] == [
        (0.02, (0.8, 0.9), 0.3),
        (0.02, (0.8, 0.9), 0),
    ]


def test_a_restored_optimizer_goes_on_bit_for_bit() -> None:
    whole, parts = model(), model()
    one = optimizer.build(whole, SETTINGS)
    for seed in range(4):
        step(whole, one, seed)
    before = optimizer.build(parts, SETTINGS)
    for seed in range(2):
        step(parts, before, seed)
    saved = {name: t.clone() for name, t in optimizer.state_tensors(before, parts).items()}
    assert len(saved) == 3 * len(list(parts.parameters()))
    after = optimizer.build(parts, SETTINGS)
    optimizer.load_state_tensors(after, parts, saved)
    for seed in range(2, 4):
        step(parts, after, seed)
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, parts.get_parameter(name)), name
