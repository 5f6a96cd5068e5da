"""The smallest window that the program is made for: what doesn't fit goes below, never out of sight to the right."""

import pytest
from PySide6.QtWidgets import QScrollArea

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
