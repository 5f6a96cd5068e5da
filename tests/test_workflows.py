"""The steps of a project: which are done or out of date, and what is refused instead of training on garbage."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.errors import BusyError, CheckpointError, DataError, ProjectError, StorageError, TokenizerError
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.runs import checkpoint
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train


def notices(events: list[Event]) -> str:
    return "\n".join(f"{event.text} {event.to_do}" for event in events if isinstance(event, Notice))


def test_each_step_asks_for_the_one_before(tmp_path: Path) -> None:
    project = projects.new_project(tmp_path / "p", "nano")
    with pytest.raises(ProjectError, match=r"no texts yet.*download"):
        train_tokenizer(project, Job())
    with pytest.raises(ProjectError, match=r"no tokenizer yet.*train-tokenizer"):
        prepare_tokens(project, Job())
    with pytest.raises(ProjectError, match=r"no tokens yet.*prepare"):
        train(project, Job())
    with pytest.raises(ProjectError, match=r"no trained model yet.*train"):
        load_generator(project, Job())
    with pytest.raises(ProjectError, match="no run to resume"):
        train(project, Job(), resume=True)


def test_a_step_is_ready_until_something_before_it_changes(project: Project, tmp_path: Path) -> None:
    assert projects.steps(project) == projects.Steps(State.READY, State.READY, State.READY)
    shutil.copytree(project.root, tmp_path / "copy")
    assert projects.steps(Project.open(tmp_path / "copy")).tokens is State.READY
    sources.add_stories(project, "fr", 50, Job())
    assert projects.steps(project) == projects.Steps(State.READY, State.OUT_OF_DATE, State.OUT_OF_DATE)
    said: list[Event] = []
    train(project, Job(said.append), changes={"training.max_steps": 1})
    assert "have changed since" in notices(said)


def test_another_size_of_vocabulary_makes_the_tokenizer_out_of_date(project: Project) -> None:
    projects.change_settings(project, {"model.vocab_size": 500})
    assert projects.steps(project).tokenizer is State.OUT_OF_DATE


def test_an_old_tokenizer_serves_but_is_reported(project: Project) -> None:
    said: list[Event] = []
    prepare_tokens(project, Job(said.append))
    assert not notices(said)
    sources.add_stories(project, "fr", 50, Job())
    prepare_tokens(project, Job(said.append))
    assert f"“llm-studio train-tokenizer {project.root}”" in notices(said)


def test_a_tokenizer_that_can_not_be_trained_changes_no_settings(tmp_path: Path, project: Project) -> None:
    empty = projects.new_project(tmp_path / "p", "nano")
    with pytest.raises(ProjectError, match="no texts yet"):
        train_tokenizer(empty, Job(), 300)
    with project.writing("tokenizer"), pytest.raises(BusyError):
        train_tokenizer(project, Job(), 300)
    assert empty.settings() == projects.load_preset("nano").replaced({"project.name": "p"})
    assert project.settings().model.vocab_size == 400


def test_more_tokens_than_can_be_read_again_are_refused_and_the_project_still_opens(project: Project) -> None:
    before = project.settings()
    with pytest.raises(TokenizerError, match="at most 300,000 tokens"):
        train_tokenizer(project, Job(), 1_000_000)
    assert project.settings() == before
    projects.change_settings(project, {"model.vocab_size": 1_000_000})  # what earlier versions allowed
    assert Project(project.root).settings().model.vocab_size == 1_000_000
    with pytest.raises(TokenizerError, match="at most 300,000 tokens"):
        train_tokenizer(project, Job())


def test_the_cost_counts_the_tokenizer_that_is_there_and_the_widest_numbers(project: Project) -> None:
    projects.change_settings(project, {"model.vocab_size": 5000})
    train_tokenizer(project, Job())
    settings = project.settings()
    auto = projects.model_cost(project, settings)
    wide, narrow = (
        projects.model_cost(project, settings.replaced({"training.precision": name}))
        for name in ("float32", "bfloat16")
    )
    assert auto.training_bytes == max(wide.training_bytes, narrow.training_bytes)
    assert auto.vocab_size < 5000
    meta = project.tokenizer_meta.read_text(encoding="utf-8")
    for damaged in ('{"inputs": null}', "[]", '{"asked": 5000}', meta.replace('"fingerprint": "', '"fingerprint": "0')):
        project.tokenizer_meta.write_text(damaged, encoding="utf-8")
        assert projects.model_cost(project, settings).vocab_size == 5000
    project.tokenizer_meta.write_text(meta, encoding="utf-8")
    project.tokenizer_file.unlink()
    assert projects.model_cost(project, settings).vocab_size == 5000


def test_the_built_in_stories_have_a_title_and_files_of_that_name_keep_theirs(tmp_path: Path) -> None:
    project, job = projects.new_project(tmp_path / "p", "nano"), Job()
    (tmp_path / "stories-fr.txt").write_text("Il était une fois un texte à moi.", encoding="utf-8")
    built_in, own = (
        sources.add_stories(project, "en", 5, job),
        sources.add_files(project, tmp_path / "stories-fr.txt", job),
    )
    assert (built_in.name, own.name) == ("stories-en", "stories-fr")
    assert sources.titles([built_in, own]) == {"stories-en": "Built-in stories (English)", "stories-fr": "stories-fr"}


def test_tokens_of_another_tokenizer_are_refused(project: Project) -> None:
    train_tokenizer(project, Job(), 300)
    assert projects.steps(project).tokens is State.OUT_OF_DATE
    with pytest.raises(ProjectError, match=r"another tokenizer.*prepare"):
        train(project, Job())


def test_a_truncated_token_file_is_refused(project: Project) -> None:
    tokens = project.processed / "train.bin"
    tokens.write_bytes(tokens.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"train\.bin.*prepare"):
        train(project, Job())


def test_a_corpus_smaller_than_one_context_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match="max_seq_len"):
        train(project, Job(), changes={"model.max_seq_len": 1_000_000})


def test_two_programs_do_not_write_the_same_thing(project: Project) -> None:
    with project.writing("tokens"), pytest.raises(BusyError, match="Another window or command"):
        prepare_tokens(project, Job())
    with project.writing("tokenizer"), pytest.raises(BusyError):
        train_tokenizer(project, Job())


def test_the_same_source_added_again_replaces_itself(project: Project) -> None:
    sources.add_stories(project, "en", 40, Job())
    assert [p.name for p in project.raw.glob("*.parquet")] == ["stories-en.parquet"]


def test_at_most_so_many_documents_are_taken(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("\n\n".join(f"document {n} is here" for n in range(50)), encoding="utf-8")
    source = sources.add_files(project, path, Job(), separator="blank", max_documents=7)
    assert source.documents == 7


def test_writing_falls_back_on_an_intact_checkpoint_and_says_so(project: Project) -> None:
    train(project, Job(), run="a")
    saved = checkpoint.listed(project.checkpoints / "a")
    best = checkpoint.best(saved)
    assert best
    (best.path / "model.safetensors").write_bytes(b"broken")
    said: list[Event] = []
    generator = load_generator(project, Job(said.append))
    assert "is damaged" in notices(said) and "is used instead" in notices(said)
    assert generator.generate("Once", Job(), generator.settings_with({"max_tokens": 3}))
    with pytest.raises(CheckpointError, match="damaged"):
        load_generator(project, Job(), "a", str(best.step))


def test_a_run_whose_checkpoints_are_all_damaged_is_reported(project: Project) -> None:
    for name in ("a", "b"):
        train(project, Job(), run=name, changes={"training.max_steps": 2 if name == "a" else 3})
    (saved,) = checkpoint.listed(project.checkpoints / "b")
    for broken in ("model.safetensors", "checkpoint.json"):
        (saved.path / broken).write_bytes(b"broken")
        said: list[Event] = []
        assert load_generator(project, Job(said.append)).name.startswith("a/")
        assert "the run “a” is used instead" in notices(said)
        with pytest.raises(CheckpointError, match="Every checkpoint of the run “b” is damaged"):
            load_generator(project, Job(), "b")


def test_what_is_written_streams_without_half_characters_and_stops_when_requested(project: Project) -> None:
    train(project, Job(), run="a")
    seen: list[str] = []
    job = Job(lambda event: (seen.append(getattr(event, "text", "")), len(seen) > 4 and job.request_stop()))
    generator = load_generator(project, job)
    text = generator.generate("", job, generator.settings_with({"seed": 1}))
    assert "".join(seen) == text and 4 < len(seen) < 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate disk with room for a tiny project but not for its checkpoints."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.name == "posix" and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    ).returncode if shutil.which("mount") else False  # fmt: skip
    if not mounted:
        pytest.skip("no small disk can be made here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    """Fill the disk."""
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(b"x" * 4096)


def test_a_full_disk_ends_a_training_with_a_sentence_and_keeps_what_was_saved(
    project: Project, small_disk: Path
) -> None:
    shutil.copytree(project.root, small_disk / "p")
    crowded = Project.open(small_disk / "p")
    train(crowded, Job(), run="a", changes={"training.max_steps": 5})
    fill(small_disk)
    with pytest.raises(StorageError, match="Make room"):
        train(crowded, Job(), run="a", resume=True, changes={"training.max_steps": 10})
    (small_disk / "filler").unlink()
    assert train(crowded, Job(), run="a", resume=True, changes={"training.max_steps": 10}).run.step == 10


def test_a_full_disk_leaves_the_old_tokens(project: Project, small_disk: Path) -> None:
    shutil.copytree(project.root, small_disk / "p")
    crowded = Project.open(small_disk / "p")
    before = (crowded.processed / "train.bin").read_bytes()
    fill(small_disk)
    with pytest.raises(StorageError):
        prepare_tokens(crowded, Job())
    assert (crowded.processed / "train.bin").read_bytes() == before
    assert not list(crowded.processed.glob("*.partial"))


def test_a_gpu_pack_that_fails_is_reported_before_a_training(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.gpu import pack

    monkeypatch.setattr(pack, "installed", lambda: pack.Pack("2.13.0+cu130", "nowhere", "", "OSError: c10.dll"))
    events: list[Event] = []
    train(project, Job(events.append), changes={"training.max_steps": 1})
    assert any(isinstance(event, Notice) and "c10.dll" in event.text for event in events)
