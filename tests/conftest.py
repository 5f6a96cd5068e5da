"""Fixtures shared by all tests."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from llm_studio import i18n
from llm_studio.openmp import wait_briefly
from llm_studio.project import Project

wait_briefly()  # as the program does, before torch is imported


def _keep_to_own_cores() -> None:
    """Several workers side by side: each takes its share of the cores, or their threads would wait for each other."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if hasattr(os, "sched_setaffinity") and worker and count > 1:
        cores = sorted(os.sched_getaffinity(0))
        own = cores[int(worker.removeprefix("gw")) % len(cores) :: count] if count <= len(cores) else cores
        os.sched_setaffinity(0, own)


_keep_to_own_cores()

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")

REAL_TEXTS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Tests read English sentences, and leave the language as they found it."""
    i18n.activate("en")
    yield
    i18n.activate("en")


@pytest.fixture(autouse=True)
def nothing_measured() -> None:
    """No forecast remembers what was measured in an earlier test."""
    forecast = sys.modules.get("llm_studio.workflows.training.forecast")
    if forecast is not None:
        forecast._measurements.clear()


@pytest.fixture
def real_text() -> Path:
    """The folder of real texts; the test is skipped where it is absent."""
    if not REAL_TEXTS.is_dir():
        pytest.skip("the real texts are not at hand")
    return REAL_TEXTS


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with its tokens, never trained in."""
    from tests.tiny import project_with_tokens

    return project_with_tokens(tmp_path_factory.mktemp("prepared") / "project").root


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    """A copy of the tiny project, to train in."""
    shutil.copytree(prepared, tmp_path / "project")
    return Project.open(tmp_path / "project")
