"""The card of Diagnostics that says why no graphics card is used, and gets the torch that uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton

from llm_studio.events import Progress
from llm_studio.gpu import card, pack, why
from llm_studio.jobs import Job
from llm_studio.ui.tasks import BackgroundJob
from llm_studio.ui.window.taskbar import Taskbar
from tests.gpu import wheels
from tests.gpu.index import Faults, Index, serving
from tests.gpu.test_why import AMPERE
from tests.ui.driver import Driver


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The packaged program on a computer with a card, and a server with a torch for it."""
    monkeypatch.setattr(why, "packaged", lambda: True)
    monkeypatch.setattr(card, "driver", lambda: AMPERE)
    wheels.make(tmp_path / "served")
    with serving(tmp_path / "served") as index:
        monkeypatch.setenv("LLM_STUDIO_TORCH_INDEX", index.address)
        yield index


def test_without_a_card_the_reason_and_two_steps_are_shown_and_no_button(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "driver", lambda: None)
    monkeypatch.setattr(card, "is_in_the_computer", lambda: False)
    shown = driver.page("diagnostics").gpu
    driver.settle()
    assert "no NVIDIA card" in shown.what.text()
    assert [step.text()[:2] for step in shown.steps] == ["1.", "2."]
    assert not shown.enable.isVisible()


def test_the_gpu_is_enabled_by_clicking_and_can_be_given_up_again(driver: Driver, served: Index) -> None:
    shown = driver.page("diagnostics").gpu
    driver.settle()
    assert "GeForce RTX 3060" in shown.what.text()
    assert [made for made in driver.page("diagnostics").findChildren(QPushButton)
            if made.property("role") == "primary" and made.isVisible()] == [shown.enable]  # fmt: skip
    driver.click("Enable my GPU", shown)
    driver.settle()
    text = shown.pack.text()
    for words in (wheels.name(), "127.0.0.1", str(pack.folder()), "GB are free"):
        assert words in text
    driver.click(shown.fetch)
    driver.settle()
    assert pack.installed() is not None
    assert "used from the next start on" in shown.pack.text()
    assert shown.restart.isVisible() and not shown.enable.isVisible()
    driver.click("Remove the GPU pack", shown)
    driver.settle()
    assert pack.installed() is None
    assert shown.enable.isVisible()


def test_where_there_is_too_little_room_nothing_can_be_fetched(
    driver: Driver, served: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "free_space", lambda: 1000)
    shown = driver.page("diagnostics").gpu
    driver.settle()
    driver.click("Enable my GPU", shown)
    driver.settle()
    assert shown.fetch.isVisible() and not shown.fetch.isEnabled()
    assert shown.choose.isEnabled() and shown.cancel.isEnabled()


def test_a_fetch_is_stopped_at_the_foot_of_the_window_and_goes_on(driver: Driver, served: Index) -> None:
    served.faults.stall_after = 50
    shown = driver.page("diagnostics").gpu
    driver.settle()
    driver.click("Enable my GPU", shown)
    driver.settle()
    driver.click(shown.fetch)
    driver.running("diagnostics/gpu/install")
    partial = pack.folder() / "downloads" / f"{wheels.name()}.partial"
    driver.qtbot.waitUntil(lambda: partial.exists() and partial.stat().st_size > 0, timeout=10_000)
    driver.window.stop_current()
    driver.settle()
    assert "What was downloaded is kept" in shown.pack.text()
    served.faults.stall_after = None
    driver.click("Enable my GPU", shown)
    driver.settle()
    assert "are already downloaded" in shown.pack.text()


def test_a_file_that_is_no_torch_is_refused_in_the_card(driver: Driver, served: Index, tmp_path: Path) -> None:
    shown = driver.page("diagnostics").gpu
    driver.settle()
    (tmp_path / "notes.whl").write_bytes(b"notes")
    shown.take_file(tmp_path / "notes.whl")
    driver.settle()
    assert "isn't a wheel of torch for this program" in shown.pack.text()
    assert shown.choose.isVisible()
    assert not driver.summary


def test_a_server_that_fails_leaves_the_way_by_a_file(driver: Driver, served: Index) -> None:
    served.faults = Faults()
    shown = driver.page("diagnostics").gpu
    driver.settle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_STUDIO_TORCH_INDEX", "http://127.0.0.1:9/whl")
        driver.click("Enable my GPU", shown)
        driver.settle()
    assert "can't be reached" in shown.pack.text()
    assert shown.enable.isVisible() and shown.choose.isVisible()


def test_the_program_begins_again_only_if_the_user_lets_it_end(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    window = driver.window

    def wait_for_stop(job: Job) -> None:
        while not job.stop_requested:
            job._stop.wait(0.05)

    driver.session.start(BackgroundJob("long", wait_for_stop, "Something long"))
    driver.running("long")
    window.closing.restart()
    assert window.closing.will_restart and window.closing.question is not None
    driver.click("Cancel", window.closing.question)
    assert not window.closing.will_restart
    assert window.isVisible()


def test_the_taskbar_follows_the_running_job(driver: Driver) -> None:
    bar: Taskbar = driver.window.taskbar
    states: list[float | None] = []

    def work(job: Job) -> None:
        for done in (None, 5.0):
            job.report(Progress("", done or 0, None if done is None else 10, ""))
            job._stop.wait(0.8)

    driver.session.start(BackgroundJob("long", work, "Something long"))
    driver.qtbot.waitUntil(lambda: states.append(bar.state) or bar.state == 0.5, timeout=10_000)
    driver.settle()
    driver.qtbot.waitUntil(lambda: bar.state is None, timeout=5_000)
    assert -1 in states


def test_a_pack_that_fails_is_reported_once_the_window_is_there(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_studio.workflows import overview

    broken = pack.Pack("2.13.0+cu130", "nowhere", "", "OSError: c10.dll")
    monkeypatch.setattr(pack, "installed", lambda: broken)
    found = overview.machine()
    driver.session.succeeded.emit("machine", found)
    assert "c10.dll" in driver.window.shell.toasts._text.text()
    assert driver.window.shell.toasts.isVisible()
