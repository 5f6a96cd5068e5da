"""A model loaded from the disk computes what the saved one did, and loading leaves torch's global state alone."""

from pathlib import Path

import pytest
import torch

from llm_studio.config import Settings
from llm_studio.errors import CheckpointError
from llm_studio.inference.load import build_model, load_model
from llm_studio.model.transformer import Transformer
from llm_studio.runs import locate, snapshots
from tests.model.builders import VOCABULARY, small_model, some_ids
from tests.runs.models import empty_project, save_checkpoint

IDS = some_ids(1, 12)


def settings_of(model: Transformer) -> Settings:
    return Settings().replaced({f"model.{name}": value for name, value in model.settings.model_dump().items()})


@pytest.mark.parametrize("positions", ["rope", "learned", "sinusoidal"])
@torch.no_grad()
def test_a_model_is_built_from_its_weights_without_drawing_random_numbers(positions: str) -> None:
    model = small_model(positions=positions)
    before = torch.get_rng_state()
    built = build_model(model.settings, model.state_dict())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(built(IDS), model(IDS)) and not built.training
    halves = {name: tensor.half() for name, tensor in model.state_dict().items()}
    torch.testing.assert_close(build_model(model.settings, halves)(IDS), model(IDS), atol=0.02, rtol=0.02)


@torch.no_grad()
def test_a_checkpoint_and_its_snapshot_compute_the_same_but_for_precision(tmp_path: Path) -> None:
    model, project = small_model(), empty_project(tmp_path)
    settings = settings_of(model)
    save_checkpoint(project, "a", 5, weights=model.state_dict(), settings=settings)
    snapshots.save(project.checkpoints / "a", 3, model.state_dict(), 10**9, settings, "{}")
    loaded = load_model(locate.locate(project, "a/5"), VOCABULARY, "cpu")
    assert torch.equal(loaded(IDS), model(IDS)) and not loaded.training
    from_snapshot = load_model(locate.locate(project, "a/3"), VOCABULARY, "cpu")
    assert from_snapshot.head_weight.dtype == torch.float32
    torch.testing.assert_close(from_snapshot(IDS), model(IDS), atol=0.02, rtol=0.02)


def test_weights_of_another_shape_are_refused_in_a_sentence(tmp_path: Path) -> None:
    model, project = small_model(), empty_project(tmp_path)
    settings = settings_of(model).replaced({"model.n_layers": 3})
    save_checkpoint(project, "a", 5, weights=model.state_dict(), settings=settings)
    with pytest.raises(CheckpointError, match="don't fit the settings"):
        load_model(locate.locate(project, "a"), VOCABULARY, "cpu")
    with pytest.raises(CheckpointError, match="don't fit"):
        build_model(model.settings, {"w": torch.ones(2)})
