"""A damaged source hides only itself: the rest of the project opens, trains, resumes and writes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, PROBLEM, main
from llm_studio.data.chunks import Chunk
from llm_studio.data.sources import store
from llm_studio.data.sources.sharded import ShardedSourceWriter
from llm_studio.errors import DamagedFileError, SourceError
from llm_studio.events import Event, Notice, Progress
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.data import browsing, replacing, sources, statistics
from llm_studio.workflows.data.corpus import open_corpus
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.overview import overview
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train

STORIES = "stories-en"
TEXTS = "\n\n".join(f"My text number {n} of the sea, the wind and the evening sun over the hills." for n in range(40))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    path.write_bytes(b"This is no Parquet file. " * 100)


def without_manifest(path: Path) -> None:
    truncated(path)
    path.with_suffix(".meta.json").unlink()


def with_a_torn_manifest(path: Path) -> None:
    truncated(path)
    path.with_suffix(".meta.json").write_text('{"version": 1, "na')


DAMAGES = [truncated, without_manifest]


@pytest.fixture
def two(project: Project, tmp_path: Path) -> Project:
    """The tiny project with a second, small source."""
    (tmp_path / "mine.txt").write_text(TEXTS)
    sources.add_files(project, tmp_path / "mine.txt", Job(), separator="blank")
    return project


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_rest_of_the_project_is_used_as_ever(
    damage: Callable[[Path], None], project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(project, Job(), run="a", changes={"training.max_steps": 10})
    (tmp_path / "mine.txt").write_text(TEXTS)
    damage(project.raw / f"{STORIES}.parquet")
    here = overview(project)
    assert here.sources == () and [source.name for source in here.unusable] == [STORIES]
    assert "“stories-en” is damaged" in here.unusable[0].problem and here.unusable[0].damaged
    assert here.steps.data is State.OUT_OF_DATE and here.tokens and here.tokenizer and len(here.runs) == 1
    # operations that need the texts are refused, with a message that names the source and what to do
    for refused in (prepare_tokens, train_tokenizer):
        with pytest.raises(SourceError, match=r"“stories-en” is damaged.*Replace or remove it"):
            refused(project, Job())
    # others are not refused
    said: list[Event] = []
    assert train(project, Job(said.append), run="b", changes={"training.max_steps": 4}).finished
    assert [e for e in said if isinstance(e, Notice) and "“stories-en” is damaged" in e.text]
    assert train(project, Job(), run="a", resume=True, changes={"training.max_steps": 12}).run.step == 12
    generator = load_generator(project, Job(), "a", "last")
    assert generator.generate("Once", Job(), generator.settings_with({"max_tokens": 4}))
    # texts can be added and removed
    capsys.readouterr()
    assert (
        main(["download", str(project.root), "--dataset", str(tmp_path / "mine.txt"), "--separator", "blank"]) == DONE
    )
    assert main(["config", str(project.root)]) == DONE
    assert "“stories-en” is damaged" in "".join(capsys.readouterr())
    assert main(["prepare", str(project.root)]) == PROBLEM
    assert main(["download", str(project.root), "--list"]) == DONE
    shown = capsys.readouterr().out
    assert f"{STORIES}  damaged" in shown and "mine        ready" in shown
    assert main(["download", str(project.root), "--remove", STORIES]) == DONE
    assert overview(project).unusable == () and not list(project.raw.glob(f"{STORIES}*"))
    assert main(["train-tokenizer", str(project.root)]) == DONE


def test_tokens_made_of_a_source_that_is_damaged_now_stay_ready(project: Project) -> None:
    truncated(project.raw / f"{STORIES}.parquet")
    standing = projects.steps(project)
    assert (standing.tokenizer, standing.tokens) == (State.READY, State.READY)
    replacing.replace_source(project, STORIES, Job())
    assert projects.steps(project) == projects.Steps(State.READY, State.READY, State.READY)


def test_a_flipped_bit_is_found_before_tokens_are_made_of_it(two: Project) -> None:
    path = two.raw / "mine.parquet"
    content = bytearray(path.read_bytes())
    found = 0
    for place in range(8, len(content) - 400, 7):  # in the texts; the size of the file doesn't change
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        if overview(two).unusable:
            continue
        try:
            chunks = list(store.read_chunks(two.raw, store.list_sources(two.raw)[0]))
        except SourceError:
            chunks = []
        path_is_wrong = "".join(chunk.text for chunk in chunks).count("My text number") != 40
        if path_is_wrong:
            found += 1
            with pytest.raises(DamagedFileError, match="“mine” is damaged"):
                open_corpus(two).plan(Job())
        if found > 3:
            return
    assert found


def test_what_only_shows_the_texts_leaves_the_damaged_ones_out_and_says_so(two: Project) -> None:
    whole = statistics.measure(two, Job())
    truncated(two.raw / f"{STORIES}.parquet")
    said: list[Event] = []
    measured = statistics.measure(two, Job(said.append))
    assert set(measured.sources) == {"mine"} and set(whole.sources) == {"mine", STORIES}
    assert ["It is left out here" in e.text for e in said if isinstance(e, Notice)] == [True]
    assert browsing.read_document(two, "mine", 3, Job()).text == TEXTS.split("\n\n")[3]
    lengths, cleaned = browsing.lengths(two, Job()), browsing.cleaned(two, Job())
    assert lengths and sum(lengths.counts) == 40 and cleaned and cleaned.documents == 40
    assert [share.source for share in statistics.shares(two)] == ["mine"]
    replacing.replace_source(two, STORIES, Job())
    assert set(statistics.measure(two, Job()).sources) == {"mine", STORIES}


# --- Replacing ---------------------------------------------------------------------------------------------------


def zeroed(path: Path) -> None:
    """Fill a file with zeros, like a power cut: its size doesn't change."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [truncated, other, emptied, zeroed], ids=lambda damage: damage.__name__)
def test_a_source_is_made_again_from_its_origin(damage: Callable[[Path], None], two: Project) -> None:
    before = {source.name: source.sha256 for source in overview(two).sources}
    for name in before:
        damage(two.raw / f"{name}.parquet")
        assert replacing.origin_of(two, overview(two).unusable[0]) is not None
        assert main(["download", str(two.root), "--replace", name]) == DONE
    assert {source.name: source.sha256 for source in overview(two).sources} == before


@pytest.mark.parametrize("origin", [r"\\server\share\a.txt", "//server/share/a.txt", "a.txt", "/no/such/file", "/a\0b"])
def test_a_network_path_in_a_strangers_record_is_not_looked_at(
    origin: str, two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    truncated(two.raw / "mine.parquet")
    source = replace(overview(two).unusable[0], origin=origin)
    looked: list[str] = []
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: looked.append(str(path)) or exists(path))
    assert replacing.origin_of(two, source) is None
    assert not any("server" in path for path in looked)


def test_links_are_not_followed_because_a_strangers_record_says_so(two: Project, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A text of the folder.")
    (tmp_path / "private.txt").write_text("A private text.")
    (tmp_path / "texts" / "b.txt").symlink_to(tmp_path / "private.txt")
    sources.add_files(two, tmp_path / "texts", Job(), follow_links=True)
    truncated(two.raw / "texts.parquet")
    said: list[Event] = []
    made = replacing.replace_source(two, "texts", Job(said.append))
    assert made.documents == 1
    assert any(isinstance(event, Notice) and str(tmp_path / "texts") in event.text for event in said)


def test_a_source_of_unknown_origin_is_replaced_by_a_file(two: Project, tmp_path: Path) -> None:
    with_a_torn_manifest(two.raw / "mine.parquet")
    assert replacing.origin_of(two, overview(two).unusable[0]) is None
    with pytest.raises(SourceError, match="no longer there"):
        replacing.replace_source(two, "mine", Job())
    (tmp_path / "other.txt").write_text("Another text.")
    assert main(["download", str(two.root), "--replace", "mine", "--dataset", str(tmp_path / "other.txt")]) == DONE
    here = overview(two)
    assert here.unusable == () and [source.name for source in here.sources] == ["mine", STORIES]
    assert here.sources[0].origin == str((tmp_path / "other.txt").resolve())
    assert main(["download", str(two.root), "--replace", "nobody"]) == PROBLEM


def test_the_damaged_source_stays_until_its_replacement_is_complete(two: Project, tmp_path: Path) -> None:
    truncated(two.raw / "mine.parquet")
    (tmp_path / "empty.txt").write_text(" ")
    with pytest.raises(SourceError, match="no text"):
        replacing.replace_source(two, "mine", Job(), tmp_path / "empty.txt")
    assert [source.name for source in overview(two).unusable] == ["mine"]


def test_adding_the_same_file_again_replaces_it_too(two: Project, tmp_path: Path) -> None:
    truncated(two.raw / "mine.parquet")
    sources.add_files(two, tmp_path / "mine.txt", Job(), separator="blank")
    assert overview(two).unusable == () and len(overview(two).sources) == 2


def grown(project: Project, portions: list[list[str]]) -> ShardedSourceWriter:
    writer = ShardedSourceWriter(project.raw, "grown", "hf:somewhere", {"state": "complete"})
    for n, texts in enumerate(portions):
        writer.append(
            (Chunk(text, True) for text in texts),
            lambda n=n: (0, n + 1),
            Job(),
            lambda d, _b: Progress("", d, None, ""),
        )
    return writer


def test_of_a_download_the_parts_before_the_damaged_one_are_kept(project: Project) -> None:
    grown(project, [["one"], ["two"], ["three"]])
    part = project.raw / "grown.parquet" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:-3])
    assert [source.name for source in overview(project).unusable] == ["grown"]
    writer = ShardedSourceWriter(project.raw, "grown", "hf:somewhere", {"state": "incomplete"})
    writer.drop_damaged(Job())
    assert writer.end == (0, 1) and overview(project).sources[0].documents == 1
    (project.raw / "grown.parquet" / "00000.parquet").unlink()
    writer.drop_damaged(Job())
    assert [source.name for source in store.scan_sources(project.raw).all()] == [STORIES]


def test_a_damaged_download_is_replaced_by_a_file(project: Project, tmp_path: Path) -> None:
    grown(project, [["one"], ["two"]])
    shutil.rmtree(project.raw / "grown.parquet")
    (project.raw / "grown.parquet").mkdir()
    (tmp_path / "other.txt").write_text("Another text.")
    replacing.replace_source(project, "grown", Job(), tmp_path / "other.txt")
    assert [source.name for source in store.scan_sources(project.raw).all()] == ["other", STORIES]


def test_json_names_the_damaged_sources(two: Project, capsys: pytest.CaptureFixture[str]) -> None:
    truncated(two.raw / "mine.parquet")
    assert main(["download", str(two.root), "--list", "--json"]) == DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["notice", "done"]
    assert {source["name"]: source["state"] for source in lines[1]["figures"]["sources"]} == {
        "mine": "damaged",
        STORIES: "ready",
    }
