"""The folder of a project: created, opened, refused, moved."""

import os
import shlex
import shutil
from pathlib import Path

import pytest

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.errors import BusyError, ConfigError, ProjectError, StorageError
from llm_studio.project import Project, State, state


def test_a_new_project_has_the_folders_of_the_design_and_commented_settings(tmp_path: Path) -> None:
    root = tmp_path / "Mes modèles" / "mon-llm"
    project = Project.create(root, load_preset("nano"))
    assert {p.relative_to(root).as_posix() for p in root.rglob("*")} == {
        "config", "config/config.yaml", "data", "data/raw", "data/processed", "checkpoints", "logs",
    }  # fmt: skip
    assert Project.open(root).settings() == load_preset("nano")
    assert "# width of the residual stream" in project.config_file.read_text(encoding="utf-8")


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ProjectError, match="not empty and holds no project"):
        Project.create(tmp_path, Settings())
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_project_is_not_made_over_another(tmp_path: Path) -> None:
    Project.create(tmp_path / "a", Settings())
    with pytest.raises(ProjectError, match="already a project"):
        Project.create(tmp_path / "a", Settings())


def test_a_folder_without_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="llm-studio new"):
        Project.open(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("", encoding="utf-8")
    with pytest.raises(ProjectError, match="is a file"):
        Project.create(tmp_path / "a", Settings())


def test_a_name_too_long_for_windows_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 120) / ("y" * 120)
    with pytest.raises(ProjectError, match="too long"):
        Project.create(root, Settings())
    assert not root.parent.exists()


def test_a_place_that_may_not_be_written_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="may not be written to"):
        Project.create(tmp_path / "a", Settings())


@pytest.mark.skipif(os.name == "nt", reason="a rule of POSIX shells")
@pytest.mark.parametrize("name", ["mon llm", "a$b", "l'été", 'say "x"', "back`tick`", "plain-été_1"])
def test_a_command_shown_can_be_pasted_into_a_shell(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ProjectError) as caught:
        Project.open(tmp_path / name)
    command = caught.value.to_do.partition("“")[2].partition("”")[0]
    assert shlex.split(command) == ["llm-studio", "new", str(tmp_path / name)]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_system_takes_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises((ProjectError, StorageError)):
        Project.open(tmp_path / name)
    with pytest.raises((ProjectError, StorageError)):
        Project.create(tmp_path / name, Settings())


def test_settings_that_can_not_be_read_are_explained(tmp_path: Path) -> None:
    (tmp_path / "config" / "config.yaml").mkdir(parents=True)
    with pytest.raises(ConfigError, match="can't be read"):
        Project.open(tmp_path).settings()


def test_settings_are_not_changed_by_two_at_once(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "a", Settings())
    with project.writing("config"):
        with pytest.raises(BusyError):
            project.change_settings({"model.d_model": 128})
        with pytest.raises(BusyError):
            project.replace_settings(Settings())


@pytest.mark.parametrize("record", ['{"inputs": null}', "[]", '{"asked": 400}', "", '{"inputs": [1]}'])
def test_a_damaged_record_makes_a_step_out_of_date(tmp_path: Path, record: str) -> None:
    output, meta = tmp_path / "tokenizer.json", tmp_path / "tokenizer.meta.json"
    output.write_text("{}", encoding="utf-8")
    assert state(output, meta, {"corpus": "1"}) is State.READY
    meta.write_text(record, encoding="utf-8")
    assert state(output, meta, {"corpus": "1"}) is State.OUT_OF_DATE


def test_a_bad_change_leaves_the_settings_as_they_were(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "a", Settings())
    before = project.config_file.read_bytes()
    with pytest.raises(ConfigError):
        project.change_settings({"model.d_model": 250})
    assert project.config_file.read_bytes() == before
    assert project.change_settings({"model.d_model": 128}).model.d_model == 128


def test_a_step_is_out_of_date_when_its_input_changed_and_ready_when_the_folder_moved(tmp_path: Path) -> None:
    from llm_studio import files

    output, meta = tmp_path / "a" / "tokenizer.json", tmp_path / "a" / "tokenizer.meta.json"
    assert state(output, meta, {"corpus": "1"}) is State.TO_DO
    files.write_text(output, "{}")
    files.write_json(meta, {"inputs": {"corpus": "1"}})
    assert state(output, meta, {"corpus": "2"}) is State.OUT_OF_DATE
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert state(tmp_path / "b" / output.name, tmp_path / "b" / meta.name, {"corpus": "1"}) is State.READY
