"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from llm_studio import i18n

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is imported

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")

REAL_TEXTS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Tests read English sentences, and leave the language as they found it."""
    i18n.activate("en")
    yield
    i18n.activate("en")


@pytest.fixture
def real_text() -> Path:
    """The folder of real texts; the test is skipped where it is absent."""
    if not REAL_TEXTS.is_dir():
        pytest.skip("the real texts are not at hand")
    return REAL_TEXTS
