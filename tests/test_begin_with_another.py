"""With few texts, a run can start from a model of another project, with its tokenizer and shape."""

import json
import random
import shutil
from pathlib import Path

import pytest

from llm_studio.cli.app import main
from llm_studio.config.presets import load_preset
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import ProjectError, TrainingError
from llm_studio.jobs import Job
from llm_studio.paths import preferences_file
from llm_studio.project import Project, State
from llm_studio.runs import registry
from llm_studio.runs.locate import locate
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.make import adopt_plan, make
from llm_studio.workflows.other_models import other_models
from llm_studio.workflows.overview import overview
from llm_studio.workflows.tokenizer import lab
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.plan_text import plan_text
from llm_studio.workflows.training.planner import CONTINUED_RATE, plan_run
from llm_studio.workflows.training.train import train
from tests.tiny import SETTINGS
from tests.training.test_resume import StopAt

ONE_THREAD = {"training.threads": 1}
MINUTES = 0.05


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model, on stories."""
    root = tmp_path_factory.mktemp("trained") / "stories"
    shutil.copytree(prepared, root)
    train(Project.open(root), Job(), changes={"training.max_steps": 20})
    return root


@pytest.fixture
def diary(tmp_path: Path) -> Project:
    """Another project, with only a few texts."""
    text = tmp_path / "diary.txt"
    text.write_text("".join(f"On day {n} the sea was calm. We saw {n} ships.\n\n" for n in range(400)), "utf-8")
    made = projects.new_project(tmp_path / "diary", "small", "en")
    projects.change_settings(made, ONE_THREAD)
    sources.add_files(made, text, Job())
    return made


def tokenizer_of(project: Project) -> str:
    return Tokenizer.load(project.tokenizer_file).fingerprint


def test_it_has_the_tokenizer_and_the_shape_of_that_model_and_its_weights(trained: Path, diary: Project) -> None:
    steps: list[str] = []
    made = make(diary, MINUTES, Job(), lambda step, _plan: steps.append(step), continue_from=str(trained))
    assert steps == ["plan", "tokens", "train"], "no tokenizer is trained"
    assert made.plan and made.result.finished
    origin = locate(Project.open(trained), "run-1/best")
    model, shape = made.plan.settings.model, origin.settings().model
    assert (model.d_model, model.n_layers, model.max_seq_len) == (shape.d_model, shape.n_layers, shape.max_seq_len)
    assert made.plan.settings.training.optimizer == "muon", "the recipe is the planner's"
    run = registry.read(diary, "run-1")
    assert run.continued_from == str(origin.path)
    assert tokenizer_of(diary) == tokenizer_of(Project.open(trained))
    assert projects.steps(diary) == projects.Steps(State.READY, State.READY, State.READY)
    text = plan_text(made.plan)
    assert f"It begins with the model stories/run-1/{origin.path.name} and keeps its tokenizer and its shape" in text


def logbook(seed: int, days: int) -> str:
    """Sentences of a small grammar, different for each seed."""
    draw = random.Random(seed).choice
    return "".join(
        f"On {draw(('Monday', 'Tuesday', 'Sunday'))} the {draw(('sea', 'sky', 'wind'))} was {draw(('calm', 'grey'))}. "
        f"{draw(('We', 'They', 'Mia and Tom'))} saw {draw(('ships', 'whales', 'gulls'))} and {draw(('sang', 'slept'))}."
        "\n\n" for _day in range(days)
    )  # fmt: skip


def test_a_model_that_knows_such_texts_learns_with_smaller_steps(diary: Project, tmp_path: Path) -> None:
    """Large steps would make it forget; new kinds of texts need the learning rates of the presets."""
    ship = projects.new_project(tmp_path / "ship", "nano", "en")
    projects.change_settings(ship, {**SETTINGS, "training.optimizer": "muon", "model.dropout": 0.0})
    more = projects.new_project(tmp_path / "more", "small", "en")
    for name, seed, project in (("first", 1, ship), ("second", 2, more)):
        (tmp_path / f"{name}.txt").write_text(logbook(seed, 800), encoding="utf-8")
        sources.add_files(project, tmp_path / f"{name}.txt", Job())
    train_tokenizer(ship, Job())
    prepare_tokens(ship, Job())
    train(ship, Job(), changes={"training.max_steps": 100})
    recipe = load_preset("nano").training
    plan = plan_run(diary, MINUTES, Job(), continue_from=str(ship.root))
    assert plan.settings.training.learning_rate == recipe.learning_rate
    assert plan.settings.training.muon_learning_rate == recipe.muon_learning_rate
    projects.change_settings(more, ONE_THREAD)
    plan = plan_run(more, MINUTES, Job(), continue_from=str(ship.root))
    assert plan.settings.training.learning_rate == pytest.approx(CONTINUED_RATE * recipe.learning_rate)
    assert plan.settings.training.muon_learning_rate == pytest.approx(CONTINUED_RATE * recipe.muon_learning_rate)


def test_the_command_resumes_what_began_with_that_model_and_nothing_else(
    trained: Path, diary: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_run(diary, MINUTES, Job(), continue_from=str(trained))
    adopt_plan(diary, plan)
    assert main(["prepare", str(diary.root)]) == 0
    assert plan.origin
    train(diary, StopAt(3).job, continue_from=plan.origin.name, changes={"training.max_steps": 10})
    command = ["make", str(diary.root), "--minutes", str(MINUTES), "--continue-from", str(trained)]
    assert main(command) == 0
    assert [(run.name, run.state) for run in registry.listed(diary)] == [("run-1", "finished")]
    train(diary, StopAt(3).job, changes={"training.max_steps": 10})
    assert main(command) == 0
    assert [run.state for run in registry.listed(diary)] == ["finished", "stopped", "finished"]
    capsys.readouterr()


def test_a_model_of_its_own_later_has_a_tokenizer_of_its_own(trained: Path, diary: Project) -> None:
    adopt_plan(diary, plan_run(diary, MINUTES, Job(), continue_from=str(trained)))
    assert projects.steps(diary).tokenizer is State.READY
    projects.change_settings(diary, {"model.vocab_size": 900})
    assert overview(diary).cost.vocab_size == Tokenizer.load(diary.tokenizer_file).vocab_size
    plan = plan_run(diary, MINUTES, Job())
    assert plan.retrain_tokenizer
    assert adopt_plan(diary, plan) == ("tokenizer", "tokens", "train")


def test_another_shape_is_refused_before_anything_is_changed(trained: Path, diary: Project) -> None:
    before = diary.config_file.read_bytes()
    with pytest.raises(TrainingError, match=r"shape is that of the checkpoint.*model\.n_layers"):
        make(diary, MINUTES, Job(), lambda _step, _plan: None, {"model.n_layers": 3}, continue_from=str(trained))
    assert diary.config_file.read_bytes() == before
    assert not diary.tokenizer_file.exists()


def test_a_tokenizer_that_the_user_has_imported_is_kept_by_a_plan(trained: Path, diary: Project) -> None:
    lab.import_tokenizer(diary, trained / "tokenizer.json")
    plan = plan_run(diary, MINUTES, Job())
    assert plan.vocab_size == Tokenizer.load(trained / "tokenizer.json").vocab_size
    assert plan.keeps_tokenizer and not plan.retrain_tokenizer
    assert plan.passes == pytest.approx(plan.tokens * 3 / plan.text_bytes, rel=0.5), "of about three bytes a token"


def test_a_project_without_a_model_says_so(diary: Project, tmp_path: Path) -> None:
    empty = projects.new_project(tmp_path / "empty", "nano", "en")
    with pytest.raises(ProjectError, match="no trained model yet"):
        plan_run(diary, MINUTES, Job(), continue_from=str(empty.root))


def test_the_models_of_other_projects_are_listed_those_in_the_language_first(
    trained: Path, diary: Project, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "contes")
    french = Project.open(tmp_path / "contes")
    french.change_settings({"project.language": "fr", "project.name": "Contes"})
    empty = projects.new_project(tmp_path / "empty", "nano", "en")
    paths = [str(tmp_path / "gone"), str(empty.root), str(french.root), str(diary.root), str(trained)]
    found = other_models(diary, Job(), paths)
    assert [(model.project, model.run) for model in found] == [("project", "run-1"), ("Contes", "run-1")]
    assert locate(diary, found[0].reference).path.parent == trained / "checkpoints" / "run-1"
    assert "bits/byte" in found[0].text
    assert [model.project for model in other_models(french, Job(), paths)][:1] == ["project"], "never its own"


def test_where_texts_are_few_the_command_names_the_models_it_knows(
    trained: Path, diary: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))
    preferences_file().parent.mkdir()
    preferences_file().write_text(json.dumps({"recent": [str(trained)]}), encoding="utf-8")
    command = ["make", str(diary.root), "--minutes", "600", "--plan"]
    assert main(command) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "name “stories” among the texts" in said
    assert f"--continue-from {trained / 'checkpoints' / 'run-1'}" in said
    assert main([*command, "--continue-from", str(trained)]) == 0
    assert "Or begin with another model" not in capsys.readouterr().err
