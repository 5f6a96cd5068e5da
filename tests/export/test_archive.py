"""A checkpoint as a zip: whole or absent, and a checkpoint again when it is unpacked."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio import files
from llm_studio.errors import Cancelled, CheckpointError, StorageError
from llm_studio.events import Event, Progress
from llm_studio.export import archive
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.workflows.export import candidates, export
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.machine import gauges, licences, report
from llm_studio.workflows.machine.diagnosis import Finding
from llm_studio.workflows.training.train import train
from tests.runs.models import empty_project, save_checkpoint, save_run

WITH_TRAINING = {"with_training": True}


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project after a run of ten steps."""
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    train(project, Job(), run="first", changes={"training.max_steps": 10})
    return project


@pytest.fixture
def model(trained: Project) -> ModelRef:
    return locate(trained, "first/last")


def test_checkpoints_come_newest_first_with_best_and_last_marked(trained: Project) -> None:
    found = candidates(trained, "first")
    assert [one.model.step for one in found] == sorted((one.model.step for one in found), reverse=True)
    assert [one.is_last for one in found] == [True] + [False] * (len(found) - 1)
    best = [one for one in found if one.is_best]
    assert len(best) == 1 and best[0].model == locate(trained, "first/best")
    assert best[0].validation_loss == min(one.validation_loss or 99 for one in found)
    assert candidates(trained, "none of this name") == []


@pytest.mark.parametrize("with_training", [False, True])
def test_an_unpacked_archive_generates_what_the_checkpoint_does(
    trained: Project, model: ModelRef, tmp_path: Path, with_training: bool
) -> None:
    heard: list[Event] = []
    options = {"with_training": with_training}
    made = archive.write(model, tmp_path / "été" / "out.zip", options, Job(heard.append))
    assert made.bytes == made.path.stat().st_size
    with zipfile.ZipFile(made.path) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "first-step-000010"
    assert (folder / checkpoint.OPTIMIZER).exists() == with_training
    before, after = (checkpoint.read(path) for path in (model.path, folder))
    assert replace(after, path=before.path) == before
    assert (folder / checkpoint.MODEL).read_bytes() == (model.path / checkpoint.MODEL).read_bytes()
    texts = []
    for reference in (str(folder), str(model.path)):
        generator = load_generator(trained, Job(), checkpoint=reference)
        texts.append(generator.generate("Once", Job(), generator.settings_with({"seed": 1, "max_tokens": 20})))
    assert texts[0] == texts[1]
    last = heard[-1]
    assert isinstance(last, Progress)
    sizes = archive.sizes(model, options)
    assert last.done == last.total == sum(sizes.values()) - sizes[checkpoint.RECORD]


def test_an_archive_keeps_what_the_record_says_of_conversations_and_all_else(tmp_path: Path) -> None:
    project = empty_project(tmp_path)
    save_run(project, "chat", "2030-01-01", conversations=True)
    path = save_checkpoint(project, "chat", 10, 2.0, conversations=True)
    made = archive.write(locate(project, "chat"), tmp_path / "out.zip", {}, Job())
    with zipfile.ZipFile(made.path) as packed:
        packed.extractall(tmp_path / "unpacked")
    unpacked = tmp_path / "unpacked" / "chat-step-000010"
    assert locate(project, str(unpacked)).conversations, "its model can be asked questions"
    before, after = checkpoint.record_of(path), checkpoint.record_of(unpacked)
    assert before and after
    assert {**before, "files": 0, "fingerprint": 0} == {**after, "files": 0, "fingerprint": 0}


def test_archives_of_earlier_versions_which_do_not_say_so_still_open(tmp_path: Path) -> None:
    project = empty_project(tmp_path)
    path = save_checkpoint(project, "chat", 10, 2.0, conversations=True)
    record = checkpoint.record_of(path) or {}
    kept = {name: record[name] for name in ("version", "state", "files")}
    files.write_json(path / checkpoint.RECORD, {**kept, "fingerprint": files.fingerprint(kept)})
    found = locate(project, str(path))
    assert (found.step, found.conversations) == (10, False)


def test_a_cancelled_export_leaves_nothing_and_keeps_what_was_there(model: ModelRef, tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    target.write_bytes(b"before")
    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        archive.write(model, target, WITH_TRAINING, job)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_damaged_checkpoint_is_not_exported(model: ModelRef, tmp_path: Path) -> None:
    copy = tmp_path / model.path.name
    shutil.copytree(model.path, copy)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    damaged = replace(model, path=copy)
    with pytest.raises(CheckpointError, match="is damaged"):
        archive.write(damaged, tmp_path / "out.zip", {}, Job())
    shutil.rmtree(copy)
    with pytest.raises(CheckpointError, match="no longer there"):
        archive.write(damaged, tmp_path / "out.zip", {}, Job())
    assert not list(tmp_path.glob("out.zip*"))


def test_the_files_of_an_export_are_hashed_while_they_are_copied_and_not_before(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_studio.files.sha256_of", lambda path: pytest.fail(f"{path} is read twice"))
    export(trained, Job(), "zip", "first/best", tmp_path / "out.zip", WITH_TRAINING)


def test_too_little_room_is_said_before_writing(
    model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageError, match="are needed"):
        archive.write(model, tmp_path / "out.zip", {}, Job())
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_has_one_sentence(model: ModelRef, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError):
        archive.write(model, tmp_path / "file" / "out.zip", {}, Job())


# --- Gauges, report, licences -----------------------------------------------------------------------------------


def test_the_gauges_measure_this_machine(tmp_path: Path) -> None:
    first = gauges.look(tmp_path / "not" / "there")
    assert first.processor_use is None
    assert 0 < first.memory_used < first.memory_total
    assert 0 < first.disk_free < first.disk_total
    total = 0
    while gauges.look(tmp_path).spent <= first.spent + 0.2:
        total += sum(range(100_000))
    second = gauges.look(tmp_path, first)
    assert second.processor_use is not None
    assert 10 < second.processor_use <= 100
    assert gauges.cores() >= 1


@pytest.mark.parametrize(
    ("text", "home", "user", "expected"),
    [
        ("C:\\Users\\Jérôme\\LLM", "C:\\Users\\Jérôme", "Jérôme", "~\\LLM"),
        ("see /home/ada/x and /home/adam/x", "/home/ada", "ada", "see ~/x and /home/adam/x"),
        ("D:\\ada\\p, Ada's", "/home/ada", "ada", "D:\\<user>\\p, <user>'s"),
        ("a path /data/a/b", "/home/a", "a", "a path /data/<user>/b"),
    ],
)
def test_home_and_name_are_masked(text: str, home: str, user: str, expected: str) -> None:
    assert report.masked(text, Path(home), user) == expected


def test_the_report_holds_findings_cures_and_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "llm-studio.log").write_text(f"opened {Path.home()}/secret\n", encoding="utf-8")
    text = report.as_text([Finding("Disk", "1 GB", False, "Make room."), Finding("Python", "3")])
    assert "! Disk" in text
    assert "→ Make room." in text
    assert "✓ Python" in text
    assert "opened ~/secret" in text


def test_every_library_has_a_version_a_licence_and_a_text() -> None:
    for library in licences.libraries():
        assert library.version, library.name
        assert library.licence, library.name
        assert len(licences.licence_text(library.name)) > 60, library.name
    assert "Permission is hereby granted" in licences.own_licence()
    assert "Apache" in licences.licence_text("safetensors")
