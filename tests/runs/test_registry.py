"""Runs are listed, compared, renamed and deleted; one whose program was killed is told from one that trains."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llm_studio.config import Settings
from llm_studio.errors import BusyError, ProjectError
from llm_studio.project import Project
from llm_studio.runs import record, registry
from llm_studio.runs.record import Run


def made(project: Project, name: str, created: str = "2030-01-01", **changes: Any) -> Run:
    """The record of a run that never was, with a file in its folder and a log."""
    run = replace(record.new(name, Settings(), 1000, "2.0", "data"), state="stopped", created=created, **changes)
    registry.write(project, run)
    (registry.folder(project, name) / "weights").write_bytes(bytes(5000))
    project.logs.mkdir(exist_ok=True)
    project.log_file(name).write_text(name, encoding="utf-8")
    return run


def names(project: Project) -> list[str]:
    return [run.name for run in registry.listed(project)]


def test_what_is_written_is_read_back_with_its_size(project: Project) -> None:
    run = made(project, "été 1", step=7, train_loss=2.5, best_loss=2.25, seconds=12.5)
    found = registry.read(project, "été 1")
    assert replace(found, bytes=0) == run
    size = sum(p.stat().st_size for p in registry.folder(project, "été 1").iterdir())
    assert found.bytes == size > 5000


def test_runs_are_listed_oldest_first_and_other_folders_are_none(project: Project) -> None:
    for name, created in (("b", "2030-03-01"), ("c", "2030-01-01"), ("a", "2030-02-01")):
        made(project, name, created)
    (project.checkpoints / "my notes").mkdir()
    (project.checkpoints / "file").write_text("x", encoding="utf-8")
    assert names(project) == ["c", "a", "b"]


def test_an_unknown_run_is_reported_with_those_that_are_there(project: Project) -> None:
    with pytest.raises(ProjectError, match=r"no run “x” here.*none"):
        registry.read(project, "x")
    made(project, "a", "2030-01-01")
    made(project, "b", "2030-01-02")
    with pytest.raises(ProjectError, match=r"no run “x” here.*: a, b\."):
        registry.read(project, "x")


def test_a_running_run_is_interrupted_once_no_one_holds_its_lock(project: Project) -> None:
    registry.write(project, replace(made(project, "a"), state="running"))
    with project.writing(registry.lock_name("a")):
        assert registry.read(project, "a").state == "running"
    assert registry.read(project, "a").state == "interrupted"
    with project.writing(registry.lock_name("b")):
        assert [run.state for run in registry.listed(project)] == ["interrupted"]


@pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
def test_a_run_that_ended_stays_what_it_was(project: Project, state: str) -> None:
    registry.write(project, replace(made(project, "a"), state=state))
    assert registry.read(project, "a").state == state


def test_a_renamed_run_takes_its_files_and_its_log_along(project: Project) -> None:
    before = made(project, "old")
    made(project, "other")
    registry.rename(project, "old", "new")
    assert replace(registry.read(project, "new"), bytes=0) == replace(before, name="new")
    assert sorted(names(project)) == ["new", "other"]
    assert project.log_file("new").read_text(encoding="utf-8") == "old" and not project.log_file("old").exists()


def test_a_run_is_not_renamed_onto_another_nor_to_an_unfit_name_nor_while_it_trains(project: Project) -> None:
    made(project, "a")
    made(project, "b")
    with pytest.raises(ProjectError, match="already a run “b”"):
        registry.rename(project, "a", "b")
    with pytest.raises(ProjectError, match="can't be the name"):
        registry.rename(project, "a", "../c")
    with pytest.raises(ProjectError, match="no run “x”"):
        registry.rename(project, "x", "c")
    with project.writing(registry.lock_name("a")), pytest.raises(BusyError):
        registry.rename(project, "a", "c")
    assert sorted(names(project)) == ["a", "b"]
    assert [project.log_file(name).read_text(encoding="utf-8") for name in "ab"] == ["a", "b"]


def test_a_deleted_run_is_gone_with_its_log_and_tells_what_it_freed(project: Project) -> None:
    made(project, "a")
    made(project, "b")
    with project.writing(registry.lock_name("a")), pytest.raises(BusyError):
        registry.delete(project, "a")
    assert sorted(names(project)) == ["a", "b"]
    size = registry.read(project, "a").bytes
    assert registry.delete(project, "a") == size > 5000
    assert names(project) == ["b"] and not registry.folder(project, "a").exists()
    assert not project.log_file("a").exists() and project.log_file("b").exists()
    with pytest.raises(ProjectError, match="no run “a”"):
        registry.delete(project, "a")


def test_runs_differ_in_the_settings_that_differ(project: Project) -> None:
    found = [
        made(project, str(n), settings=Settings().replaced(changes).to_dict())
        for n, changes in enumerate([{}, {"training.seed": 7}, {"training.seed": 7, "model.n_layers": 2}])
    ]
    here = Settings()
    assert registry.differences(found) == {
        "training.seed": [here.training.seed, 7, 7], "model.n_layers": [here.model.n_layers, here.model.n_layers, 2]
    }  # fmt: skip
    assert not registry.differences(found[:1]) and not registry.differences([])
    del found[0].settings["training"]["seed"]  # made before there was such a setting
    assert registry.differences(found)["training.seed"] == [None, 7, 7]


def test_a_new_run_has_the_next_free_number(project: Project) -> None:
    with registry.new_run(project) as name:
        assert name == "run-1"
    for name in ("run-1", "run-2", "run-4", "other"):
        made(project, name)
    with registry.new_run(project) as name:
        assert name == "run-3"


def test_runs_that_start_at_once_get_different_numbers(project: Project) -> None:
    count = 4
    ready = threading.Barrier(count)

    def start(_index: int) -> str:
        ready.wait()
        with registry.new_run(project) as name:
            ready.wait()  # none has written its record yet
            return name

    with ThreadPoolExecutor(count) as threads:
        assert sorted(threads.map(start, range(count))) == ["run-1", "run-2", "run-3", "run-4"]


def test_the_best_run_is_the_one_with_the_fewest_bits_per_byte(project: Project) -> None:
    """A loss per token is lower where tokens are shorter."""
    coarse = made(project, "coarse", data="a", best_loss=3.0, bytes_per_token=4.0)
    fine = made(project, "fine", data="b", best_loss=2.0, bytes_per_token=1.5)
    unmeasured = made(project, "unmeasured", "2031-01-01")
    assert record.best_of([fine, coarse, unmeasured]) is coarse
    assert record.ranked([fine, coarse, unmeasured]) == [coarse, fine]
    assert record.best_of([unmeasured]) is None


def test_runs_that_do_not_compare_with_the_newest_one_are_not_ranked(project: Project) -> None:
    old = made(project, "old", data="a", best_loss=1.0)  # of an earlier version, on unknown bytes
    same = made(project, "same", data="b", best_loss=2.0)
    new = made(project, "new", "2030-01-02", data="b", best_loss=2.5, bytes_per_token=2.0)
    assert record.ranked([old, same, new]) == [same, new], "the bytes per token of the same tokens are known"
    early = made(project, "early", "2030-01-02", data="a", best_loss=1.5)
    assert record.ranked([old, same, early]) == [old, early]
    settings = Settings().replaced({"training.loss_on": "answers"}).to_dict()
    chat = made(project, "chat", "2030-01-03", data="b", best_loss=9.0, bytes_per_token=2.0, settings=settings)
    assert record.ranked([old, same, new, chat]) == [chat], "answers are other texts"


@pytest.mark.parametrize("name", ["a", "run-1", "été (2) v1.5", "_x", "9", "a" * 60])
def test_a_name_that_any_system_can_hold_is_taken(name: str) -> None:
    assert registry.check_name(name) == name


@pytest.mark.parametrize("name", ["", " a", "a ", ".a", "a.", "..", "a/b", "a\\b", "a:b", "a*", "a\n", "-a", "a" * 61])
def test_a_name_that_some_system_can_not_hold_is_refused(name: str) -> None:
    with pytest.raises(ProjectError, match="can't be the name of a run"):
        registry.check_name(name)
