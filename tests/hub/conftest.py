"""A hub on loopback for each test, and a project to download into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.config import Settings
from llm_studio.data.sources.hub import download, requests
from llm_studio.project import Project
from tests.hub.server import Hub, serving


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A running hub without datasets, which the program uses; tries follow each other quickly."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(requests, "RETRY_DELAYS", (0.01, 0.02, 0.05))
    monkeypatch.setattr(requests, "_CONNECTION_TIMEOUT", 20.0)  # seconds: a busy machine answers slowly
    monkeypatch.setattr(download, "MAX_PART_BYTES", 100_000)
    with serving() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A project without texts."""
    return Project.create(tmp_path / "project", Settings())
