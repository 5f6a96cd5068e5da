"""What stops a job: Esc only what is short and on the screen; a run that *Stop* has ended can be resumed."""

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.ui import tabs
from llm_studio.ui.tasks import TRAINING, BackgroundJob
from llm_studio.ui.window.start_page import START
from llm_studio.workflows import projects
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.ui.driver import LONG, Driver
from tests.ui.test_closing import until_stopped


def press_esc(opened: Driver) -> None:
    opened.window.activateWindow()
    QTest.qWaitForWindowActive(opened.window)
    opened.qtbot.keyClick(opened.window, Qt.Key.Key_Escape)


def train_on(opened: Driver, project: Project) -> None:
    """Start a run that doesn't end by itself, and wait for some steps."""
    projects.change_settings(project, {"training.max_steps": 100_000})
    opened.session.refresh()
    opened.settle()
    page = opened.page("training")
    opened.click("Start training")
    opened.qtbot.waitUntil(lambda: bool(page.curves.current and page.curves.current.last_step > 3), timeout=LONG)


def test_esc_stops_a_run_on_no_tab_and_stop_offers_to_resume_it(opened: Driver, project: Project) -> None:
    train_on(opened, project)
    for name in (START, *(tab.name for tab in tabs.TABS)):
        opened.window.go_to(name)
        press_esc(opened)
        assert opened.session.is_running(TRAINING), name
        assert not opened.session.is_stopping(TRAINING), name
    opened.click("Stop", opened.window.shell.footer)
    opened.settle()
    (run,) = runs.listed(project)
    assert run.state == "stopped"
    opened.click("Resume", opened.window.shell.toasts)
    opened.running(TRAINING)
    opened.qtbot.waitUntil(lambda: opened.page("training").curves.current.last_step > run.step, timeout=LONG)
    assert [made.name for made in runs.listed(project)] == [run.name]


def test_the_time_left_never_says_that_a_stopped_run_is_running(opened: Driver, project: Project) -> None:
    train(project, Job(), changes={"training.max_steps": 4})
    page = opened.page("training")
    opened.session.refresh()
    opened.settle()
    note = page.view.figures._left._note

    def settled(state: str, stale: bool) -> None:
        """An overview in which the run has that state, older than the end of a run or not."""
        here = replace(page.overview, runs=(replace(page.overview.runs[0], state=state),))
        page.view.show_state(here, False, here.runs[0].name, stale)
        opened.qtbot.waitUntil(lambda: not page.view.drawing.isActive(), timeout=LONG)

    for state, stale, text in (("running", False, "running"), ("running", True, ""), ("stopped", False, "stopped")):
        settled(state, stale)  # "running" beside no time: by another program, say
        assert note.text() == text


def test_the_status_bar_knows_the_run_after_a_change_of_language(opened: Driver, project: Project) -> None:
    train_on(opened, project)
    for language, line in (("fr", "▶ Entraînement : étape"), ("en", "▶ Training: step")):
        opened.window.choose_language(language)
        shell = opened.window.shell
        shell.footer.draw()
        text = shell.footer._job.text().replace("\xa0", " ").replace("\u202f", " ")
        assert text.startswith(line)
        assert text.endswith("100,000" if language == "en" else "100 000")
        assert shell.footer._bar.maximum() > 0
        assert int("".join(c for c in shell.rail.item("training").toolTip().split("/")[0] if c.isdigit())) > 3
        opened.qtbot.waitUntil(lambda: len(opened.window.pages) == len(tabs.TABS), timeout=LONG)


def test_esc_cancels_the_short_job_on_the_screen_and_no_other(opened: Driver) -> None:
    opened.session.start(BackgroundJob("reading", until_stopped(), "Reading", "data"))
    opened.session.start(BackgroundJob("writing", until_stopped(), "Writing", "generation"))
    opened.page("generation")
    press_esc(opened)
    opened.qtbot.waitUntil(lambda: not opened.session.is_running("writing"), timeout=LONG)
    press_esc(opened)  # a second press is meant for the text, too
    assert not opened.session.is_stopping("reading")
    opened.page("data")
    press_esc(opened)
    opened.qtbot.waitUntil(lambda: not opened.session.is_running("reading"), timeout=LONG)
