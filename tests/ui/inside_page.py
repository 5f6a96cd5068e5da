"""Drives the tab Inside: opens it on a project and waits for what it shows."""

from typing import Any

from llm_studio.project import Project
from tests.ui.driver import LONG, Driver

TEXT = "Once upon a time there was a little cat."


def ready(driver: Driver, project: Project, view: str = "surprise", text: str = TEXT) -> Any:
    """The page of the opened project, with a view of a text."""
    driver.open(project)
    page = driver.page("inside")
    page.box.set_text(text)
    show(driver, page, view)
    return page


def show(driver: Driver, page: Any, view: str) -> None:
    """Click on the name of a view, and wait for what it shows."""
    driver.click(page.views.main.views[view].accessibleName(), page.views.choice)
    computed(driver, page)


def computed(driver: Driver, page: Any) -> None:
    """Wait until what is shown is that of the text, the moments and the view."""
    driver.settle()

    def is_shown() -> bool:
        busy = page.look.is_computing or page.look_pinned.is_computing
        return not page._text_timer.isActive() and not busy and driver.session.is_idle()

    driver.qtbot.waitUntil(is_shown, timeout=LONG)
    assert not page.notice.isVisible(), page.notice.text.text()
