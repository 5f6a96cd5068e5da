"""AdamW pulls matrices towards zero and leaves the rest; its state survives being stored."""

import pytest
import torch

from llm_studio.config import TrainingSettings
from llm_studio.model.transformer import Transformer
from llm_studio.training.optim import optimizer
from tests.model.builders import small_model, some_ids

SETTINGS = TrainingSettings(learning_rate=0.01, weight_decay=0.5)
MUON = TrainingSettings(optimizer="muon", learning_rate=0.01, muon_learning_rate=0.02, weight_decay=0.5)
both = pytest.mark.parametrize("settings", [SETTINGS, MUON], ids=["adamw", "muon"])


def model() -> Transformer:
    return small_model(positions="learned", norm="layernorm", activation="gelu", bias=True)


def step(model: Transformer, adamw: torch.optim.Optimizer, seed: int) -> None:
    model.loss(some_ids(4, 16, seed), some_ids(4, 16, seed + 100)).backward()
    adamw.step()
    adamw.zero_grad()


@both
def test_weight_decay_pulls_matrices_only(settings: TrainingSettings) -> None:
    """Seen in a step whose gradients are all zero, in which nothing else moves a weight."""
    trained = model()
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    for parameter in trained.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.build(trained, settings).step()
    kinds = {p.dim() for p in trained.parameters()}
    assert kinds == {1, 2}
    for name, parameter in trained.named_parameters():
        rate = settings.muon_learning_rate if settings.optimizer == "muon" and "blocks" in name else 0.01
        expected = before[name] * (1 - rate * 0.5) if parameter.dim() == 2 else before[name]
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-6, atol=0, msg=name)


@both
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_trained_once(tied: bool, settings: TrainingSettings) -> None:
    trained = small_model(tie_embeddings=tied)
    held = [id(p) for group in optimizer.build(trained, settings).param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in trained.parameters())


def test_its_numbers_are_those_of_the_settings() -> None:
    settings = TrainingSettings(learning_rate=0.02, beta1=0.8, beta2=0.9, weight_decay=0.3)
    groups = optimizer.build(model(), settings).param_groups
    assert [(g["lr"], g["betas"], g["weight_decay"]) for g in groups] == [
        (0.02, (0.8, 0.9), 0.3),
        (0.02, (0.8, 0.9), 0),
    ]


def test_muon_takes_the_matrices_of_the_blocks_alone_and_its_rate_follows() -> None:
    trained = model()
    built = optimizer.build(trained, MUON)
    built.set_learning_rate(0.001)
    rates = {id(p): group["lr"] for group in built.param_groups for p in group["params"]}
    for name, parameter in trained.named_parameters():
        inner = "blocks" in name and parameter.dim() == 2
        assert rates[id(parameter)] == pytest.approx(0.002 if inner else 0.001), name


@pytest.mark.parametrize(("before", "after"), [(SETTINGS, MUON), (MUON, SETTINGS)], ids=["to muon", "to adamw"])
def test_a_run_may_go_on_with_another_optimizer(before: TrainingSettings, after: TrainingSettings) -> None:
    """What fits is taken over, the rest begins anew."""
    trained = model()
    old, new = optimizer.build(trained, before), optimizer.build(trained, after)
    step(trained, old, 0)
    optimizer.load_state_tensors(new, trained, optimizer.state_tensors(old, trained))
    kept = {name for name in optimizer.state_tensors(new, trained) if "blocks" not in name}
    assert kept == {name for name in optimizer.state_tensors(old, trained) if "blocks" not in name}
    step(trained, new, 1)
    assert all(torch.isfinite(p).all() for p in trained.parameters())


@both
def test_without_its_state_it_begins_again(settings: TrainingSettings) -> None:
    fresh, used = model(), model()
    one, other = optimizer.build(fresh, settings), optimizer.build(used, settings)
    step(used, other, 5)
    used.load_state_dict(model().state_dict())
    other.state.clear()
    for seed in range(2):
        step(fresh, one, seed)
        step(used, other, seed)
    assert all(torch.equal(p, used.get_parameter(name)) for name, p in fresh.named_parameters())


def test_a_step_that_overflowed_in_float16_changes_nothing_of_either() -> None:
    trained = model()
    built, scaler = optimizer.build(trained, MUON), torch.amp.GradScaler("cpu", init_scale=8.0)
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    scaler.scale(trained.loss(some_ids(4, 16), some_ids(4, 16, 2))).backward()
    spoiled = trained.get_parameter("blocks.0.attention.output.weight").grad
    assert spoiled is not None
    spoiled[0, 0] = float("inf")
    scaler.unscale_(built)
    scaler.step(built)
    scaler.update()
    assert all(torch.equal(p, before[name]) for name, p in trained.named_parameters())
    assert scaler.get_scale() == 4.0


@both
def test_a_restored_optimizer_goes_on_bit_for_bit(settings: TrainingSettings) -> None:
    whole, parts = model(), model()
    one = optimizer.build(whole, settings)
    for seed in range(4):
        step(whole, one, seed)
    before = optimizer.build(parts, settings)
    for seed in range(2):
        step(parts, before, seed)
    saved = {name: t.clone() for name, t in optimizer.state_tensors(before, parts).items()}
    by_muon = sum("blocks" in n and p.dim() == 2 for n, p in parts.named_parameters()) if settings is MUON else 0
    assert len(saved) == 3 * len(list(parts.parameters())) - 2 * by_muon
    after = optimizer.build(parts, settings)
    optimizer.load_state_tensors(after, parts, saved)
    for seed in range(2, 4):
        step(parts, after, seed)
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, parts.get_parameter(name)), name


@both
def test_going_back_to_where_no_step_was_done_leaves_nothing_of_the_steps_since(settings: TrainingSettings) -> None:
    trained = model()
    built = optimizer.build(trained, settings)
    nothing = optimizer.state_tensors(built, trained)
    step(trained, built, 0)
    assert optimizer.state_tensors(built, trained)
    optimizer.load_state_tensors(built, trained, nothing)
    assert not optimizer.state_tensors(built, trained)
