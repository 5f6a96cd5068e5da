"""Muon's updates are orthogonal, whatever the shape, and those of PyTorch's own implementation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.training.optim.muon import Muon, orthogonal

SHAPES = ((24, 8), (24, 8), (8, 8), (8, 24), (8, 40))


def matrices(seed: int, shapes: tuple[tuple[int, int], ...] = SHAPES) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def give_gradients(parameters: list[torch.nn.Parameter], seed: int) -> None:
    for parameter, gradient in zip(parameters, matrices(seed), strict=True):
        parameter.grad = gradient.detach().clone()


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 30), st.floats(-6, 6), st.integers(0, 2**31))
def test_all_directions_are_about_as_long(count: int, rows: int, more: int, magnitude: float, seed: int) -> None:
    """In float64, for matrices that are no longer than 50 times as wide in one direction as in another."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, rows, rows + more, generator=generator, dtype=torch.float64)
    u, _s, v = torch.linalg.svd(x, full_matrices=False)
    spread = torch.logspace(0, -1.7, rows, dtype=torch.float64)
    made = orthogonal(10**magnitude * (u * spread) @ v)
    lengths = torch.linalg.svdvals(made)
    assert lengths.min() > 0.5
    assert lengths.max() < 1.3
    torch.testing.assert_close(made @ v.mT @ u.mT, (made @ v.mT @ u.mT).mT)  # the directions are those of x


@pytest.mark.parametrize("columns", [16, 40])
def test_float32_has_enough_digits_for_both_ways(columns: int) -> None:
    u, _s, v = torch.linalg.svd(torch.randn(3, 16, columns, generator=torch.Generator().manual_seed(1)).double(),
                                full_matrices=False)  # fmt: skip
    x = u * torch.logspace(0, -3, 16, dtype=torch.float64) @ v
    exact = orthogonal(x)
    assert (orthogonal(x.float()) - exact).norm() < 1e-3 * exact.norm()


def test_a_zero_gradient_gives_no_update() -> None:
    assert torch.equal(orthogonal(torch.zeros(2, 3, 5)), torch.zeros(2, 3, 5))


def test_it_is_the_muon_of_pytorch() -> None:
    """Which works on one matrix at a time, and in bfloat16 whatever the processor can: hence the wide tolerance."""
    ours, theirs = matrices(0), matrices(0)
    one = Muon(list(ours), 0.02, 0.9, 0.1, torch.float32)
    other = torch.optim.Muon(theirs, lr=0.02, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for seed in range(1, 4):
        for parameters, optimizer in ((ours, one), (theirs, other)):
            give_gradients(parameters, seed)
            optimizer.step()
    for begin, mine, its in zip(matrices(0), ours, theirs, strict=True):
        moved = torch.linalg.vector_norm(mine - begin)
        assert moved > 0.05
        assert torch.linalg.vector_norm(mine - its) < 0.03 * moved


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrices_of_one_shape_are_updated_as_if_alone(dtype: torch.dtype) -> None:
    together, alone = matrices(0), matrices(0)
    Muon(list(give(together)), 0.02, 0.95, 0.0, dtype).step()
    for parameter in give(alone):
        Muon([parameter], 0.02, 0.95, 0.0, dtype).step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3 if dtype == torch.bfloat16 else 1e-6)


def give(parameters: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    give_gradients(parameters, 7)
    return parameters


def test_one_without_a_gradient_stays() -> None:
    parameters = matrices(0)
    parameters[1].grad = torch.ones_like(parameters[1])
    Muon(list(parameters), 0.02, 0.95, 0.1, torch.float32).step()
    for index, (parameter, before) in enumerate(zip(parameters, matrices(0), strict=True)):
        assert torch.equal(parameter, before) == (index != 1)
