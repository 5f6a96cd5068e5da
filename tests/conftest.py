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
    """Give each of several parallel workers some of the cores; otherwise their threads would wait for each other."""
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
    """Tests expect English messages; the language is reset after each."""
    i18n.activate("en")
    yield
    i18n.activate("en")


@pytest.fixture(autouse=True)
def nothing_measured() -> None:
    """Remove the forecasts' cached measurements of earlier tests."""
    forecast = sys.modules.get("llm_studio.workflows.training.forecast")
    if forecast is not None:
        forecast._measurements.clear()


@pytest.fixture
def real_text() -> Path:
    """The folder of real texts; the test is skipped if it doesn't exist."""
    if not REAL_TEXTS.is_dir():
        pytest.skip("the real texts are not at hand")
    return REAL_TEXTS


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny project with its tokens; it must not be modified."""
    from tests.tiny import project_with_tokens

    return project_with_tokens(tmp_path_factory.mktemp("prepared") / "project").root


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    """A copy of the tiny project, which a test may modify."""
    shutil.copytree(prepared, tmp_path / "project")
    return Project.open(tmp_path / "project")
