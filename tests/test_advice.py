"""Advice before a run: conflicting settings are reported, and the button fixes them."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.errors import BusyError, Cancelled, ConfigError, ProjectError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.model_advice import Advice, Plan, advice
from llm_studio.workflows.overview import Overview, TokenFacts, overview
from llm_studio.workflows.training.forecast import seconds_per_step


@pytest.fixture
def here(project: Project) -> Overview:
    return overview(project)


def plan(here: Overview, settings: Settings, train: int = 0, memory: int | None = None,
         seconds: float | None = None) -> Plan:  # fmt: skip
    here = replace(here, settings=settings, tokens=TokenFacts(train, train // 20) if train else here.tokens)
    cost = projects.cost_of(settings, settings.model.vocab_size)
    return Plan(here, settings, cost, memory, seconds)


def given(plan: Plan, key: str) -> Advice | None:
    return next((piece for piece in advice(plan) if piece.key == key), None)


@pytest.mark.parametrize(
    ("key", "changes", "train", "memory", "seconds"),
    [
        ("memory", {"training.batch_size": 512}, 0, 3_000_000_000, None),
        ("memory", {"model.d_model": 4096, "model.n_layers": 48}, 0, 4_000_000_000, None),
        ("warm-up", {"training.max_steps": 100, "training.warmup_steps": 1000}, 0, None, None),
        ("passes", {"training.max_steps": 100_000}, 2_000_000, None, None),
        ("short", {"training.max_steps": 20, "training.warmup_steps": 1}, 500_000_000, None, None),
        ("vocabulary", {"model.vocab_size": 32_000}, 400_000, None, None),
        ("time", {}, 500_000_000, None, 60.0),
    ],
)
def test_what_the_button_changes_mends_what_is_said(
    here: Overview, key: str, changes: dict[str, object], train: int, memory: int | None, seconds: float | None
) -> None:
    settings = load_preset("nano").replaced(changes)
    piece = given(plan(here, settings, train, memory, seconds), key)
    assert piece is not None and piece.action and piece.changes
    fixed = settings.replaced(piece.changes)
    assert given(plan(here, fixed, train, memory, seconds), key) is None
    assert given(plan(here, fixed, train, memory, seconds), "warm-up") is None


def test_fewer_sequences_at_a_time_make_the_same_step(here: Overview) -> None:
    settings = load_preset("nano").replaced({"training.batch_size": 512, "training.gradient_accumulation_steps": 3})
    before = plan(here, settings, memory=3_000_000_000)
    piece = given(before, "memory")
    assert piece is not None
    after = plan(here, settings.replaced(piece.changes))
    assert after.tokens_of_step == before.tokens_of_step
    assert after.cost.training_bytes <= 3_000_000_000


def test_what_lacks_leads_to_its_tab(tmp_path: Path, here: Overview) -> None:
    empty = overview(projects.new_project(tmp_path / "empty", "nano"))
    assert [(piece.key, piece.tab) for piece in advice(Plan(empty, empty.settings, empty.cost))] == [("data", "data")]
    larger = projects.change_settings(here.project, {"model.vocab_size": 500})
    assert larger.model.vocab_size == 500
    now = overview(here.project)
    assert given(Plan(now, now.settings, now.cost), "tokenizer") is not None
    few = given(plan(here, load_preset("nano"), 1_000_000), "texts")
    assert few is not None and few.tab == "data"
    assert "smaller" not in few.text, "there is none"
    large = given(plan(here, load_preset("mini"), 1_000_000), "texts")
    assert large is not None and large.text.endswith("Add texts, or take a smaller model.")


def test_a_plan_that_fits_gets_no_advice(here: Overview) -> None:
    assert advice(plan(here, load_preset("nano"), 30_000_000, 8_000_000_000, 0.1)) == []


def test_a_text_is_written_whole_or_not_at_all(project: Project) -> None:
    before = projects.config_text(project)
    text = before.replace("max_steps: 30", "max_steps: 77   # my own") + "\n# the end\n"
    assert projects.write_config_text(project, text, before).training.max_steps == 77
    assert projects.config_text(project) == text
    with pytest.raises(ConfigError) as caught:
        projects.write_config_text(project, text.replace("77", "none"), text)
    assert caught.value.problems[0].line
    with pytest.raises(ProjectError, match="changed by something else"):
        projects.write_config_text(project, before, before)
    with project.writing("config"), pytest.raises(BusyError):
        projects.write_config_text(project, before, text)
    assert projects.config_text(project) == text


def test_a_measurement_takes_many_micro_batches_into_account_and_can_be_stopped(project: Project) -> None:
    settings = project.settings()
    many = settings.replaced({"training.gradient_accumulation_steps": 400})
    assert seconds_per_step(project, many, Job(), steps=1) > 20 * seconds_per_step(project, settings, Job(), steps=3)
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        seconds_per_step(project, settings, job)


def test_the_presets_cost_what_their_names_say() -> None:
    made = [load_preset(name) for name in ("nano", "mini", "small", "medium", "gpt2")]
    counts = [projects.cost_of(settings, settings.model.vocab_size).parts.total for settings in made]
    assert [round(count / 1e6) for count in counts] == [1, 6, 14, 42, 124]
