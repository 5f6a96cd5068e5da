"""Sources on the disk."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.chunks import Chunk, rechunk
from llm_studio.data.sources.manifest import Source
from llm_studio.data.sources.store import (
    list_sources,
    read_chunks,
    read_verified,
    remove_source,
    scan_sources,
    unused_name,
    write_source,
)
from llm_studio.errors import Cancelled, DamagedFileError, SourceError, StorageError
from llm_studio.events import Progress
from llm_studio.jobs import Job

documents = st.lists(st.text(max_size=60), min_size=1, max_size=20)
again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)


def written(folder: Path, texts: list[str], name: str = "texts") -> Source:
    return write_source(folder, name, "a test", [Chunk(text, True) for text in texts], Job())


def joined(chunks: Iterator[Chunk]) -> list[str]:
    """The documents that the chunks are of."""
    out, text = [], ""
    for chunk in chunks:
        text += chunk.text
        if chunk.ends:
            out.append(text)
            text = ""
    assert text == ""
    return out


@again
@given(documents)
def test_what_is_written_is_read_again(tmp_path: Path, texts: list[str]) -> None:
    texts = [*texts, "a text that isn't blank"]
    source = written(tmp_path, texts)
    assert joined(read_chunks(tmp_path, source)) == texts
    assert source.documents == len(texts)
    assert source.characters == sum(map(len, texts))
    assert source.bytes == sum(len(text.encode()) for text in texts)
    assert list_sources(tmp_path) == [source]


@given(st.lists(st.text(st.sampled_from("ab \n\t\r\x00é\u0301\u1100\u1161\u200d"), max_size=40), min_size=1), st.data())
def test_pieces_depend_on_the_text_and_not_on_its_fragments(texts: list[str], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", 7)
        whole = list(rechunk(Chunk(text, True) for text in texts))
        fragments: list[Chunk] = []
        for text in texts:
            cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
            parts = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
            fragments += [Chunk(part, False) for part in parts] + [Chunk("", True)]
        in_fragments = list(rechunk(fragments))
        assert in_fragments == whole
        assert joined(iter(whole)) == texts
        assert all(len(chunk.text) <= 7 for chunk in whole)


def test_a_long_text_is_cut_right_before_a_word() -> None:
    text = "word " * 200_000
    chunks = list(rechunk([Chunk(text, True)]))
    assert len(chunks) == 3
    assert all(chunk.text.startswith(" word") and chunk.text.endswith("word") for chunk in chunks[1:-1])
    assert chunks[0].text.endswith("word")


def test_a_cut_leaves_white_space_together() -> None:
    text = "a" * 499_998 + "  b"
    assert [chunk.text for chunk in rechunk([Chunk(text, True)])] == ["a" * 499_998, "  b"]


@pytest.mark.parametrize("together", ["\r\n", "e\u0301", "\u1100\u1161", "👩\u200d🔬"])
def test_a_run_without_white_space_is_cut_beside_what_belongs_together(together: str) -> None:
    text = "x" * 499_999 + together + "y" * 10
    first, second = rechunk([Chunk(text, True)])
    assert first.text + second.text == text
    assert len(first.text) <= 500_000
    assert together in second.text or together in first.text


def test_row_groups_hold_about_a_megabyte(tmp_path: Path) -> None:
    written(tmp_path, ["line of text " * 8000] * 120)
    with (tmp_path / "texts.parquet").open("rb") as stream:
        about = pq.ParquetFile(stream).metadata
        assert max(about.row_group(n).total_byte_size for n in range(about.num_row_groups)) < 1_200_000
        assert about.num_row_groups < 13
        assert about.row_group(0).column(0).compression == "ZSTD"


def test_the_hash_is_of_the_documents_and_not_of_the_file(tmp_path: Path) -> None:
    whole = written(tmp_path, ["one two", "three"])
    parts = [Chunk("one", False), Chunk(" two", True), Chunk("three", True)]
    assert write_source(tmp_path, "parts", "", parts, Job()).sha256 == whole.sha256
    assert written(tmp_path, ["one", " twothree"]).sha256 != whole.sha256


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path: Path) -> None:
    source = written(tmp_path, ["a\ud83dz"])
    assert joined(read_chunks(tmp_path, source)) == ["a�z"]


def test_a_document_left_open_ends_with_its_source(tmp_path: Path) -> None:
    source = write_source(tmp_path, "open", "", [Chunk("never", False), Chunk(" ended", False)], Job())
    assert joined(read_chunks(tmp_path, source)) == ["never ended"]
    assert source.documents == 1


def test_notes_gathered_while_reading_are_in_the_manifest(tmp_path: Path) -> None:
    notes: list[str] = []

    def chunks() -> Iterator[Chunk]:
        yield Chunk("text", True)
        notes.append("read as Mac Roman")

    write_source(tmp_path, "noted", "a.txt", chunks(), Job(), notes, {"separator": "blank"})
    (source,) = list_sources(tmp_path)
    assert source.notes == ("read as Mac Roman",)
    assert source.options == {"separator": "blank"}


def test_writing_reports_documents(tmp_path: Path) -> None:
    events: list[Progress] = []
    write_source(tmp_path, "a", "", [Chunk("text", True)] * 3, Job(events.append))
    assert events[-1].done == 3


def test_a_source_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    written(tmp_path, ["old"])
    new = written(tmp_path, ["new", "newer"])
    assert list_sources(tmp_path) == [new]


@pytest.mark.parametrize("texts", [[], [""], ["", " \n\t", "\u3000"]])
def test_a_source_without_text_is_refused_and_leaves_nothing(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(SourceError, match="no text in a test"):
        written(tmp_path, texts)
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_job_leaves_nothing(tmp_path: Path) -> None:
    job = Job()

    def chunks() -> Iterator[Chunk]:
        yield from [Chunk("x" * 100_000, True)] * 60
        job.request_stop()
        yield Chunk("more", True)

    with pytest.raises(Cancelled):
        write_source(tmp_path, "stopped", "", chunks(), job)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: real(Path("/dev/full") if path.suffix == ".partial" else path, *a, **k)
    )
    with pytest.raises(StorageError, match="disk is full"):
        written(tmp_path, [os.urandom(4000).hex() for _ in range(1000)])
    assert list(tmp_path.iterdir()) == []


def test_a_parquet_file_dropped_in_is_accepted(tmp_path: Path) -> None:
    texts = ["one", None, "x" * 1_200_000, "trois é"]
    pq.write_table(
        pa.table({"id": [1, 2, 3, 4], "text": pa.array(texts, pa.large_string())}), tmp_path / "mine.parquet"
    )
    (source,) = list_sources(tmp_path)
    assert (source.name, source.documents) == ("mine", 4)
    assert joined(read_chunks(tmp_path, source)) == ["one", "", "x" * 1_200_000, "trois é"]
    assert all(len(chunk.text) <= 500_000 for chunk in read_chunks(tmp_path, source))
    assert (tmp_path / "mine.meta.json").exists()
    assert list_sources(tmp_path) == [source]


def test_a_dictionary_encoded_column_is_read(tmp_path: Path) -> None:
    table = pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "mine.parquet")
    assert joined(read_chunks(tmp_path, list_sources(tmp_path)[0])) == ["a", "b", "a"]


def test_a_file_that_replaced_another_gets_a_manifest_of_its_own(tmp_path: Path) -> None:
    written(tmp_path, ["old"])
    pq.write_table(pa.table({"text": ["new", "newer"]}), tmp_path / "texts.parquet")
    assert list_sources(tmp_path)[0].documents == 2


def test_texts_of_a_newer_program_are_refused_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path, ["a text"])
    manifest = tmp_path / "texts.meta.json"
    newer = manifest.read_text(encoding="utf-8").replace('"version": 1', '"version": 2')
    manifest.write_text(newer, encoding="utf-8")
    (found,) = scan_sources(tmp_path).unusable
    assert not found.damaged and "newer LLM Studio" in found.problem and found.documents == 1
    assert manifest.read_text(encoding="utf-8") == newer


def test_only_a_source_is_removed(tmp_path: Path) -> None:
    written(tmp_path, ["a text"], "outside")
    (tmp_path / "raw").mkdir()
    with pytest.raises(SourceError, match="no source"):
        remove_source(tmp_path / "raw", "../outside")
    assert (tmp_path / "outside.parquet").exists()


NEGATIVE = '{"version": 1, "name": "texts", "documents": -1, "characters": "many"}'


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"version": 1}', "\0", NEGATIVE])
def test_a_damaged_manifest_is_made_again_and_that_is_said(tmp_path: Path, manifest: str) -> None:
    source = written(tmp_path, ["text"])
    (tmp_path / "texts.meta.json").write_text(manifest)
    for _ in range(2):
        (found,) = list_sources(tmp_path)
        assert found.sha256 == source.sha256 and not found.conversations
        assert "texts.meta.json, was damaged" in found.notes[0]


def test_conversations_stay_conversations_without_their_manifest(tmp_path: Path) -> None:
    chunks = [Chunk("<|user|>Hi<|assistant|>Hello", True), Chunk("<|user|>" + "x" * 1_000_000, True)]
    write_source(tmp_path, "chats", "somewhere", chunks, Job(), conversations=True)
    (tmp_path / "chats.meta.json").write_text("{")
    assert list_sources(tmp_path)[0].conversations


def test_sources_are_sorted_and_strangers_are_passed_over(tmp_path: Path) -> None:
    for name in ("b", "a", "à"):
        written(tmp_path, [name], name)
    for name in ("c.parquet.partial", "lonely.meta.json", "notes.txt", ".hidden.parquet"):
        (tmp_path / name).write_text("{}")
    assert [source.name for source in list_sources(tmp_path)] == ["a", "b", "à"]
    assert list_sources(tmp_path / "absent") == []


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all" * 100])
def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wrong.parquet").write_bytes(content)
    written(tmp_path, ["right"], "right")
    found = scan_sources(tmp_path)
    assert [source.name for source in found.usable] == ["right"]
    assert [(source.name, source.damaged) for source in found.unusable] == [("wrong", True)]
    assert "“wrong” is damaged" in found.unusable[0].problem and "--replace" in found.unusable[0].to_do


def test_a_truncated_or_damaged_file_is_named(tmp_path: Path) -> None:
    source = written(tmp_path, [os.urandom(500).hex() for _ in range(100)])
    path = tmp_path / "texts.parquet"
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="“texts” is damaged"):
        list(read_chunks(tmp_path, source))
    path.write_bytes(content[:-20])
    with pytest.raises(DamagedFileError, match="“texts” is damaged"):
        list(read_chunks(tmp_path, source))
    (found,) = scan_sources(tmp_path).unusable  # its figures are still known
    assert (found.documents, found.bytes, found.sha256) == (source.documents, source.bytes, source.sha256)


def test_texts_that_differ_from_those_added_are_found_when_read_through(tmp_path: Path) -> None:
    source = written(tmp_path, ["one", "two"])
    assert joined(read_verified(tmp_path, source)) == ["one", "two"]
    other = written(tmp_path / "other", ["one", "tvo"])
    assert (tmp_path / "texts.parquet").stat().st_size == (tmp_path / "other" / "texts.parquet").stat().st_size
    (tmp_path / "other" / "texts.parquet").replace(tmp_path / "texts.parquet")
    assert list_sources(tmp_path) == [source] and other.sha256 != source.sha256  # as large as before
    with pytest.raises(DamagedFileError, match="“texts” is damaged"):
        list(read_verified(tmp_path, source))


def test_columns_that_hold_no_texts_are_refused(tmp_path: Path) -> None:
    def problem() -> str:
        (found,) = scan_sources(tmp_path).unusable
        return found.problem

    pq.write_table(pa.table({"content": ["a"], "id": [1]}), tmp_path / "a.parquet")
    assert "no column “text”; its columns are: content, id" in problem()
    pq.write_table(pa.table({"text": [["a", "list"]]}), tmp_path / "a.parquet")
    assert "“a” is damaged" in problem()
    pq.write_table(pa.table({"text": pa.array([b"\xff\xfe"], pa.binary())}), tmp_path / "a.parquet")
    assert "“a” is damaged" in problem()


def test_no_file_stays_open_after_reading(tmp_path: Path) -> None:
    source = written(tmp_path, ["a", "b"])
    unfinished = read_chunks(tmp_path, source)
    next(unfinished)
    del unfinished
    list(read_chunks(tmp_path, source))
    handles = Path("/proc/self/fd")
    if handles.exists() and os.name != "nt":  # Wine has one too
        opened = [os.path.realpath(handle) for handle in handles.iterdir()]
        assert not [path for path in opened if path.startswith(str(tmp_path))]
        assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    remove_source(tmp_path, "texts")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="“ghost”"):
        remove_source(tmp_path, "ghost")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Jérôme à l'école", "Jérôme à l'école"),
        ("e\u0301te\u0301", "été"),
        ("roneneldan/TinyStories", "roneneldan TinyStories"),
        ('a<b>c:d"e|f?g*h\\i\0j', "a b c d e f g h i j"),
        ("con", "_con"),
        ("LPT1.old", "_LPT1.old"),
        ("ends with dots. . ", "ends with dots"),
        (".hidden", "hidden"),
        ("..", "texts"),
        ("", "texts"),
        ("\udcff", "texts"),
        ("x" * 300, "x" * 80),
    ],
)
def test_names_are_fit_for_every_system(tmp_path: Path, wanted: str, name: str) -> None:
    assert unused_name(tmp_path, wanted) == name
    written(tmp_path, ["text"], name)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    written(tmp_path, ["a"], "Novel")
    assert unused_name(tmp_path, "novel") == "novel-2"
    written(tmp_path, ["a"], "novel-2")
    assert unused_name(tmp_path, "Novel") == "Novel-3"
