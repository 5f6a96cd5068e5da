"""One browser for the tests of a process, which must not complain of anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.config import ModelSettings
from tests.model.builders import small_settings
from tests.web.browser import Browser, browser
from tests.web.models import checkpoint, page_of


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser that stays open."""
    with browser() as page:
        yield page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Browser]:
    """The browser; in the end it must have fetched nothing and written nothing to the console."""
    chromium.said.clear()
    chromium.resize(1280, 800)
    yield chromium
    assert chromium.said == []


def settings(**changes: object) -> ModelSettings:
    """A tiny model whose widths aren't multiples of 16."""
    return small_settings(**({"d_model": 40, "d_ff": 52, "max_seq_len": 24} | changes))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a tiny model, named with accents."""
    folder = tmp_path_factory.mktemp("web")
    return page_of(checkpoint(folder, settings()), folder / "modèle d’été.html")


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a model that was trained on conversations."""
    folder = tmp_path_factory.mktemp("web")
    return page_of(checkpoint(folder, settings(), conversations=True), folder / "chat.html")
