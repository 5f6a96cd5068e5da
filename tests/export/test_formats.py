"""A format is declared once: the command line lists it, with its options, from the table. (The window: in tests/ui.)"""

import json
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, PROBLEM, WRONG_USAGE, main
from llm_studio.export.formats import FORMATS
from llm_studio.export.lm_studio import models_folder
from llm_studio.project import Project
from tests.export.toy import TOY
from tests.runs.models import damage, empty_project, save_checkpoint, save_run, save_snapshot


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A run whose best checkpoint isn't the last, and a snapshot; the current folder is an empty one."""
    project = empty_project(tmp_path)
    save_run(project, "a", "2030-01-01")
    save_checkpoint(project, "a", 5, 1.0)
    save_checkpoint(project, "a", 10, 2.0)
    save_snapshot(project, "a", 7)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return project


def export(project: Project, *arguments: str) -> int:
    return main(["export", str(project.root), *arguments])


@pytest.mark.parametrize("given, name", [([], "a-step-000005"), (["--checkpoint", "a/last"], "a-step-000010"),
                                         (["--checkpoint", "10"], "a-step-000010")])  # fmt: skip
def test_the_best_checkpoint_or_the_one_that_is_named_is_exported_here(
    project: Project, given: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(project, "--to", "zip", *given) == DONE
    (made,) = Path().iterdir()
    assert made.name == f"project-{name}.zip" and str(made) in capsys.readouterr().out


def test_the_target_is_a_file_or_a_folder(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(project, "--to", "zip", "--out", str(tmp_path / "new" / "été.zip"), "--json") == DONE
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures == {"format": "zip", "checkpoint": "a/step-000005", "path": str(tmp_path / "new" / "été.zip"),
                       "bytes": (tmp_path / "new" / "été.zip").stat().st_size}  # fmt: skip
    assert export(project, "--to", "zip", "--out", str(tmp_path / "new")) == DONE
    assert (tmp_path / "new" / "project-a-step-000005.zip").exists()
    assert not list(Path().iterdir())
    assert export(project, "--to", "zip", "--out", str(tmp_path / "named")) == DONE
    assert (tmp_path / "named.zip").exists(), "programs open a file by its suffix"


def test_the_optimizer_is_exported_on_request(project: Project) -> None:
    assert export(project, "--to", "zip", "--out", "without.zip") == DONE
    assert export(project, "--to", "zip", "--out", "with.zip", "--with-training") == DONE
    assert b"optimizer.safetensors" in Path("with.zip").read_bytes()
    assert b"optimizer.safetensors" not in Path("without.zip").read_bytes()


@pytest.mark.parametrize("arguments, said", [
    (["--to", "pdf"], "no export format “pdf”. The formats are: zip"),
    (["--to", "zip", "--checkpoint", "a/7"], "no checkpoint of step 7"),  # of which there is but a snapshot
    (["--to", "zip", "--checkpoint", "elsewhere"], "nor a checkpoint"),
    (["--to", "zip", "--checkpoint", "b/best"], "no run “b”"),
])  # fmt: skip
def test_what_cannot_be_exported_is_explained_and_leaves_nothing(
    project: Project, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(project, *arguments) == PROBLEM
    assert said in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_damaged_checkpoint_is_not_replaced_by_another(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    damage(project.checkpoints / "a" / "step-000005" / "model.safetensors")
    assert export(project, "--to", "zip") == PROBLEM
    assert "step-000005 is damaged (model.safetensors)" in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_format_in_the_table_has_its_options_on_the_command_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(project, "--to", "zip", "--loud") == WRONG_USAGE
    monkeypatch.setitem(FORMATS, "toy", TOY)
    assert export(project, "--to", "toy", "--loud", "--case", "upper", "--out", "names.txt") == DONE
    assert Path("names.txt").read_text(encoding="utf-8").splitlines() == [
        "a/step-000005",
        "case=upper",
        "loud=True",
        "w",
    ]
    capsys.readouterr()
    assert export(project, "--to", "toy", "--with-training") == PROBLEM
    assert "format “toy” has no option --with-training" in capsys.readouterr().err
    assert export(project, "--to", "toy", "--case", "middle") == PROBLEM
    assert "--case can't be “middle”. Use one of: lower, upper." in capsys.readouterr().err
    assert export(project, "--to", "nothing") == PROBLEM
    assert ", toy." in capsys.readouterr().err


def test_the_list_of_lm_studio_is_where_its_settings_say(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    assert export(project, "--to", "zip", "--lm-studio") == PROBLEM
    assert "“zip” has no option --lm-studio" in capsys.readouterr().err
    (tmp_path / "user").mkdir()
    assert models_folder() is None
    assert export(project, "--to", "gguf", "--lm-studio") == PROBLEM
    assert "LM Studio was not found" in capsys.readouterr().err
    home, models = tmp_path / "elsewhere", tmp_path / "modèles"
    home.mkdir()
    (tmp_path / "user" / ".lmstudio-home-pointer").write_text(f"{home}\n", encoding="utf-8")
    assert models_folder() == home / "models" / "llm-studio"
    (home / "settings.json").write_text(json.dumps({"downloadsFolder": str(models)}), encoding="utf-8")
    assert models_folder() == home / "models" / "llm-studio", "that folder is gone"
    models.mkdir()
    assert models_folder() == models / "llm-studio"


def test_before_an_export_one_sentence_warns(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(project, "--to", "zip") == DONE
    assert "may reproduce passages of the texts" in capsys.readouterr().err
