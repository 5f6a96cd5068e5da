"""A run is a complete record: from it alone the run can be repeated, to the same weights."""

import platform
from typing import Any

import pytest
import torch

from llm_studio import __version__
from llm_studio.cli.app import main
from llm_studio.errors import ProjectError
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.training.train import train
from tests.training.test_resume import StopAt, assert_same_weights, records

UNUSUAL: dict[str, Any] = {
    "training.max_steps": 8, "training.seed": 5, "training.learning_rate": 3e-3, "training.batch_size": 4,
    "model.d_model": 48, "model.dropout": 0.2,
}  # fmt: skip


def said_by_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["runs", str(project.root)]) == 0
    return capsys.readouterr().out


def notices(said: list[Event]) -> list[str]:
    return [event.text for event in said if isinstance(event, Notice)]


def test_a_run_repeated_from_its_record_has_the_same_weights(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    train(project, Job(), run="first", changes=UNUSUAL)
    projects.change_settings(project, {"training.seed": 77, "model.d_model": 32, "model.dropout": 0.0})
    assert main(["train", str(project.root), "--like", "first", "--run", "again"]) == 0
    assert_same_weights(project, "first", "again")
    first, again = registry.read(project, "first"), registry.read(project, "again")
    assert again.settings == first.settings and not registry.differences([first, again])
    assert main(["train", str(project.root), "--like", "first", "--resume"]) == 2
    capsys.readouterr()


def test_the_record_holds_all_that_a_run_was_made_with(project: Project) -> None:
    train(project, Job(), run="a", changes=UNUSUAL)
    run = registry.read(project, "a")
    assert {name: run.settings[name.partition(".")[0]][name.partition(".")[2]] for name in UNUSUAL} == UNUSUAL
    known = {"program": __version__, "python": platform.python_version(), "torch": torch.__version__, "device": "cpu",
             "system": platform.platform()}  # fmt: skip
    assert known.items() <= run.machine.items()
    assert {"processor", "cores", "memory", "precision", "threads"} <= run.machine.keys()
    assert int(run.machine["memory"]) > 10**8 and int(run.machine["cores"]) >= 1
    assert run.data and [r["step"] for r in records(project, "a", "step")] == list(range(1, 9))


def test_what_differs_is_reported(project: Project) -> None:
    train(project, StopAt(4).job, run="a", changes=UNUSUAL)
    train(project, Job(), run="a", resume=True, changes={"training.learning_rate": 1e-3})
    sources.add_stories(project, "en", 50, Job())
    prepare_tokens(project, Job())
    said: list[Event] = []
    changes = {"training.max_steps": 9, "training.threads": 2}
    made = train(project, Job(said.append), like="a", changes=changes).run
    assert (made.step, made.settings["model"]["d_model"]) == (9, 48)
    summary = notices(said)
    assert any("“a” was trained on other tokens" in text for text in summary)
    assert any("settings of “a” were changed during the run, first after step 4" in text for text in summary)
    assert any("2 threads instead of cpu" in text for text in summary)


def test_one_that_began_with_another_s_weights_begins_with_them_again(project: Project) -> None:
    train(project, Job(), run="base", changes=UNUSUAL)
    train(project, Job(), run="more", continue_from="base", changes={"training.max_steps": 4})
    train(project, Job(), run="again", like="more")
    assert_same_weights(project, "more", "again")
    assert registry.read(project, "again").continued_from == registry.read(project, "more").continued_from


def test_a_run_that_is_not_there_is_said(project: Project) -> None:
    with pytest.raises(ProjectError, match="There is no run “none” here"):
        train(project, Job(), like="none")
    with pytest.raises(ProjectError, match="repeated"):
        train(project, Job(), like="none", resume=True)


def test_the_record_holds_the_energy_of_all_sessions_where_a_card_tells(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llm_studio.workflows.training import recorder as recording

    train(project, Job(), run="untold", changes={"training.max_steps": 2})
    assert registry.read(project, "untold").joules is None
    assert "Wh" not in said_by_runs(project, capsys)
    meter = iter([100.0, 150.0, 170.0, 1000.0, 5.0, 25.0])
    monkeypatch.setattr(recording, "joules_used", lambda _compute: next(meter))
    settings = project.settings()
    state = checkpoint.listed(registry.folder(project, "untold"))[-1].state

    def session(*expected: float) -> None:
        recorder = recording.RunRecorder(project, "untold", settings, "data", state.compute, None)
        for joules in expected:
            assert recorder.write("stopped", state, settings).joules == joules
            assert registry.read(project, "untold").joules == joules

    session(50.0, 70.0)
    session(70.0, 90.0)  # not what was used between the two; in the second the driver began to count from 0 again
    assert "0.0\u00a0Wh" in said_by_runs(project, capsys)
