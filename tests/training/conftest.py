"""Projects for the tests of training."""

import shutil
from pathlib import Path

import pytest

from llm_studio.project import Project
from tests.tiny import project_with_tokens


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with its tokens, never trained in."""
    return project_with_tokens(tmp_path_factory.mktemp("prepared") / "project").root


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    """A copy of the tiny project, to train in."""
    shutil.copytree(prepared, tmp_path / "project")
    return Project.open(tmp_path / "project")
