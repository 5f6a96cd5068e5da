"""A settings file that is empty, cut off or too large is reported with a message, and kept."""

import time
from pathlib import Path

import pytest

from llm_studio.config import Settings
from llm_studio.config import yaml_file as yaml
from llm_studio.errors import ConfigError, DamagedConfigError, StudioError
from llm_studio.i18n import activate
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.workflows import overview, projects
from tests.runs.models import save_checkpoint, save_run

SETTINGS = Settings().replaced({"model.vocab_size": 500, "project.name": "né", "data.weights.a": 2})


def load(folder: Path, content: str | bytes) -> Settings:
    path = folder / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return yaml.load(path)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "# Settings of this project.\n# What is left out has its default.\n", "---\n", "\0" * 5000]
)
def test_an_empty_file_does_not_mean_the_defaults(tmp_path: Path, content: str) -> None:
    with pytest.raises(DamagedConfigError, match=r"config\.yaml is damaged\. There are no settings") as raised:
        load(tmp_path, content)
    assert "preset" in raised.value.to_do and "preset" in str(raised.value)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_file_that_was_cut_anywhere_is_refused(tmp_path: Path, language: str) -> None:
    activate(language)
    whole = yaml.dump(SETTINGS).encode()
    assert load(tmp_path, whole) == SETTINGS
    end = len(whole) - len(b"...\n")
    for cut in range(0, end, 7):
        with pytest.raises(ConfigError):
            load(tmp_path, whole[:cut])
    lines = whole.splitlines(keepends=True)
    for count in range(10, len(lines) - 1):  # cut at the end of a line, it is still valid YAML
        with pytest.raises(DamagedConfigError, match=r"\.\.\.") as raised:
            load(tmp_path, b"".join(lines[:count]))
        assert raised.value.to_do


def test_a_file_of_an_earlier_version_or_by_hand_needs_no_last_line(tmp_path: Path) -> None:
    older = "\n".join(line for line in yaml.dump(SETTINGS).splitlines() if "..." not in line) + "\n"
    assert load(tmp_path, older) == SETTINGS
    assert load(tmp_path, "# two ... lines\nmodel: {vocab_size: 500}\n").model.vocab_size == 500
    assert load(tmp_path, "model: {vocab_size: 500}") == Settings().replaced({"model.vocab_size": 500})


def test_a_changed_file_keeps_its_last_line(tmp_path: Path) -> None:
    cut = yaml.dump(SETTINGS).replace("generation:", "#").split("#\n")[0]
    whole = "\n".join(line for line in cut.splitlines() if not line.startswith("  min_p")) + "\n...\n# a word\n"
    text = yaml.with_changes(whole, {"generation.min_p": 0.25, "training.seed": 3})
    assert text.endswith("generation:\n  min_p: 0.25\n...\n# a word\n")
    assert load(tmp_path, text).generation.min_p == 0.25


BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(10))
MERGED = "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9) if n else '{x: 1}'}]}}" for n in range(10))
TOO_MUCH: dict[str, tuple[str | bytes, str]] = {
    "10 MB of comments": ("# a comment of some words\n" * 400_000, "more than 200,000 characters"),
    "comments": ("# a comment of some words\n" * 10_000, "more than 200,000 characters"),
    "settings": ("model:\n" + "".join(f"  n{i}: 1\n" for i in range(15_000)), "more here than settings can need"),
    "unknown settings": ("model:\n" + "".join(f"  n{i}: 1\n" for i in range(4_000)), "unknown setting"),
    "sections": ("".join(f"n{i}: 1\n" for i in range(4_000)), "unknown section"),
    "brackets": ("[" * 150_000, "can't be used"), "braces": ("{a: " * 40_000, "more here"),
    "dashes": ("- " * 90_000, "more here"), "references": (BOMB, "more here"), "merged": (MERGED, "more here"),
    "a long name": ("model:\n  " + "x" * 150_000 + ": 1\n", "config"), "bytes": (b"\xff" * 100, "not UTF-8"),
    "a long value": ("model: " + "x" * 150_000, "must hold"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_what_no_one_has_written_is_refused_soon(tmp_path: Path, kind: str) -> None:
    content, said = TOO_MUCH[kind]
    began = time.perf_counter()
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, content)
    print(f"{kind}: {time.perf_counter() - began:.2f} s")
    assert said in str(raised.value) and len(raised.value.problems) <= 100 and len(str(raised.value)) < 50_000


def test_a_project_with_an_empty_file_shows_the_rest_and_a_preset_mends_it(project: Project) -> None:
    save_run(project, "a", "2030-01-01")
    project.config_file.write_bytes(b"")
    found = overview.overview(project)
    assert [run.name for run in found.runs] == ["a"] and found.sources
    assert isinstance(found.settings_problem, DamagedConfigError)
    for refused in (
        lambda: project.change_settings({"training.seed": 3}),
        lambda: projects.write_config_text(project, ""),
    ):
        with pytest.raises(DamagedConfigError):
            refused()
        assert project.config_file.read_bytes() == b""
    assert projects.apply_preset(project, "nano").project.name == project.root.name
    assert project.config_file.with_name("config.yaml.damaged").read_bytes() == b""


# --- One damaged record of a run hides nothing else ------------------------------------------------------------------


def test_a_damaged_run_is_listed_as_such_beside_the_others(project: Project) -> None:
    for name in "abcd":
        save_run(project, name, f"2030-01-0{'abcd'.index(name) + 1}")
    save_checkpoint(project, "d", 5, 2.5)
    for name, content in {"b": "[" * 100_000, "c": '{"version": 7}', "d": '{"step": "5"}'}.items():
        (registry.folder(project, name) / "run.json").write_text(content, encoding="utf-8")
    found, problems = registry.survey(project)
    assert {run.name: run.state for run in found} == {"a": "stopped", "d": "interrupted"}
    said = {problem.name: f"{problem.what} {problem.to_do}" for problem in problems}
    assert "nested too deeply" in said["b"] and "delete its folder" in said["b"]
    assert "newer LLM Studio" in said["c"] and "Update" in said["c"]
    assert "“created” is missing" in said["d"] and "last checkpoint" in said["d"]
    assert [run.name for run in overview.overview(project).runs] == [run.name for run in found]
    registry.rename(project, "b", "e")
    assert registry.delete(project, "e") > 0
    with pytest.raises(StudioError):
        registry.read(project, "c")


def test_absurd_figures_are_damage(project: Project) -> None:
    save_run(project, "a", "2030-01-01")
    path = registry.folder(project, "a") / "run.json"
    whole = path.read_text(encoding="utf-8")
    for name, value in {"step": -3, "seconds": -1.5, "best_loss": -2, "parameters": 10**18, "joules": 1e300}.items():
        kept = ",\n".join(line for line in whole.split(",\n") if f'"{name}"' not in line)
        path.write_text(kept.rstrip().removesuffix("}") + f',"{name}": {value}}}', encoding="utf-8")
        assert not registry.listed(project)
        assert f"“{name}” can't be {value}" in registry.survey(project)[1][0].what
