"""Sources that grow: folders of Parquet files that read like any other source."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources import store
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.sharded import ShardedSourceWriter, plan_files, write_plan
from llm_studio.events import Progress
from llm_studio.jobs import Job


def grown(folder: Path, portions: Sequence[Sequence[str]]) -> Source:
    """A source to which portions of documents were appended, by as many calls."""
    done = 0
    for portion in portions:
        source = ShardedSourceWriter(folder, "grown", "somewhere", {"state": "incomplete"})
        assert source.end == (0, done)
        done += len(portion)
        chunks = (Chunk(text, True) for text in portion)
        source.append(chunks, lambda: (0, done), Job(), lambda _n, _b: Progress("", 0, None, ""))  # noqa: B023
    return store.list_sources(folder)[0]


def texts(chunks) -> list[str]:  # pyright: ignore
    return [chunk.text for chunk in chunks]


DOCUMENTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(st.lists(st.lists(DOCUMENTS, min_size=1, max_size=5), min_size=1, max_size=4))
@settings(max_examples=40)
def test_what_was_appended_is_read_from_any_document_on(portions: list[list[str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source = grown(Path(folder), portions)
        everything = [text for portion in portions for text in portion]
        assert source.documents == len(everything)
        assert source.bytes == sum(len(text.encode()) for text in everything)
        assert texts(store.read_chunks(Path(folder), source)) == everything
        for document in range(len(everything) + 2):
            assert texts(store.read_from(Path(folder), source, document)) == everything[document:]


def test_every_program_reads_it_as_one_table(tmp_path: Path) -> None:
    write_plan(tmp_path, "grown", {"version": 1})
    grown(tmp_path, [["one", "two"], ["three"]])
    assert pq.read_table(tmp_path / "grown.parquet")["text"].to_pylist() == ["one", "two", "three"]
    assert set(plan_files(tmp_path)) == {"grown"}


def test_a_part_that_the_manifest_doesnt_name_isnt_there(tmp_path: Path) -> None:
    source = grown(tmp_path, [["one", "two"], ["three"]])
    (tmp_path / "grown.parquet" / "00002.parquet").write_bytes(b"written when the power went")
    assert store.list_sources(tmp_path) == [source]
    assert texts(store.read_chunks(tmp_path, source)) == ["one", "two", "three"]
    assert grown(tmp_path / "other", [["x"]]).sha256 != source.sha256


def test_a_lost_part_is_reported(tmp_path: Path) -> None:
    grown(tmp_path, [["one", "two"], ["three"]])
    (tmp_path / "grown.parquet" / "00001.parquet").unlink()
    (found,) = store.scan_sources(tmp_path).unusable
    assert found.damaged and found.documents == 3 and "“grown” is damaged" in found.problem


def test_it_is_moved_removed_and_dropped_like_any_other(tmp_path: Path) -> None:
    source = grown(tmp_path, [["one"], ["two"]])
    store.move_source(tmp_path, "grown", tmp_path / "aside")
    assert store.list_sources(tmp_path) == []
    assert store.list_sources(tmp_path / "aside") == [source]
    again = ShardedSourceWriter(tmp_path / "aside", "grown", "somewhere", {})
    again.drop_after(0)
    again.remove_if_empty()
    assert store.list_sources(tmp_path / "aside") == []
    grown(tmp_path, [["one"]])
    store.remove_source(tmp_path, "grown")
    assert not [path for path in tmp_path.iterdir() if path.name != "aside"]


def test_fields_of_a_later_program_stay_in_the_manifest(tmp_path: Path) -> None:
    grown(tmp_path, [["one"]])
    growing = ShardedSourceWriter(tmp_path, "grown", "somewhere", {"state": "complete"})
    growing.set_field("conversations", True)
    growing.save()
    manifest = json.loads((tmp_path / "grown.meta.json").read_text(encoding="utf-8"))
    assert manifest["conversations"] is True
    assert manifest["options"] == {"state": "complete"}
