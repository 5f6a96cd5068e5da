"""A run that was interrupted, at whatever moment, ends with the very same weights as one that never was."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llm_studio import files
from llm_studio.errors import BusyError, Cancelled, CheckpointError, DataError, ProjectError, TrainingError
from llm_studio.events import Event, Notice, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, record, registry, snapshots
from llm_studio.workflows.training.train import train

KILLS = 5


def weights(project: Project, run: str) -> dict[str, torch.Tensor]:
    return checkpoint.listed(project.checkpoints / run)[-1].weights()


def assert_same_weights(project: Project, one: str, other: str) -> None:
    first, second = weights(project, one), weights(project, other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def records(project: Project, run: str, kind: str) -> list[dict[str, object]]:
    lines = project.log_file(run).read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == kind]


class StopAt:
    """Reports nothing; asks the job to stop when a step is done."""

    def __init__(self, step: int) -> None:
        self.job = Job(self)
        self.step = step

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            self.job.request_stop()


@pytest.mark.parametrize(("precision", "optimizer"), [("float32", "adamw"), ("auto", "adamw"), ("auto", "muon")])
def test_a_stopped_run_resumes_bit_for_bit(project: Project, precision: str, optimizer: str) -> None:
    changes = {"training.precision": precision, "training.gradient_accumulation_steps": 2,
               "training.optimizer": optimizer}  # fmt: skip
    whole = train(project, Job(), run="whole", changes=changes)
    assert whole.finished and whole.run.step == 30
    for step in (7, 20):
        assert not train(project, StopAt(step).job, run="parts", resume=step > 7, changes=changes).finished
    assert train(project, Job(), run="parts", resume=True).finished
    assert_same_weights(project, "whole", "parts")
    for kind in ("step", "evaluation", "sample"):
        same = [[{k: v for k, v in r.items() if "second" not in k} for r in records(project, run, kind)]
                for run in ("whole", "parts")]  # fmt: skip
        assert same[0] == same[1]
    assert [r["step"] for r in records(project, "parts", "step")] == list(range(1, 31))


SAVING = {"training.max_steps": 150, "training.checkpoint_interval": 50, "training.eval_interval": 150,
          "training.checkpoint_minutes": 1e-6, "training.eval_sequences": 8}  # fmt: skip
"""A save begins as soon as the one before has ended, so that kills come in their midst."""


def test_a_killed_run_resumes_bit_for_bit(project: Project) -> None:
    """SIGKILL at random moments, most of them inside a save."""
    train(project, Job(), run="whole", changes={**SAVING, "training.checkpoint_minutes": 0.0})
    command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", "killed", "--json"]
    command += [f"--set={name}={value}" for name, value in SAVING.items()]
    chance, inside = random.Random(3), 0
    for kill in range(KILLS + 2):
        if kill >= KILLS and inside:
            break
        resume = ["--resume"] if registry.folder(project, "killed").exists() else []
        process = subprocess.Popen(command + resume, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        left = chance.randint(1, 20)
        for line in process.stdout:
            left -= '"event": "step"' in line
            if not left:
                break
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        _out, errors = process.communicate()
        assert process.returncode == (1 if sys.platform == "win32" else -signal.SIGKILL), errors
        inside += bool(list(registry.folder(project, "killed").rglob("*.partial")))
    assert inside
    assert train(project, Job(), run="killed", resume=True).finished
    assert_same_weights(project, "whole", "killed")
    assert [r["step"] for r in records(project, "killed", "step")] == list(range(1, 151))


def tear(path: Path, how: str) -> None:
    """Leave a file as a power cut may, whose last blocks never reached the disk."""
    content = path.read_bytes()
    kept = {"truncated": len(content) * 2 // 3, "zeroed": len(content) // 3, "empty": 0}[how]
    path.write_bytes(content[:kept] + (b"\0" * (len(content) - kept) if how == "zeroed" else b""))


@pytest.mark.parametrize("how", ["truncated", "zeroed", "empty"])
def test_a_power_cut_that_tore_the_last_writes_costs_no_more_than_the_last_checkpoint(
    project: Project, how: str
) -> None:
    train(project, Job(), run="whole")
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(18)), run="cut")
    folder = registry.folder(project, "cut")
    newest = checkpoint.listed(folder)[-1]
    assert newest.step == 15
    for path in [*newest.path.iterdir(), folder / "run.json"]:
        tear(path, how)
    log = project.log_file("cut")
    content = log.read_bytes()
    end = content.index(b'"step": 13')  # the save of step 10 brought to the disk what came before it
    log.write_bytes(content[:end] + (b"\0" * 500 if how == "zeroed" else b""))
    assert {run.name for run in registry.listed(project)} == {"whole", "cut"}
    said: list[Event] = []
    assert train(project, Job(said.append), run="cut", resume=True).finished
    assert any(isinstance(e, Notice) and "step-000015 is damaged" in e.text for e in said)
    assert_same_weights(project, "whole", "cut")
    assert [r["step"] for r in records(project, "cut", "step")] == list(range(1, 31))


def test_a_clock_that_is_set_back_changes_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    train(project, Job(), run="whole")
    real, jump = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() - jump)
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(12)), run="back", changes={"training.checkpoint_minutes": 1e-6})
    jump = 10 * 365 * 86400.0
    assert train(project, Job(), run="back", resume=True).finished
    assert_same_weights(project, "whole", "back")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_process_that_the_system_ends_or_whose_terminal_closes_saves_before(project: Project, name: str) -> None:
    number = getattr(signal, name, signal.SIGTERM)
    project.change_settings({"training.max_steps": 400, "training.eval_interval": 100})  # longer than the signal takes
    train(project, Job(), run="whole")
    command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", "ended", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if '"event": "step"' in line and '"step": 7,' in line:
            break
    process.send_signal(number)
    process.communicate()
    run = registry.read(project, "ended")
    if sys.platform != "win32":  # where the system just ends it
        assert run.state == "stopped" and run.step >= 7
    assert train(project, Job(), run="ended", resume=True).finished
    assert_same_weights(project, "whole", "ended")


def test_a_damaged_checkpoint_is_left_out_and_said(project: Project) -> None:
    train(project, StopAt(12).job, run="a")
    train(project, Job(), run="b")
    newest = checkpoint.listed(project.checkpoints / "a")[-1].path / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", resume=True).finished
    assert any(isinstance(e, Notice) and "step-000012 is damaged" in e.text for e in said)
    assert_same_weights(project, "a", "b")


def test_a_run_whose_checkpoints_are_all_damaged_is_reported(project: Project) -> None:
    train(project, StopAt(4).job, run="a")
    for saved in checkpoint.listed(project.checkpoints / "a"):
        (saved.path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="Every checkpoint"):
        train(project, Job(), run="a", resume=True)


def test_a_finished_run_trains_further_when_requested_and_says_what_becomes_of_the_schedule(project: Project) -> None:
    train(project, Job(), run="a")
    with pytest.raises(TrainingError, match=r"is finished: 30 steps.*training.max_steps=60"):
        train(project, Job(), run="a", resume=True)
    said: list[Event] = []
    more = train(project, Job(said.append), run="a", resume=True, changes={"training.max_steps": 40})
    assert more.finished and more.run.step == 40
    assert any(isinstance(e, Notice) and "now spans 40 steps" in e.text for e in said)


def test_a_run_that_was_killed_before_its_end_was_recorded_is_finished_by_a_resume(project: Project) -> None:
    train(project, Job(), run="a")
    record = project.checkpoints / "a" / "run.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"finished"', '"running"'), encoding="utf-8")
    assert registry.read(project, "a").state == "interrupted"
    assert train(project, Job(), run="a", resume=True).finished
    assert registry.read(project, "a").state == "finished" and registry.read(project, "a").step == 30


def test_a_run_whose_folder_is_renamed_by_hand_goes_on_in_a_new_one(project: Project) -> None:
    folder = project.checkpoints / "a"

    def rename(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 7:
            folder.rename(project.checkpoints / "b")

    assert train(project, Job(rename), run="a").finished
    assert checkpoint.listed(folder)[-1].step == 30


def test_the_run_begun_last_is_the_last_whatever_the_clock_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(project, StopAt(5).job, run="b")
    monkeypatch.setattr(record, "now", lambda: "2001-01-01T00:00:00.000+00:00")
    train(project, StopAt(5).job, run="a")
    assert [run.name for run in registry.listed(project)] == ["b", "a"]


def test_the_shape_of_the_model_can_not_change_within_a_run(project: Project) -> None:
    train(project, StopAt(6).job, run="a")
    with pytest.raises(TrainingError, match="shape"):
        train(project, Job(), run="a", resume=True, changes={"model.n_layers": 3})


def test_two_programs_do_not_train_the_same_run(project: Project) -> None:
    with project.writing(registry.lock_name("a")), pytest.raises(BusyError, match="run-a"):
        train(project, Job(), run="a")
    assert not registry.listed(project)


def test_a_save_on_request_goes_on_training(project: Project) -> None:
    job = Job()
    job.request_save()
    assert train(project, job, run="a").finished
    assert records(project, "a", "checkpoint")[0]["step"] == 1


def test_a_run_moved_with_its_project_goes_on(project: Project, tmp_path: Path) -> None:
    train(project, Job(), run="whole")
    train(project, StopAt(9).job, run="moved")
    project.root.rename(tmp_path / "ailleurs été")
    project = Project.open(tmp_path / "ailleurs été")
    assert train(project, Job(), run="moved", resume=True).finished
    assert_same_weights(project, "whole", "moved")


class DieAt:
    """A report that fails at a step, as a process does that dies; keeps what it was told."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.said: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.said.append(event)
        if isinstance(event, StepDone) and event.step >= self.step:
            raise RuntimeError("killed")


def test_settings_changed_on_a_resume_hold_for_the_next_resume_too(project: Project) -> None:
    train(project, StopAt(6).job, run="a")
    dying = DieAt(7)
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(dying), run="a", resume=True, changes={"training.learning_rate": 1e-3})
    assert any(isinstance(e, Notice) and "training.learning_rate" in e.text for e in dying.said)
    train(project, Job(), run="a", resume=True)
    rates = [float(str(r["learning_rate"])) for r in records(project, "a", "step")]
    assert rates[6] <= 1e-3 < max(rates[:6])


def test_a_run_that_never_made_a_step_leaves_nothing(project: Project) -> None:
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        train(project, job, run="a")
    assert not (project.checkpoints / "a").exists() and not project.log_file("a").exists()


def test_a_corpus_too_small_leaves_no_run(project: Project) -> None:
    with pytest.raises(DataError):
        train(project, Job(), run="a", changes={"model.max_seq_len": 1_000_000})
    assert not registry.listed(project) and not (project.checkpoints / "a").exists()


def test_an_interrupted_run_tells_how_far_it_came(project: Project) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(13)), run="a")
    run = registry.read(project, "a")
    assert (run.state, run.step) == ("interrupted", 10) and run.best_loss and run.seconds > 0


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"version": 1}', '{"version": 1, "created": 3}'])
def test_a_run_whose_record_is_lost_or_damaged_is_read_from_its_checkpoints(
    project: Project, content: str | None
) -> None:
    train(project, StopAt(12).job, run="a")
    record = project.checkpoints / "a" / "run.json"
    record.unlink()
    if content is not None:
        record.write_text(content, encoding="utf-8")
    run = registry.listed(project)[0]
    assert (run.name, run.step, run.state) == ("a", 12, "interrupted")
    assert train(project, Job(), run="a", resume=True).finished


def test_a_run_of_a_newer_program_is_left_alone(project: Project) -> None:
    train(project, StopAt(12).job, run="a")
    record = project.checkpoints / "a" / "run.json"
    record.write_text('{"version": 2}', encoding="utf-8")
    with pytest.raises(ProjectError, match="newer LLM Studio"):
        train(project, Job(), run="a", resume=True)
    assert registry.listed(project) == []


def test_snapshots_of_an_abandoned_future_go(project: Project) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(19)), run="a")
    assert max(snapshots.listed(project.checkpoints / "a")) > 15
    train(project, StopAt(16).job, run="a", resume=True)
    assert max(snapshots.listed(project.checkpoints / "a")) <= 16


def test_too_little_memory_is_explained(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_args: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr("llm_studio.model.transformer.Transformer.loss", greedy)
    with pytest.raises(TrainingError, match=r"not enough memory.*batch_size"):
        train(project, Job(), run="a")
    assert registry.read(project, "a").state == "failed"


def test_fewer_steps_than_are_done_is_said(project: Project) -> None:
    train(project, StopAt(12).job, run="a")
    with pytest.raises(TrainingError, match="has done 12 steps already"):
        train(project, Job(), run="a", resume=True, changes={"training.max_steps": 5})


def test_a_death_inside_a_save_leaves_the_previous_checkpoint(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after each of the files of a checkpoint: none of these ends leaves half a checkpoint."""
    train(project, Job(), run="whole")
    for written in range(5):
        name, count = f"cut-{written}", 0

        def flush(path: Path, last: int = written, real: Callable[[Path], None] = files.flush_to_disk) -> None:
            nonlocal count
            if path.parent.name == "step-000010.partial":
                count += 1
                if count > last:
                    raise KeyboardInterrupt  # nothing handles it: as near to a kill as a test in one process gets
            real(path)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(files, "flush_to_disk", flush)
            train(project, Job(), run=name)
        assert [c.step for c in checkpoint.listed(project.checkpoints / name)][-1] == 5
        train(project, Job(), run=name, resume=True)
        assert_same_weights(project, "whole", name)
