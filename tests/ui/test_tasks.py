"""The kinds of tasks, and who hears of them."""

import threading

import pytest
from pytestqt.qtbot import QtBot

from llm_studio.errors import StudioError
from llm_studio.jobs import Job
from llm_studio.ui.task_listeners import TaskListeners
from llm_studio.ui.tasks import BackgroundJob, Query, Write
from llm_studio.ui.window.session import Session


def test_a_second_listener_for_a_key_is_refused() -> None:
    """Else the listener of one object of a page would silently replace that of another."""
    listeners = TaskListeners()
    heard: list[object] = []
    listeners.listen("a", succeeded=heard.append)
    with pytest.raises(ValueError, match="'a'"):
        listeners.listen("a", ended=lambda: None)
    listeners.task_succeeded("a", 1)
    assert heard == [1]


def test_who_listens_to_all_hears_of_each_task_after_its_own_listener() -> None:
    listeners = TaskListeners()
    heard: list[str] = []
    listeners.listen_to_all(started=lambda task: heard.append(f"{task.key} began"), ended=heard.append)
    listeners.listen("a", started=lambda task: heard.append("own"))
    listeners.task_started(Query("a", lambda job: None))
    listeners.task_ended("b")
    assert heard == ["own", "a began", "b"]


@pytest.mark.parametrize(
    ("kind", "option"), [(Query, "changes_project"), (Query, "keep_awake"), (Write, "keep_awake"), (Query, "title"),
                         (Write, "page_shows_errors")],
)  # fmt: skip
def test_a_kind_has_only_options_that_make_sense_for_it(kind: type, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        kind("a", lambda job: None, **{option: True})


def test_a_job_needs_a_title() -> None:
    with pytest.raises(TypeError, match="title"):
        BackgroundJob("a", lambda job: None)  # type: ignore[call-arg]


def test_a_write_is_never_stopped_by_a_newer_one_and_its_error_is_shown(qtbot: QtBot, qapp: object) -> None:
    """A file may be half written only if the program is killed; what isn't written is never lost silently."""
    session = Session(qapp)  # type: ignore[arg-type]
    problems: list[BaseException] = []
    session.problem.connect(problems.append)
    gate, order = threading.Event(), []  # type: ignore[var-annotated]

    def first(job: Job) -> None:
        gate.wait(20)
        job.check()
        order.append("first")
        raise StudioError("the disk is full")

    def second(job: Job) -> None:
        order.append("second")

    session.start(Write("write", first))
    session.start(Write("write", second))
    session.stop_all()
    gate.set()
    qtbot.waitUntil(session.is_idle)
    assert order == ["first", "second"]
    assert [str(problem) for problem in problems] == ["the disk is full"]
