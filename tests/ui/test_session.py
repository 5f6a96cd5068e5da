"""Work in the background: one outcome for each task, one task for each key."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from llm_studio.errors import BusyError, Cancelled, StudioError
from llm_studio.events import Progress
from llm_studio.jobs import Job
from llm_studio.ui.tasks import BackgroundJob, Query, Task, Write
from llm_studio.ui.window.session import Session
from llm_studio.workflows import overview, projects
from tests.ui.driver import LONG, Driver


class Ear:
    """Hears all that a session says."""

    def __init__(self, session: Session) -> None:
        self.heard: list[tuple[str, object]] = []
        self.events: list[object] = []
        session.reported.connect(lambda key, event: self.events.append(event))
        session.succeeded.connect(lambda key, result: self.heard.append(("succeeded", result)))
        session.failed.connect(lambda key, error: self.heard.append(("failed", error)))
        session.cancelled.connect(lambda key: self.heard.append(("cancelled", None)))
        session.ended.connect(lambda key: self.heard.append(("ended", None)))
        session.problem.connect(lambda error: self.heard.append(("problem", error)))

    def kinds(self) -> list[str]:
        return [kind for kind, _value in self.heard]


def run(qtbot: QtBot, session: Session, *tasks: Task) -> Ear:
    ear = Ear(session)
    for task in tasks:
        session.start(task)
    qtbot.waitUntil(session.is_idle, timeout=LONG)
    return ear


def test_a_task_has_exactly_one_outcome(qtbot: QtBot, qapp: object) -> None:
    session = Session(qapp)  # type: ignore[arg-type]
    error = StudioError("no")

    def fail(job: Job) -> None:
        raise error

    def cancel(job: Job) -> None:
        raise Cancelled

    def panic(job: Job) -> None:
        raise BaseException("a panic of a library in Rust")

    assert run(qtbot, session, BackgroundJob("a", lambda job: 7, "A")).heard == [("succeeded", 7), ("ended", None)]
    assert run(qtbot, session, BackgroundJob("a", fail, "A")).heard == [
        ("failed", error),
        ("problem", error),
        ("ended", None),
    ]
    assert run(qtbot, session, BackgroundJob("a", cancel, "A")).kinds() == ["cancelled", "ended"]
    assert run(qtbot, session, BackgroundJob("a", panic, "A")).kinds() == ["failed", "problem", "ended"]
    quiet = BackgroundJob("a", fail, "A", page_shows_errors=True)
    assert run(qtbot, session, quiet).kinds() == ["failed", "ended"]


def test_two_thousand_events_arrive_in_order(qtbot: QtBot, qapp: object) -> None:
    """PySide6 6.12.0 on Python 3.11 ended the process after about 570."""
    session = Session(qapp)  # type: ignore[arg-type]

    def work(job: Job) -> None:
        for n in range(2000):
            job.report(Progress("counting", n, 2000, ""))

    ear = run(qtbot, session, BackgroundJob("count", work, "Counting"))
    assert [event.done for event in ear.events] == list(range(2000))  # type: ignore[attr-defined]


def test_a_second_job_of_a_kind_is_refused_and_the_first_goes_on(qtbot: QtBot, qapp: object) -> None:
    session = Session(qapp)  # type: ignore[arg-type]
    gate = threading.Event()
    ear = Ear(session)
    session.start(BackgroundJob("a", lambda job: gate.wait(10), "A"))
    session.start(BackgroundJob("a", lambda job: "second", "A"))
    gate.set()
    qtbot.waitUntil(session.is_idle, timeout=LONG)
    assert [type(value) for kind, value in ear.heard if kind == "problem"] == [BusyError]
    assert [value for kind, value in ear.heard if kind == "succeeded"] == [True]


def test_a_newer_question_takes_the_place_of_an_older_one(qtbot: QtBot, qapp: object) -> None:
    session = Session(qapp)  # type: ignore[arg-type]

    def slow(job: Job) -> str:
        until = time.monotonic() + 10
        while not job.stop_requested and time.monotonic() < until:
            threading.Event().wait(0.01)
        return "old"

    ear = run(qtbot, session, Query("ask", slow), Query("ask", lambda job: "new"))
    assert [value for kind, value in ear.heard if kind == "succeeded"] == ["new"]
    assert ear.kinds().count("ended") == 1


def test_of_many_questions_one_computes_at_a_time_and_the_newest_is_answered(qtbot: QtBot, qapp: object) -> None:
    """Most work takes no look at whether it is still wanted: a forward pass for each letter that is typed."""
    session = Session(qapp)  # type: ignore[arg-type]
    gate, began = threading.Event(), list[int]()

    def question(number: int) -> Task:
        return Query("next", lambda job: (began.append(number), gate.wait(20), number)[-1])

    ear = Ear(session)
    for number in range(20):
        session.start(question(number))
    qtbot.waitUntil(lambda: began == [0], timeout=LONG)
    assert session.is_running("next")
    gate.set()
    qtbot.waitUntil(session.is_idle, timeout=LONG)
    assert began == [0, 19]
    assert ear.heard == [("succeeded", 19), ("ended", None)]


def test_questions_that_write_are_all_done(qtbot: QtBot, qapp: object) -> None:
    session = Session(qapp)  # type: ignore[arg-type]
    written: list[int] = []
    for number in range(9):
        session.start(Write("keep", lambda job, n=number: written.append(n)))  # type: ignore[misc]
    qtbot.waitUntil(session.is_idle, timeout=LONG)
    assert written == list(range(9))


def test_overviews_requested_for_one_after_the_other_are_shown_in_between(
    opened: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates, at_once, shown = [threading.Event() for _n in range(2)], [0, 0], list[object]()

    def slow(project: object) -> object:
        at_once[0] += 1
        at_once[1] = max(at_once)
        gates[min(len(shown), 1)].wait(20)
        at_once[0] -= 1
        return real(project)  # type: ignore[arg-type]

    real = overview.overview
    monkeypatch.setattr(overview, "overview", slow)
    opened.session.overview_changed.connect(shown.append)
    for _again in range(5):
        opened.session.refresh()
    gates[0].set()
    opened.qtbot.waitUntil(lambda: len(shown) == 1, timeout=LONG)
    assert opened.session.is_running("overview")
    gates[1].set()
    opened.settle()
    assert len(shown) == 2 and at_once[1] == 1


def test_an_overview_read_before_a_change_is_never_shown_after_it(
    opened: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, reads, seeds = threading.Event(), [0], list[int]()

    def slow(project: object) -> object:
        found = real(project)  # type: ignore[arg-type]
        reads[0] += 1
        gate.wait(20)
        return found

    real = overview.overview
    monkeypatch.setattr(overview, "overview", slow)
    opened.session.refresh()
    opened.qtbot.waitUntil(lambda: reads[0] == 1, timeout=LONG)
    opened.session.overview_changed.connect(lambda found: seeds.append(found.settings.training.seed))
    opened.session.change_settings({"training.seed": 4321})
    opened.qtbot.waitUntil(lambda: "settings" in opened.results, timeout=LONG)
    gate.set()
    opened.settle()
    assert seeds == [4321]


def test_a_project_is_shown_though_the_one_before_still_keeps_its_disk_busy(
    opened: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, gate = opened.session.project, threading.Event()
    real = overview.overview
    monkeypatch.setattr(overview, "overview", lambda p: (p is first and gate.wait(20), real(p))[1])  # type: ignore[misc]
    opened.session.refresh()
    other = projects.new_project(tmp_path / "other")
    opened.window.closing.open_project(other)
    opened.qtbot.waitUntil(lambda: opened.session.overview is not None, timeout=10_000)
    assert opened.session.overview is not None and opened.session.overview.project is other
    gate.set()


def test_settings_changed_in_one_go_are_written_once(opened: Driver) -> None:
    ended: list[str] = []
    opened.session.ended.connect(ended.append)
    opened.session.change_settings({"training.max_steps": 70})
    opened.session.change_settings({"training.seed": 5, "training.max_steps": 71})
    opened.settle()
    assert opened.session.overview is not None
    assert opened.session.overview.settings.training.max_steps == 71
    assert opened.session.overview.settings.training.seed == 5
    assert ended.count("settings") == 1


def test_a_project_that_vanishes_is_closed_with_one_sentence(opened: Driver, tmp_path: Path) -> None:
    assert opened.session.project is not None
    opened.session.project.root.rename(tmp_path / "elsewhere")
    opened.session.refresh()
    opened.settle()
    assert opened.session.project is None
    assert len(opened.summary) == 1
    assert "There is no project in" in opened.problem().what.text()


def test_a_project_that_is_gone_for_a_moment_stays_open_while_a_job_runs(
    opened: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_studio.ui.window.session._LOOK_AGAIN", 50)
    project = opened.session.project
    assert project is not None
    gate, looks = threading.Event(), [0]
    opened.session.ended.connect(lambda key: looks.__setitem__(0, looks[0] + (key == "overview")))
    opened.session.start(
        BackgroundJob("training", lambda job: gate.wait(30), "Training", "training", changes_project=True)
    )
    away = project.root.rename(project.root.with_name("away"))
    opened.session.refresh()
    opened.qtbot.waitUntil(lambda: looks[0] > 2, timeout=LONG)
    assert opened.session.project is project
    assert len(opened.summary) == 1
    away.rename(project.root)
    shown: list[object] = []
    opened.session.overview_changed.connect(shown.append)
    opened.qtbot.waitUntil(lambda: bool(shown), timeout=LONG)
    project.root.rename(away)
    gate.set()
    opened.settle()
    assert opened.session.project is None


def test_what_a_task_holds_is_let_go_when_it_has_ended(qtbot: QtBot, qapp: object) -> None:
    """A model may be as large as the memory: it can't wait for the next collection, which never comes in idle hours."""

    class Model:
        pass

    def holding(model: Model, run: Callable[[Job], object]) -> Task:
        return BackgroundJob("write", lambda job: (run(job), model)[0], "Writing")

    def report(job: Job) -> None:
        job.report(Progress("writing", 1, 2, ""))

    def fail(job: Job) -> None:
        raise Cancelled

    session = Session(qapp)  # type: ignore[arg-type]
    gc.disable()
    for work in (report, fail):
        model = Model()
        there = weakref.ref(model)
        session.start(holding(model, work))
        del model
        qtbot.waitUntil(lambda: there() is None, timeout=10_000)  # noqa: B023  called within the turn
