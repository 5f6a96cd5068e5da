"""The forecast for a run, and the micro-batch that fits: measured with real steps in a separate process."""

import json
from dataclasses import replace

import pytest

from llm_studio.cli.app import main
from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.errors import Cancelled, TrainingError
from llm_studio.jobs import Job
from llm_studio.model.cost import training_bytes
from llm_studio.project import Project
from llm_studio.training.measure import Attempt
from llm_studio.training.subprocess_trial import SubprocessTrial
from llm_studio.workflows import projects
from llm_studio.workflows.training import forecast, run_health, runs
from llm_studio.workflows.training.train import train

LONG = {"model.max_seq_len": 1024, "model.d_model": 64, "model.n_heads": 2, "model.n_layers": 24, "model.d_ff": 512}


def test_a_forecast_tells_what_the_training_then_does(project: Project) -> None:
    settings = project.settings().replaced({"training.gradient_accumulation_steps": 3, "training.max_steps": 20})
    summary = forecast.measured(project, settings, Job())
    trained = train(project, Job(), changes={"training.gradient_accumulation_steps": 3, "training.max_steps": 20})
    assert summary.steps == trained.run.step == 20
    assert summary.tokens == 20 * 3 * 8 * 32 == run_health.run_health(project, Job()).tokens_seen
    assert summary.passes == run_health.run_health(project, Job()).passes
    assert 0 < summary.seconds < 60
    folder = project.checkpoints / "run-1"
    weights = sum(path.stat().st_size for path in (folder / "step-000020").glob("*.safetensors"))
    assert summary.checkpoints == pytest.approx(4 * weights, rel=0.2)
    kept = sum(path.stat().st_size for path in (folder / "snapshots").iterdir())
    assert 0.8 * kept < summary.snapshots.total < 1.6 * kept and summary.snapshots.count == 21


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("again", [False, True])
def test_the_model_and_its_training_are_reported_to_need_the_same_memory(
    project: Project, optimizer: str, again: bool
) -> None:
    settings = project.settings().replaced({
        "training.precision": "float32", "training.optimizer": optimizer, "training.activation_checkpointing": again,
        "training.device": "cpu",
    })  # fmt: skip
    assert projects.model_cost(project, settings).training_bytes == forecast.forecast(project, settings).memory


def test_what_fits_makes_the_same_step(project: Project) -> None:
    settings = project.settings().replaced({"training.gradient_accumulation_steps": 3})
    found = forecast.fit(project, settings, Job())
    fitted = settings.replaced(found.changes).training
    assert fitted.batch_size * fitted.gradient_accumulation_steps == 24
    assert (fitted.batch_size, fitted.gradient_accumulation_steps) == (found.batch_size, found.micro_batches)
    assert not found.checkpointing, "there is room enough"
    assert set(found.changes) <= {"training.batch_size", "training.gradient_accumulation_steps"}
    assert found.tokens_per_second > 0
    assert project.settings().training.batch_size == 8, "config.yaml is as it was"
    speeds = {attempt.batch_size: attempt.batch_size / attempt.seconds for attempt in found.tried}
    assert found.batch_size == 8 or speeds[found.batch_size] * 1.05 >= max(speeds.values())


def bytes_of(settings: Settings, checkpointing: bool) -> int:
    return training_bytes(settings.model, 400, 1, "float32", checkpointing=checkpointing).total


def test_activations_are_computed_twice_only_where_nothing_else_helps(project: Project) -> None:
    settings = project.settings().replaced({**LONG, "training.batch_size": 2, "training.precision": "float32"})
    less, more = bytes_of(settings, True), bytes_of(settings, False)
    assert less < 0.8 * more
    assert not forecast.fit(project, settings, Job(), free=2 * more).checkpointing
    room = (less + more) // 2
    found = forecast.fit(project, settings, Job(), free=room)
    assert found.checkpointing and found.changes["training.activation_checkpointing"] is True
    assert found.batch_size * found.micro_batches == 2 and found.memory <= room
    with pytest.raises(TrainingError, match="not even one sequence"):
        forecast.fit(project, settings, Job(), free=1_000_000)


def test_what_was_seen_to_take_too_much_is_not_taken(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project.settings().replaced({"training.batch_size": 4, "training.precision": "float32"})
    room = 4 * bytes_of(settings, False)
    sizes: list[int] = []

    def attempt(_self: object, batch_size: int, _micro_batches: int, again: bool, *_: object, **__: object) -> Attempt:
        sizes.append(batch_size)
        memory = room // 2 if batch_size == 1 else room + 1
        return Attempt(batch_size, again, fits=True, memory=memory, seconds=0.1, update=0.01)

    monkeypatch.setattr(forecast, "_FIRST_TOKENS", 1)
    monkeypatch.setattr(SubprocessTrial, "attempt", attempt)
    found = forecast.fit(project, settings, Job(), free=room)
    assert found.batch_size == 1 and found.micro_batches == 4 and found.memory < room
    assert sizes == [1, 2]


def test_a_fit_and_a_measurement_can_be_stopped(project: Project) -> None:
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        forecast.fit(project, project.settings(), job)
    with pytest.raises(Cancelled):
        forecast.measured(project, project.settings(), job)


def test_a_process_ended_for_want_of_memory_is_an_attempt_that_does_not_fit(project: Project) -> None:
    with SubprocessTrial(project.settings(), 400, Compute("cpu", "float32", 1), Job()) as trial:
        assert trial.attempt(1, 1, False, 1).fits
        trial.process.kill()
        assert not trial.attempt(2, 1, False, 1).fits


def test_train_fit_records_what_it_took_and_leaves_the_settings_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    before = project.config_file.read_text(encoding="utf-8")
    assert main(["train", str(project.root), "--fit", "--set", "training.max_steps=2"]) == 0
    assert "Optimised for this machine" in capsys.readouterr().err
    assert project.config_file.read_text(encoding="utf-8") == before
    (run,) = runs.listed(project)
    plan = run.settings["training"]
    assert plan["batch_size"] * plan["gradient_accumulation_steps"] == 8
    assert plan["max_steps"] == 2
    assert main(["train", str(project.root), "--fit", "--resume"]) == 2


def test_the_commands_report_scripts_the_figures(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", str(project.root), "--quick", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert 0 < summary["seconds"] < 60 and summary["memory"] > 10_000_000 and summary["tokens"] == 30 * 8 * 32
    assert main(["curve", str(project.root)]) == 1  # nothing trained yet
    changes = ["--set", "training.learning_rate=1e-7", "--set", "training.max_steps=260"]
    assert main(["train", str(project.root), *changes]) == 0
    said = capsys.readouterr().err
    assert "Nothing is learned" in said and "--set training.learning_rate=3e-4" in said
    assert main(["curve", str(project.root), "run-1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert found["finding"]["key"] == "stuck" and found["finding"]["changes"] == {"training.learning_rate": 3e-4}
    assert found["baselines"]["bigram"] < found["baselines"]["unigram"] < found["baselines"]["chance"]


def test_what_the_timeline_takes_on_the_disk_is_known_beforehand(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """As int8 if there is too little room for float16; the run then uses as much as forecast."""
    changes = ["--set", "model.d_model=128", "--set", "training.snapshot_megabytes=4"]
    quick = ["forecast", str(project.root), "--quick", *changes]
    assert main([*quick, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert (summary["snapshot_precision"], summary["snapshot_count"]) == ("int8", 16) and main(quick) == 0
    assert "the weights at 16 moments, as int8" in capsys.readouterr().out
    assert main(["train", str(project.root), *changes]) == 0
    kept = list((project.checkpoints / "run-1" / "snapshots").glob("*.safetensors"))
    assert len(kept) == pytest.approx(16, abs=1)
    assert sum(path.stat().st_size for path in kept) == pytest.approx(summary["snapshots"], rel=0.1)


def test_what_was_measured_is_the_forecast_of_every_run_with_the_same_steps_and_of_no_other(project: Project) -> None:
    settings = project.settings().replaced({"training.gradient_accumulation_steps": 2, "model.dropout": 0.123})
    assert not forecast.forecast(project, settings).measured
    summary = forecast.measured(project, settings, Job())
    longer = settings.replaced({"training.max_steps": 600, "training.learning_rate": 1e-3, "training.seed": 2})
    again = forecast.forecast(project, longer)
    assert summary.measured and again.measured
    assert (again.seconds_per_step, again.memory) == (summary.seconds_per_step, summary.memory)
    assert again.seconds == pytest.approx(600 / settings.training.max_steps * summary.seconds)
    for name, value in (("optimizer", "muon"), ("activation_checkpointing", True), ("batch_size", 4)):
        assert not forecast.forecast(project, settings.replaced({f"training.{name}": value})).measured, name


def test_a_fit_is_the_forecast_of_the_run_that_it_proposes(project: Project) -> None:
    settings = project.settings().replaced({"training.gradient_accumulation_steps": 6})
    found, summary = forecast.fit_and_forecast(project, settings, Job())
    again = forecast.forecast(project, settings.replaced(found.changes))
    assert summary.measured and summary == replace(again, free=summary.free)  # free memory isn't constant
    tokens = 6 * 8 * settings.model.max_seq_len
    assert summary.seconds_per_step == pytest.approx(tokens / found.tokens_per_second)


@pytest.mark.parametrize(
    ("name", "value"),
    [("training.optimizer", "muon"), ("training.activation_checkpointing", True), ("training.loss_on", "answers"),
     ("training.precision", "float32"), ("training.threads", 3), ("training.batch_size", 7), ("model.dropout", 0.3),
     ("training.gradient_accumulation_steps", 5), ("model.n_kv_heads", 2), ("training.cuda_graphs", None)],
)  # fmt: skip
def test_the_time_of_a_step_depends_on(name: str, value: object) -> None:
    settings = Settings()
    value = not settings.training.cuda_graphs if value is None else value
    assert forecast.step_key(settings.replaced({name: value})) != forecast.step_key(settings)
