"""Texts and a time are enough to get a plan that fits, and a model."""

import json
import shutil
import statistics
from pathlib import Path

import pytest

from llm_studio.cli.app import main
from llm_studio.errors import DataError
from llm_studio.jobs import Job
from llm_studio.model import cost
from llm_studio.project import Project, State
from llm_studio.runs import registry
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.make import make
from llm_studio.workflows.training import planner
from llm_studio.workflows.training.planner import CONTEXTS, WIDTHS, plan_run
from llm_studio.workflows.training.runs import set_aside
from llm_studio.workflows.training.scaling_law import scaling_law
from llm_studio.workflows.training.train import train
from llm_studio.workflows.training.unfinished import unfinished_run
from tests.training.test_resume import StopAt


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = projects.new_project(tmp_path_factory.mktemp("make") / "p", "small", "en")
    sources.add_stories(made, "en", 3000, Job())
    return made


def test_a_time_of_hardly_any_steps_means_the_smallest_model(project: Project) -> None:
    """The law wasn't fitted to so few steps: it would choose a model with a context of a thousand tokens."""
    plan = plan_run(project, 0.02, Job())
    assert plan.settings.model.d_model == min(WIDTHS) and plan.context == min(CONTEXTS)


def test_more_time_means_a_model_that_should_write_better(project: Project) -> None:
    plans = [plan_run(project, minutes, Job()) for minutes in (1, 8, 7200)]
    bits = [plan.bits_per_byte for plan in plans]
    assert bits == sorted(bits, reverse=True)
    assert plans[0].parameters <= plans[-1].parameters
    assert plans[0].passes < 4 < 10 < plans[-1].passes
    regularized = [(plan.settings.model.dropout, plan.settings.training.weight_decay) for plan in plans]
    assert regularized[0] == (0.0, 0.1) and regularized[-1] == (0.2, 0.5) and regularized == sorted(regularized)
    assert not plans[0].more_texts
    assert plans[-1].more_texts, "three thousand stories are few for five days"


def test_a_plan_fits_the_machine_the_texts_and_the_time(project: Project) -> None:
    plan = plan_run(project, 5, Job())
    training = plan.settings.training
    assert training.minutes == 5
    assert training.warmup_steps < training.max_steps / 2
    assert training.max_steps >= 4 * training.eval_interval
    assert plan.text_bytes / plan.vocab_size > 100, "each token of the vocabulary is seen often"
    assert plan.passes == pytest.approx(plan.tokens * scaling_law().bytes_per_token(plan.vocab_size) / plan.text_bytes)
    assert set(plan.changes) >= {"model.vocab_size", "training.minutes"}
    changed = project.settings().replaced(plan.changes)
    assert (changed.model, changed.training) == (plan.settings.model, plan.settings.training)


@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_the_batch_suits_the_measured_speed(project: Project, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Not the estimated one: on a slow machine, a large batch would leave few steps."""
    monkeypatch.setattr(planner, "measure_step", lambda *_: seconds)
    plan = plan_run(project, 20, Job())
    suited = max(512, scaling_law().batch_tokens(plan.tokens))
    assert plan.batch * plan.context == pytest.approx(suited, rel=0.25)


def test_without_texts_there_is_no_plan(tmp_path: Path) -> None:
    empty = projects.new_project(tmp_path / "p", "nano", "en")
    with pytest.raises(DataError, match="no texts"):
        plan_run(empty, 5, Job())


def test_texts_seen_again_are_worth_less_and_never_more(project: Project) -> None:
    law = scaling_law()
    worths = [law.worth(passes * 1e6, 1e6) for passes in (0.5, 1, 2, 4, 16, 64, 256)]
    assert worths[:2] == [0.5e6, 1e6]
    assert worths == sorted(worths)
    assert all(worth <= passes * 1e6 for worth, passes in zip(worths, (0.5, 1, 2, 4, 16, 64, 256), strict=True))
    assert worths[-1] < (1 + law.repetitions) * 1e6 + 1


def test_a_long_context_pays_only_in_a_long_run() -> None:
    def bits(context: int, tokens: float) -> float:
        return scaling_law().bits_per_byte(300_000, 3 * tokens, 1e12, 3 * context, 2048, tokens)

    assert bits(128, 4e5) < bits(256, 4e5) < bits(512, 4e5)
    assert bits(512, 1e9) < bits(256, 1e9) < bits(128, 1e9)


def test_texts_and_a_time_are_enough(project: Project) -> None:
    steps: list[str] = []
    made = make(project, 0.1, Job(), lambda step, plan: steps.append(step), {"training.threads": 1})
    assert steps == ["plan", "tokenizer", "tokens", "train"]
    assert made.result.finished
    run = registry.read(project, made.result.run.name)
    assert run.state == "finished"
    assert run.seconds == pytest.approx(6, abs=3)
    assert projects.steps(project).tokens is State.READY
    assert made.plan
    again: list[str] = []
    make(project, 0.05, Job(), lambda step, plan: again.append(step), {"training.threads": 1}, made.plan)
    assert again == ["train"], "what is ready is not made again"
    assert len(registry.listed(project)) == 2


def test_the_command_makes_a_model_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "texts.txt"
    text.write_text("\n\n".join(f"The {n}th day was as long as the {n + 1}th. " * 5 for n in range(800)), "utf-8")
    folder = str(tmp_path / "model")
    arguments = [
        "make",
        folder,
        str(text),
        "--minutes",
        "0.05",
        "--lang",
        "en",
        "--set",
        "training.threads=1",
        "--json",
    ]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    done = lines[-1]
    assert done["event"] == "done"
    assert done["figures"]["state"] == "finished"
    assert done["figures"]["plan"]["minutes"] == 0.05
    assert main(["make", folder, "--minutes", "0.05", "--plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert plan["parameters"] > 0
    assert plan["snapshot_count"] >= 12 and 0 < plan["snapshots"] < plan["disk"]
    assert plan["snapshot_precision"] == "float16"
    assert not (tmp_path / "model" / "checkpoints" / "run-2").exists(), "a plan alone starts nothing"


def test_an_interrupted_run_is_resumed_and_a_new_one_started_on_request(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(prepared, tmp_path / "p")
    project = Project.open(tmp_path / "p")
    train(project, StopAt(15).job)
    assert main(["make", str(project.root)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "“run-1” was stopped at step 15 of 30; it resumes exactly there." in said
    assert [(run.name, run.step) for run in registry.listed(project)] == [("run-1", 30)]
    train(project, StopAt(15).job)
    arguments = ["make", str(project.root), "--minutes", "0.05", "--set", "training.threads=1"]
    assert main([*arguments, "--new"]) == 0
    assert [run.name for run in registry.listed(project)] == ["run-1", "run-2", "run-3"]
    assert registry.read(project, "run-2").step == 15


def test_a_run_that_was_set_aside_is_not_resumed(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "p")
    project = Project.open(tmp_path / "p")
    train(project, StopAt(15).job)
    found = unfinished_run(project)
    assert found and found.name == "run-1"
    set_aside(project, "run-1")
    assert unfinished_run(project) is None


def test_texts_added_since_a_run_was_interrupted_are_learned_from(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "p")
    project = Project.open(tmp_path / "p")
    train(project, StopAt(15).job)
    (tmp_path / "more.txt").write_text("The sea was calm. " * 500, encoding="utf-8")
    sources.add_files(project, tmp_path / "more.txt", Job())
    assert unfinished_run(project) is None


def test_a_time_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["make", str(tmp_path / "model"), "--minutes", "0"]) == 1
    assert "at least one second" in capsys.readouterr().err


def test_the_law_agrees_with_the_runs_that_it_was_fitted_to() -> None:
    """Within 2 % in the median; each text has a different irreducible loss, which is estimated from its runs."""
    from tests.benchmarks.scaling import Setup, settings_of

    law, off = scaling_law(), list[tuple[str, float, float]]()
    for line in (Path(__file__).parent / "benchmarks" / "scaling.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        setup = Setup(**row["setup"])
        if row["group"] in ("batch", "rate") or setup.dropout:
            continue
        counts = cost.count_parameters(settings_of(setup).model, row["vocab"])
        tokens, length = setup.steps * setup.tokens, row["bytes_per_token"]
        predicted = law.bits_per_byte(counts.total - counts.embedding, tokens * length, row["train_tokens"] * length,
                                      setup.context * length, row["vocab"], tokens)  # fmt: skip
        off.append((setup.text, predicted - row["bits"], row["bits"]))
    assert len(off) > 50
    for text in {text for text, _difference, _bits in off}:
        of_text = [(difference, bits) for name, difference, bits in off if name == text]
        middle = statistics.median(difference for difference, _bits in of_text)
        assert statistics.median(abs(difference - middle) / bits for difference, bits in of_text) < 0.02
