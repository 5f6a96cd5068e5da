"""The smallest window that the program is made for: what doesn't fit goes below, never out of sight to the right."""

import pytest
from PySide6.QtWidgets import QLabel, QScrollArea

from llm_studio.ui import tabs
from tests.ui.driver import Driver


@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_tab_scrolls_sideways(opened: Driver, language: str) -> None:
    window = opened.window
    window.choose_language(language)
    opened.settle()
    window.resize(1024, 700)
    opened.qtbot.waitUntil(lambda: {tab.name for tab in tabs.TABS} <= set(window.pages) and window.width() == 1024)
    wide: list[str] = []
    for name in (tab.name for tab in tabs.TABS):
        page = opened.page(name)
        opened.settle()
        area = page.parent().parent()
        assert isinstance(area, QScrollArea)
        opened.qtbot.wait(50)
        if area.horizontalScrollBar().maximum() > 0:
            wide.append(name)
    assert not wide


def test_samples_have_room_in_a_wide_window(opened: Driver) -> None:
    opened.window.resize(2560, 1300)
    page = opened.page("training")
    opened.settle()
    assert page.view.samples.width() > 500
    assert page.view.card.width() > 2 * page.view.samples.width()


def test_each_number_of_texts_to_add_says_what_it_counts(opened: Driver) -> None:
    cards = opened.page("data").cards
    nouns = {made.buddy(): made.text() for made in cards.findChildren(QLabel) if made.isVisible()}
    counts = (cards.count, cards.tales, cards.articles)
    assert [nouns.get(count) for count in counts] == ["Stories", "Stories", "Articles"]
