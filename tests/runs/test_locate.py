"""One place answers "which model?": every form of reference, damage, snapshots alone, and each file hashed once."""

import ast
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llm_studio import files
from llm_studio.config import Settings
from llm_studio.errors import CheckpointError, NewerCheckpointError, ProjectError
from llm_studio.events import Event, Notice
from llm_studio.project import Project
from llm_studio.runs import checkpoint, locate, record, registry, snapshots
from llm_studio.runs.locate import ModelRef
from tests.runs.models import TOKENIZER, damage, empty_project, save_checkpoint, save_run, save_snapshot

MODEL_FILES = {"model.safetensors", "config.yaml", "tokenizer.json"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two runs: the best checkpoint of each is not its last; the older one has snapshots."""
    project = empty_project(tmp_path)
    save_run(project, "old", "2030-01-01", conversations=True)
    save_run(project, "new", "2030-02-01")
    for run, step, loss in (("old", 5, 3.0), ("old", 10, 2.0), ("old", 15, 2.5), ("new", 10, 1.5), ("new", 20, 1.6)):
        save_checkpoint(project, run, step, loss, conversations=run == "old")
    for step in (2, 5, 7):
        save_snapshot(project, "old", step)
    return project


def found(project: Project, reference: str) -> tuple[str, str]:
    model = locate.locate(project, reference)
    value = float(model.weights()["w"][0, 0])
    assert value == model.step and model.tokenizer_json() == TOKENIZER and model.settings() == Settings()
    assert model.conversations == (model.run == "old")
    return model.name, model.kind


@pytest.mark.parametrize("reference, name", [
    ("best", "new/step-000010"), ("last", "new/step-000020"), ("new", "new/step-000010"), ("old", "old/step-000010"),
    ("old/best", "old/step-000010"), ("old/last", "old/step-000015"), ("old/step-000005", "old/step-000005"),
    ("old/5", "old/step-000005"), ("old\\5", "old/step-000005"), ("old/5/", "old/step-000005"),
    ("20", "new/step-000020"), ("10", "new/step-000010"), ("15", "old/step-000015"),
])  # fmt: skip
def test_a_reference_names_a_checkpoint(project: Project, reference: str, name: str) -> None:
    assert found(project, reference) == (name, "checkpoint")


@pytest.mark.parametrize("reference", ["old/7", "old/step-000007", "7", "old/snapshots/step-000007.safetensors"])
def test_a_step_without_a_checkpoint_names_its_snapshot(project: Project, reference: str) -> None:
    assert found(project, reference) == ("old/step-000007", "snapshot")


def test_paths_of_any_project_will_do(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = empty_project(tmp_path / "elsewhere")
    run = project.checkpoints / "old"
    for path, name in ((run / "step-000005", "old/step-000005"), (run, "old/step-000010"),
                       (run / "snapshots" / "step-000002.safetensors", "old/step-000002")):  # fmt: skip
        assert found(other, str(path))[0] == name
        model = locate.locate(other, str(path))
        assert locate.locate(other, model.reference(other)) == model
        assert model.reference(project) == name and locate.locate(project, name).path == model.path
    monkeypatch.chdir(run)
    assert found(other, "step-000015") == ("old/step-000015", "checkpoint")
    shutil.copytree(run / "step-000005", tmp_path / "unpacked" / "mine")
    assert found_name(other, str(tmp_path / "unpacked" / "mine")) == "unpacked/mine"


def found_name(project: Project, reference: str) -> str:
    return locate.locate(project, reference).name


def test_best_is_the_best_run_s_best_and_last_the_newest_run_s_last(project: Project) -> None:
    """Losses per token compare in bits per byte, as in the window: here tokens of the older run are longer."""
    for name, loss, length in (("old", 2.0, 4.0), ("new", 1.5, 2.0)):
        run = registry.read(project, name)
        registry.write(project, replace(run, data=name, best_loss=loss, bytes_per_token=length))
    assert found_name(project, "best") == "old/step-000010"
    assert found_name(project, "last") == "new/step-000020"
    for saved in checkpoint.listed(project.checkpoints / "old"):
        damage(saved.path / "model.safetensors")
    said: list[Event] = []
    assert locate.locate(project, "best", said.append).name == "new/step-000010"
    assert "Every checkpoint of the run “old” is damaged: the run “new” is used instead" in notices(said)[-1]


def test_the_folder_of_another_project_names_its_best_model(project: Project, tmp_path: Path) -> None:
    other = empty_project(tmp_path / "elsewhere")
    assert found_name(other, str(project.root)) == "new/step-000010"
    with pytest.raises(ProjectError, match="no trained model yet"):
        locate.locate(project, str(other.root))


def test_a_run_named_like_a_number_comes_first(project: Project) -> None:
    save_run(project, "10", "2029-01-01")
    save_checkpoint(project, "10", 1, 9.0)
    assert found_name(project, "10") == "10/step-000001"


def test_a_run_and_a_word_for_one_of_its_checkpoints_make_a_reference() -> None:
    assert locate.reference_of("a", "best") == "a/best" and locate.reference_of("a", "12") == "a/12"
    assert locate.reference_of(None, "last") == "last"
    assert locate.reference_of("a", "some/folder") == "some/folder"


@pytest.mark.parametrize("reference", [
    "", "elsewhere", "elsewhere/x", "x" * 300, "9" * 5000, "²", "a\0b", "~no one/x", "../checkpoints", "step-000005",
    "old/run.json",
])  # fmt: skip
def test_what_names_nothing_is_explained_with_what_there_is(project: Project, reference: str) -> None:
    with pytest.raises(CheckpointError) as failed:
        locate.locate(project, reference)
    assert "neither a run of this project nor a checkpoint" in str(failed.value)
    assert "There are: old/step-000005, old/step-000010, old/step-000015, new/step-000010" in str(failed.value)


def test_an_unknown_run_or_step_is_explained(project: Project) -> None:
    with pytest.raises(ProjectError, match=r"no run “none” here.*The runs are: old, new"):
        locate.locate(project, "none/best")
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 41. There are: 10, 20\."):
        locate.locate(project, "new/41")
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 41. There are: 10, 20, 5, 10, 15\."):
        locate.locate(project, "41")
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        locate.locate(project, str(project.raw))


def test_where_nothing_was_trained_the_next_step_is_named(tmp_path: Path) -> None:
    project = empty_project(tmp_path)
    with pytest.raises(ProjectError, match="no trained model yet") as failed:
        locate.locate(project)
    assert failed.value.action == "training"
    save_run(project, "started", "2030-01-01")
    with pytest.raises(ProjectError, match="no trained model yet"):
        locate.locate(project, "started")


def test_snapshots_can_be_excluded(project: Project) -> None:
    for reference in ("old/7", "7"):
        with pytest.raises(CheckpointError, match="no checkpoint of step 7"):
            locate.locate(project, reference, allow_snapshots=False)
    with pytest.raises(CheckpointError, match="nor a checkpoint"):
        locate.locate(project, str(snapshots.listed(project.checkpoints / "old")[7]), allow_snapshots=False)


# --- Damage -----------------------------------------------------------------------------------------------------


def notices(said: list[Event]) -> list[str]:
    return [event.text for event in said if isinstance(event, Notice)]


@pytest.mark.parametrize("name", sorted(MODEL_FILES))
@pytest.mark.parametrize("reference", ["best", "new", "new/best"])
def test_a_damaged_best_checkpoint_is_replaced_if_that_can_be_reported(
    project: Project, name: str, reference: str
) -> None:
    damage(project.checkpoints / "new" / "step-000010" / name)
    said: list[Event] = []
    assert locate.locate(project, reference, said.append).name == "new/step-000020"
    (notice,) = notices(said)
    assert f"step-000010 is damaged ({name})" in notice and "Step 20 is used instead" in notice
    with pytest.raises(CheckpointError, match=rf"step-000010 is damaged \({name}\)"):
        locate.locate(project, reference)
    with pytest.raises(CheckpointError, match="is damaged"):  # one step was asked for: no other will do
        locate.locate(project, "new/10", said.append)


def torn(path: Path) -> None:
    """A record of which a power cut left the beginning."""
    record = path / "checkpoint.json"
    record.write_bytes(record.read_bytes()[:100])


def reported(project: Project, reference: str) -> tuple[str, list[str]]:
    said: list[Event] = []
    model = locate.locate(project, reference, said.append)
    return model.name, [event.text for event in said if isinstance(event, Notice)]


def test_a_checkpoint_whose_record_is_torn_is_not_passed_over_silently(project: Project) -> None:
    torn(project.checkpoints / "new" / "step-000020")
    what = "The checkpoint step-000020 is damaged (checkpoint.json)."
    assert reported(project, "new/last") == ("new/step-000010", [f"{what} Step 10 is used instead."])
    assert reported(project, "last")[1] == [f"{what} Step 10 is used instead."]
    assert reported(project, "new")[1] == [f"{what} Step 10 is used instead."]  # it may have been the best
    for reference in ("new/last", "new", "new/20", "20"):
        with pytest.raises(CheckpointError, match=r"step-000020 is damaged \(checkpoint\.json\)"):
            locate.locate(project, reference)
    assert reported(project, "old/last") == ("old/step-000015", [])


def test_the_best_checkpoint_is_known_to_be_the_best_whatever_else_is_torn(project: Project) -> None:
    run = record.read(project.checkpoints / "old")
    assert run
    registry.write(project, replace(run, best_loss=2.0))
    torn(project.checkpoints / "old" / "step-000005")
    assert reported(project, "old") == ("old/step-000010", [])
    torn(project.checkpoints / "old" / "step-000010")  # the best
    assert (
        reported(project, "old")[0] == "old/step-000015" and "step-000010 is damaged" in reported(project, "old")[1][1]
    )


def test_a_snapshot_takes_the_place_of_a_torn_checkpoint_if_that_can_be_reported(project: Project) -> None:
    torn(project.checkpoints / "old" / "step-000005")
    said: list[Event] = []
    model = locate.locate(project, "old/5", said.append)
    assert model.kind == "snapshot" and len(said) == 1
    with pytest.raises(CheckpointError, match="step-000005 is damaged"):
        locate.locate(project, "old/5")


def test_a_damaged_optimizer_keeps_no_model_from_loading(project: Project) -> None:
    damage(project.checkpoints / "new" / "step-000010" / "optimizer.safetensors")
    assert found_name(project, "best") == "new/step-000010"


def test_where_every_checkpoint_is_damaged_an_earlier_run_serves_unless_one_was_named(project: Project) -> None:
    for step in (10, 20):
        damage(project.checkpoints / "new" / f"step-0000{step}" / "model.safetensors")
    for _ in range(2):
        said: list[Event] = []
        assert locate.locate(project, "best", said.append).name == "old/step-000010"
        assert "Every checkpoint of the run “new” is damaged: the run “old” is used instead" in notices(said)[-1]
        with pytest.raises(CheckpointError, match="Every checkpoint of the run “new” is damaged"):
            locate.locate(project, "new", said.append)
        for step in (10, 20):  # then the records are unreadable, too
            (project.checkpoints / "new" / f"step-0000{step}" / "checkpoint.json").write_bytes(b"broken")


def test_a_newer_program_s_checkpoints_ask_for_an_update(project: Project) -> None:
    for path in (project.checkpoints / "new").glob("step-*/checkpoint.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 2'), encoding="utf-8")
    with pytest.raises(NewerCheckpointError, match="Update the program"):
        locate.locate(project, "new")


def test_a_truncated_snapshot_is_refused_when_it_is_read(project: Project) -> None:
    path = snapshots.listed(project.checkpoints / "old")[7]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="can't be read"):
        locate.locate(project, "old/7").weights()


# --- Snapshots alone --------------------------------------------------------------------------------------------


def test_a_snapshot_opens_without_a_checkpoint_next_to_it(project: Project) -> None:
    for saved in checkpoint.listed(project.checkpoints / "old"):
        shutil.rmtree(saved.path)
    assert found(project, "old/5") == ("old/step-000005", "snapshot")
    (project.checkpoints / "old" / "run.json").unlink()  # even the record: only that it chats is lost with it
    model = locate.locate(project, str(snapshots.listed(project.checkpoints / "old")[5]))
    assert model.settings() == Settings() and model.tokenizer_json() == TOKENIZER and not model.conversations


def test_snapshots_of_earlier_versions_open_by_an_intact_checkpoint(project: Project) -> None:
    run = project.checkpoints / "old"
    for name in ("config.yaml", "tokenizer.json"):
        (run / "snapshots" / name).unlink()
    damage(run / "step-000015" / "tokenizer.json")
    damage(run / "step-000010" / "model.safetensors")
    assert found(project, "old/7") == ("old/step-000007", "snapshot")
    assert locate.locate(project, "old/7").config_folder == run / "step-000010"
    for saved in checkpoint.listed(run):
        shutil.rmtree(saved.path)
    with pytest.raises(CheckpointError, match="its settings and its tokenizer are missing"):
        locate.locate(project, str(snapshots.listed(run)[7]))
    assert locate.listed(project, "old") == []


def test_a_run_that_starts_again_with_other_settings_replaces_what_its_snapshots_open_with(project: Project) -> None:
    changed = Settings().replaced({"model.n_layers": 3})
    save_snapshot(project, "old", 8, changed)
    assert locate.locate(project, "old/8").settings() == changed


# --- What it costs ----------------------------------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed, in order."""
    real, paths = files.sha256_of, list[Path]()

    def counted(path: Path) -> str:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(files, "sha256_of", counted)
    return paths


@pytest.mark.parametrize("reference", ["best", "new/last", "new/10", "20"])
def test_the_files_of_a_checkpoint_are_hashed_once_and_the_optimizer_never(
    project: Project, hashed: list[Path], reference: str
) -> None:
    model = locate.locate(project, reference, lambda _event: None)
    assert sorted(hashed) == sorted(model.path / name for name in MODEL_FILES)
    hashed.clear()
    model.weights(), model.settings(), model.tokenizer_json()
    assert not hashed


def test_opening_a_snapshot_listing_and_exporting_hash_nothing(project: Project, hashed: list[Path]) -> None:
    locate.locate(project, "old/7").weights()
    locate.locate(project, "old/best", verify=False)
    locate.listed(project, "old")
    assert not hashed


def test_each_damaged_checkpoint_is_hashed_once(project: Project, hashed: list[Path]) -> None:
    for step in (10, 20):
        path = project.checkpoints / "new" / f"step-0000{step}" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\1")  # among the weights: a damaged header is found without
    locate.locate(project, "best", lambda _event: None)
    assert len(hashed) == len(set(hashed)) == 9


def test_models_are_listed_latest_first_and_found_again(project: Project) -> None:
    models = locate.listed(project, "old")
    assert [(m.step, m.kind) for m in models] == [
        (15, "checkpoint"), (10, "checkpoint"), (7, "snapshot"), (5, "checkpoint"), (2, "snapshot"),
    ]  # fmt: skip
    assert all(isinstance(m, ModelRef) and locate.locate(project, m.name) == m for m in models)


def test_only_tensors_knows_torch_and_nothing_is_imported_to_list_or_locate(project: Project) -> None:
    package = Path(locate.__file__).parent
    for path in package.glob("*.py"):
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert path.name == "tensors.py" or not names & {"torch", "safetensors"}, path
    code = (
        "import sys; from pathlib import Path\n"
        "from llm_studio.project import Project\n"
        "from llm_studio.runs import locate, log, record, registry\n"
        f"project = Project.open(Path({str(project.root)!r}))\n"
        "assert registry.listed(project) and locate.listed(project, 'old') and locate.locate(project, 'old/7')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_half_precision_keeps_the_weights_of_a_snapshot(project: Project) -> None:
    weights = locate.locate(project, "old/7").weights()
    assert weights["w"].dtype == torch.float16
