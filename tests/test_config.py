"""Settings: all problems are reported at once, numbers are read as people write them, changes keep comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio import i18n
from llm_studio.config import SECTIONS, Settings
from llm_studio.config.presets import load_preset, preset_names
from llm_studio.config.yaml_file import dump, load, parse, parse_value, with_changes
from llm_studio.errors import ConfigError
from llm_studio.model import cost
from llm_studio.paths import resource


def fields() -> dict[str, str]:
    """The help of each setting, by dotted name."""
    return {
        f"{s}.{key}": info.description or "" for s, kind in SECTIONS.items() for key, info in kind.model_fields.items()
    }


def test_the_yaml_of_the_design_loads() -> None:
    settings = parse(
        "model:    {vocab_size: 32000, d_model: 256, n_heads: 8, n_layers: 6, d_ff: 1024,"
        " max_seq_len: 512, dropout: 0.1}\n"
        "training: {batch_size: 32, learning_rate: 3e-4, warmup_steps: 1000, max_steps: 100000, gradient_clip: 1.0,"
        " gradient_accumulation_steps: 1}\n"
    )
    # only for new projects: older files don't have these settings
    newer = {"data.remove_invisible": False, "data.tidy_spaces": False, "training.optimizer": "adamw",
             "training.muon_learning_rate": 0.005}  # fmt: skip
    assert settings == load_preset("small").replaced({"project.name": "", **newer})
    assert settings.training.learning_rate == 0.0003


@pytest.mark.parametrize(
    "written, number", [("3e-4", 3e-4), ("1e3", 1000.0), ("2.5E-3", 2.5e-3), (".5", 0.5), ("-1e+2", -100.0)]
)
def test_numbers_are_read_as_people_write_them(written: str, number: float) -> None:
    assert parse_value(written) == number


def test_every_problem_is_reported_at_once_with_its_line() -> None:
    text = """\
model:
  d_model: 100
  n_heads: 3
  n_layer: 3
  dropout: "0.1"
training:
  max_steps: 3.5
  batch_size: 0
trainning: 3
"""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    found = {p.path: (p.line, p.message) for p in caught.value.problems}
    assert found["model.d_model"] == (2, "100 can't be divided among n_heads = 3 heads: take a multiple of 3")
    assert found["model.n_layer"] == (4, "unknown setting: did you mean “n_layers”?")
    assert found["model.dropout"] == (5, "must be a number, not '0.1'")
    assert found["training.max_steps"] == (7, "must be a whole number, not 3.5")
    assert found["training.batch_size"] == (8, "must be at least 1, not 0")
    assert found["trainning"] == (9, "unknown section: did you mean “training”?")
    assert len(found) == 6


@pytest.mark.parametrize(
    "text, line",
    [("model: [1, 2", 1), ("model:\n  d_model: 64\n  d_model: 32\n", 3), ("just words", 1), ("model: 3", 1)],
)
def test_what_is_no_yaml_of_settings_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.problems[0].line == line


@pytest.mark.parametrize("changes", [
    {"model.n_kv_heads": 3}, {"model.d_model": 24, "model.n_heads": 8}, {"model.positions": "alibi"},
    {"model.d_model": True}, {"training.learning_rate": float("nan")}, {"training.sample_prompts": [3]},
    {"generation.temperature": -1}, {"project.language": "de"}, {"model.d_model": None},
])  # fmt: skip
def test_values_that_can_not_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Settings().replaced(changes)


def test_what_is_written_is_read_back(tmp_path) -> None:
    path = tmp_path / "config.yaml"
    settings = Settings().replaced({"project.name": "Été: à l’école #1", "training.sample_prompts": ["a: b", "- c"],
                                    "training.learning_rate": 1.25e-5, "model.rope_theta": 500000.0})  # fmt: skip
    path.write_text(dump(settings), encoding="utf-8")
    assert load(path) == settings


@given(rate=st.floats(1e-12, 10), name=st.text(max_size=30), prompts=st.lists(st.text(max_size=10), max_size=3))
def test_any_value_survives_the_file(rate: float, name: str, prompts: list[str]) -> None:
    settings = Settings().replaced(
        {"training.learning_rate": rate, "project.name": name, "training.sample_prompts": prompts}
    )
    assert parse(dump(settings)) == settings


@pytest.mark.parametrize(
    "name", ["0E0", "1e3", ".5", "3", "null", "on", "2024-01-01", "2024-13-45", "~", "1_0", "a: b"]
)
def test_a_name_that_looks_like_something_else_survives_the_file(name: str) -> None:
    settings = Settings().replaced({"project.name": name, "training.sample_prompts": [name]})
    assert parse(dump(settings)) == settings
    assert parse(with_changes("project: {}", {"project.name": name})).project.name == name


@pytest.mark.parametrize("text, path, said", [
    ("model: {3: 4}", "model.3", "unknown setting"),
    ("model:\n  on: 4", "model.on", "unknown setting"),
    ("3: {d_model: 4}", "3", "unknown section"),
    ("model: {{x}: 3}", "yaml", "one word"),
    ("model: {? [a] : 3}", "yaml", "one word"),
    ("model: {d_model: " + "9" * 5000 + "}", "yaml", "can't be read"),
    ("model: {d_model: 0x" + "F" * 5000 + "}", "yaml", "can't be read"),
    ("project: {name: !!timestamp x}", "yaml", "can't be read"),
    ("project: {name: !!int ''}", "yaml", "can't be read"),
    ("model: " + "[" * 5000, "yaml", ""),
])  # fmt: skip
def test_whatever_stands_in_the_file_is_explained(text: str, path: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert problem.path == path and said in problem.message and len(str(caught.value)) < 250


def test_a_date_is_a_text() -> None:
    assert parse("project: {name: 2024-13-45}").project.name == "2024-13-45"


@pytest.mark.parametrize("text", ["{{x}: 3}", "9" * 5000, "0x" + "F" * 5000, "2024-13-45", "[" * 5000])
def test_whatever_is_given_as_a_value_is_explained(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a whole number"):
        Settings().replaced({"model.d_model": parse_value(text)})


@pytest.mark.parametrize("changes", [
    {"model.d_modell": 3, "model.x: y": 4}, {".": 1, "model.d_model": 64},
])  # fmt: skip
def test_names_and_values_are_checked_before_the_file_is_touched(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        with_changes("model: {d_model: 128}\n", changes)


def test_limits_are_shown_as_people_write_them() -> None:
    with pytest.raises(ConfigError, match=r"must be at least 0, not -1$"):
        Settings().replaced({"generation.temperature": -1.0})
    with pytest.raises(ConfigError, match=r"must be at most 0\.5, not 3$"):
        Settings().replaced({"data.validation_share": 3})
    with pytest.raises(ConfigError, match=r"must be a whole number, not 3\.0"):
        Settings().replaced({"training.max_steps": 3.0})


def test_a_file_that_can_not_be_read_is_explained(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"it is a folder|permission denied"):
        load(tmp_path)


def test_every_setting_has_a_help_text_and_a_place_in_the_file() -> None:
    text = dump(Settings())
    for path, description in fields().items():
        assert description, path
        assert f"  {path.partition('.')[2]}:" in text


def test_a_change_keeps_comments_and_order() -> None:
    text = "# mine\nmodel:\n  n_layers: 2   # few\n  d_model: 64\ntraining: {max_steps: 5, batch_size: 2}\n"
    changed = with_changes(
        text, {"model.n_layers": 3, "training.max_steps": 7, "training.seed": 1, "data.min_characters": 9}
    )
    assert changed == (
        "# mine\nmodel:\n  n_layers: 3   # few\n  d_model: 64\ntraining: {seed: 1, max_steps: 7, batch_size: 2}\n"
        "\ndata:\n  min_characters: 9\n"
    )


def test_an_impossible_change_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        with_changes("model: {}\n", {"training.max_steps": 0})


@pytest.mark.parametrize("name, millions", [("nano", 1), ("mini", 6), ("small", 15), ("medium", 42), ("gpt2", 124)])
def test_a_preset_has_its_size(name: str, millions: int) -> None:
    settings = load_preset(name)
    counts = cost.count_parameters(settings.model, settings.model.vocab_size)
    assert counts.total == pytest.approx(millions * 1e6, rel=0.06)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_names_all_settings_that_its_weights_depend_on(name: str) -> None:
    """Another default of a setting must not change a preset. Sampling comes after training and may be left out."""
    text = resource("presets", f"{name}.yaml").read_text(encoding="utf-8")
    for section, _dot, setting in (path.partition(".") for path in fields()):
        assert section == "generation" or f"  {setting}:" in text, setting


def test_the_problems_are_reported_in_french() -> None:
    i18n.activate("fr")
    with pytest.raises(ConfigError, match="vouliez-vous dire"):
        parse("model: {n_layer: 3}")


def test_sections_are_those_of_the_design() -> None:
    assert list(SECTIONS) == ["project", "data", "tokenizer", "model", "training", "generation"]
