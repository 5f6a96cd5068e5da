"""Neighbours are nearest by cosine; the map is a projection that keeps as much of the variance as two axes can."""

import pytest
import torch

from llm_studio.inference.embeddings import neighbours, principal_components
from tests.model.builders import VOCABULARY, small_model


def test_neighbours_are_those_with_the_largest_cosine() -> None:
    model = small_model()
    table = model.embeddings.token.weight.detach().double()
    unit = table / table.norm(dim=1, keepdim=True)
    cosines = (unit @ unit[7]).tolist()
    expected = sorted((token for token in range(VOCABULARY) if token != 7), key=lambda token: -cosines[token])
    found = neighbours(model, 7, 10)
    assert [one.token for one in found] == expected[:10]
    assert [one.cosine for one in found] == pytest.approx([cosines[token] for token in expected[:10]], abs=1e-5)
    assert len(neighbours(model, 7, 1000)) == VOCABULARY - 1


def test_a_token_that_is_a_multiple_of_another_is_its_nearest_neighbour() -> None:
    model = small_model()
    with torch.no_grad():
        model.embeddings.token.weight[3] = 5 * model.embeddings.token.weight[60]
    assert neighbours(model, 60, 1)[0] == (3, pytest.approx(1.0, abs=1e-5))


@pytest.mark.parametrize("tokens", [None, [1, 5, 9, 20, 33], [4, 4], [2], []])
def test_the_map_is_that_of_a_singular_value_decomposition(tokens: list[int] | None) -> None:
    model = small_model()
    table = model.embeddings.token.weight.detach().double()
    chosen = table if tokens is None else table[tokens]
    found = principal_components(model, tokens)
    assert found.points.shape == (len(chosen), 2)
    if len(chosen) == 0:
        return
    centered = chosen - chosen.mean(0)
    values = torch.linalg.svdvals(centered)
    lengths = found.points.double().square().sum(0)  # the variance on each axis
    for axis in range(2):
        value = values[axis].item() ** 2 if axis < len(values) else 0.0
        assert lengths[axis] == pytest.approx(value, abs=1e-4)
        assert found.explained[axis] == pytest.approx(value / (values.square().sum().item() or 1), abs=1e-4)
    assert abs((found.points[:, 0] * found.points[:, 1]).sum()) < 1e-3 * max(1.0, lengths[0])


def test_the_map_is_the_same_each_time_and_draws_nothing_from_the_global_generator() -> None:
    model, before = small_model(), torch.get_rng_state()
    assert torch.equal(principal_components(model).points, principal_components(model).points)
    assert torch.equal(torch.get_rng_state(), before)
