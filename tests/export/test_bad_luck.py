"""Whatever the format: what goes wrong during an export is one sentence, and leaves nothing half-written."""

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llm_studio import files
from llm_studio.errors import Cancelled, CheckpointError, StorageError
from llm_studio.events import CheckpointSaved, Event
from llm_studio.export.format import Format
from llm_studio.export.formats import FORMATS
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, tensors
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.workflows.export import candidates, export
from llm_studio.workflows.training.train import train
from tests.runs.models import damage

pytestmark = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


@pytest.fixture
def model(variant: Callable[[str], ModelRef], tmp_path: Path) -> ModelRef:
    """A copy of a checkpoint, to be damaged."""
    original = variant("qwen3")
    copy = tmp_path / "checkpoint" / original.path.name
    shutil.copytree(original.path, copy)
    return replace(original, path=copy, config_folder=copy, checkpoint=checkpoint.read(copy))


@pytest.fixture
def target(form: Format, tmp_path: Path) -> Path:
    """Where to write: a name with accents and spaces in a folder that has nothing else."""
    (tmp_path / "là-bas").mkdir()
    return tmp_path / "là-bas" / f"mon modèle{form.suffix}"


def refused(form: Format, model: ModelRef, target: Path, kind: type[Exception], job: Job | None = None) -> str:
    """The sentence of the error of this kind; nothing new is beside the target."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(kind) as caught:
        form.write(model, target, {}, job or Job())
    assert sorted(target.parent.iterdir()) == before
    return getattr(caught.value, "what", "")


def test_it_is_written_beside_other_things(form: Format, model: ModelRef, target: Path) -> None:
    made = form.write(model, target, {}, Job())
    assert made.path == target and list(target.parent.iterdir()) == [target]
    assert made.bytes == sum(path.stat().st_size for path in [target, *target.rglob("*")] if path.is_file())


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file may become larger than `size`: the system refuses to write more, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("size", [0, 20_000])
def test_a_disk_that_takes_no_more(form: Format, model: ModelRef, target: Path, size: int) -> None:
    with small_disk(size):
        assert "could not be written" in refused(form, model, target, StorageError)


def test_too_little_room(form: Format, model: ModelRef, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    assert "are needed in" in refused(form, model, target, StorageError)


def test_a_place_that_is_taken(form: Format, model: ModelRef, target: Path) -> None:
    if form.is_folder:
        target.mkdir()
        (target / "travail.txt").write_text("mine", encoding="utf-8")
        assert "already something in the folder" in refused(form, model, target, StorageError)
        assert (target / "travail.txt").read_text(encoding="utf-8") == "mine"
    else:
        target.mkdir()
        assert "is a folder" in refused(form, model, target, StorageError)
        shutil.rmtree(target)
        target.write_bytes(b"before")
        job = Job(lambda _event: job.request_stop())
        refused(form, model, target, Cancelled, job)
        assert target.read_bytes() == b"before"


def test_a_stopped_export(form: Format, model: ModelRef, target: Path) -> None:
    job = Job(lambda _event: job.request_stop())
    refused(form, model, target, Cancelled, job)


@pytest.mark.parametrize("name", [checkpoint.MODEL, checkpoint.CONFIG, checkpoint.TOKENIZER])
def test_a_damaged_checkpoint(form: Format, model: ModelRef, target: Path, name: str) -> None:
    damage(model.path / name)
    assert "is damaged" in refused(form, model, target, CheckpointError)


def test_a_checkpoint_that_is_gone(form: Format, model: ModelRef, target: Path) -> None:
    shutil.rmtree(model.path)
    assert "no longer there" in refused(form, model, target, CheckpointError)


def test_one_that_is_removed_meanwhile(form: Format, model: ModelRef, target: Path) -> None:
    """As a run does that keeps only its last checkpoints: it is exported whole, or there is a sentence."""
    job = Job(lambda _event: shutil.rmtree(model.path, ignore_errors=True))
    try:
        form.write(model, target, {}, job)
    except CheckpointError:
        assert not list(target.parent.iterdir())


def test_a_checkpoint_of_a_run_that_is_training(form: Format, prepared: Path, target: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "project")
    project = Project.open(tmp_path / "project")
    made: list[Path] = []

    def hear(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and not made:
            made.append(export(project, Job(), form.name, "run-1/last", target)[1].path)

    train(project, Job(hear), run="run-1", changes={"training.max_steps": 10})
    assert made == [target] and target.exists()
    assert candidates(project, "run-1") and locate(project, "run-1/last").step == 10


def test_weights_that_are_no_numbers(form: Format, model: ModelRef, target: Path) -> None:
    """With sums that fit: only the zip passes on what it is given, and is checked when it is opened."""
    if form.name == "zip":
        pytest.skip("the zip holds the checkpoint as it is")
    weights = model.weights()
    weights["final_norm.weight"] = weights["final_norm.weight"].clone()
    weights["final_norm.weight"][0] = torch.nan
    tensors.write(model.path / checkpoint.MODEL, weights)
    record = checkpoint.record_of(model.path)
    record["files"][checkpoint.MODEL] = files.sha256_of(model.path / checkpoint.MODEL)
    record.pop("fingerprint")
    files.write_json(model.path / checkpoint.RECORD, {**record, "fingerprint": files.fingerprint(record)})
    assert "aren't numbers" in refused(form, model, target, CheckpointError)
