"""A run that was interrupted, at whatever moment, ends with the very same weights as one that never was."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from llm_studio.errors import BusyError, CheckpointError, TrainingError
from llm_studio.events import Event, Notice, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.training import checkpoint, runs
from llm_studio.workflows.training import train

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


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_stopped_run_resumes_bit_for_bit(project: Project, precision: str) -> None:
    changes = {"training.precision": precision, "training.gradient_accumulation_steps": 2}
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


def test_a_killed_run_resumes_bit_for_bit(project: Project) -> None:
    """SIGKILL at random moments, steps and saves alike: each save takes a good part of the time of these steps."""
    changes = {"training.max_steps": 400, "training.checkpoint_interval": 7, "training.eval_interval": 40}
    train(project, Job(), run="whole", changes=changes)
    command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", "killed", "--json"]
    command += [f"--set={name}={value}" for name, value in changes.items()]
    chance, kills = random.Random(3), 0
    while kills < KILLS:
        resume = ["--resume"] if runs.folder(project, "killed").exists() else []
        process = subprocess.Popen(command + resume, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:
            if '"event": "step"' in line:
                break
        time.sleep(chance.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        _out, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors
        kills += 1
    assert train(project, Job(), run="killed", resume=True).finished
    assert_same_weights(project, "whole", "killed")
    assert [r["step"] for r in records(project, "killed", "step")] == list(range(1, 401))


def test_a_damaged_checkpoint_is_left_out_and_said(project: Project) -> None:
    train(project, StopAt(12).job, run="a")
    train(project, Job(), run="b")
    newest = checkpoint.listed(project.checkpoints / "a")[-1].path / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    said: list[Event] = []
    assert train(project, Job(said.append), run="a", resume=True).finished
    assert any(isinstance(e, Notice) and "step-000012 is damaged" in e.text for e in said)
    assert_same_weights(project, "a", "b")


def test_a_run_whose_checkpoints_are_all_damaged_is_told(project: Project) -> None:
    train(project, StopAt(4).job, run="a")
    for saved in checkpoint.listed(project.checkpoints / "a"):
        (saved.path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="Every checkpoint"):
        train(project, Job(), run="a", resume=True)


def test_a_finished_run_trains_further_when_asked_and_says_what_becomes_of_the_schedule(project: Project) -> None:
    train(project, Job(), run="a")
    with pytest.raises(TrainingError, match=r"is finished: 30 steps.*training.max_steps=60"):
        train(project, Job(), run="a", resume=True)
    said: list[Event] = []
    more = train(project, Job(said.append), run="a", resume=True, changes={"training.max_steps": 40})
    assert more.finished and more.run.step == 40
    assert any(isinstance(e, Notice) and "now spans 40 steps" in e.text for e in said)


def test_the_shape_of_the_model_can_not_change_within_a_run(project: Project) -> None:
    train(project, StopAt(6).job, run="a")
    with pytest.raises(TrainingError, match="shape"):
        train(project, Job(), run="a", resume=True, changes={"model.n_layers": 3})


def test_two_programs_do_not_train_the_same_run(project: Project) -> None:
    with project.writing(runs.lock_name("a")), pytest.raises(BusyError, match="run-a"):
        train(project, Job(), run="a")
    assert not runs.listed(project)


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
