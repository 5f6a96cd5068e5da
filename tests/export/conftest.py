"""Models to export, each trained once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llm_studio.runs.locate import ModelRef
from tests.export.trained import train_variant


@pytest.fixture(scope="session")
def variant(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelRef]:
    """Gives the model of one of `trained.VARIANTS`."""
    known: dict[str, ModelRef] = {}
    folder = tmp_path_factory.mktemp("variants")

    def trained(name: str) -> ModelRef:
        if name not in known:
            known[name] = train_variant(prepared, folder, name)
        return known[name]

    return trained
