"""Browsing texts: documents by number, searches, lengths, effects of cleaning; and removing sources, with undo."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources import store
from llm_studio.errors import Cancelled, DataError, SourceError
from llm_studio.events import Event, Progress
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import browsing, cleaning, sources


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    return projects.new_project(tmp_path / "project", "nano", "en")


def put(project: Project, documents: list[str], name: str = "texts") -> None:
    """Write a source with these documents, in many row groups."""
    store.write_source(project.raw, name, "test", (Chunk(text, True) for text in documents), Job())


def put_rows(project: Project, rows: list[tuple[str, bool]], group: int, name: str = "texts") -> None:
    """Write a source as Parquet rows, with `group` rows per row group."""
    table = pa.table({"text": [text for text, _ in rows], "ends": [end for _, end in rows]})
    pq.write_table(table, project.raw / f"{name}.parquet", row_group_size=group)


def test_every_document_is_found_by_its_number_wherever_the_rows_are_cut(empty: Project) -> None:
    documents = [[f"d{n}p{chunk} " for chunk in range(1 + n % 4)] for n in range(40)]
    rows = [(text, place == len(chunks) - 1) for chunks in documents for place, text in enumerate(chunks)]
    for group in (1, 3, 7, 1000):
        put_rows(empty, rows, group)
        for number, chunks in enumerate(documents):
            found = browsing.read_document(empty, "texts", number, Job())
            assert (found.text, found.number, found.of, found.goes_on) == ("".join(chunks), number, 40, False)
    assert browsing.read_document(empty, "texts", 999, Job()).number == 39


def test_a_file_of_the_users_own_without_ends_is_read_by_row(empty: Project) -> None:
    pq.write_table(
        pa.table({"text": [f"document {n}" for n in range(100)]}), empty.raw / "own.parquet", row_group_size=9
    )
    assert browsing.read_document(empty, "own", 57, Job()).text == "document 57"


def test_documents_before_the_one_wanted_are_not_read(empty: Project) -> None:
    """The texts of all row groups except the last are overwritten with garbage, so they can't have been read."""
    put_rows(empty, [(f"{n} " + "x" * 2000, True) for n in range(400)], 100)
    path = empty.raw / "texts.parquet"
    list(store.list_sources(empty.raw))  # creates the manifest
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    content = bytearray(path.read_bytes())
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    with pytest.raises(SourceError):
        browsing.read_document(empty, "texts", 0, Job())
    assert browsing.read_document(empty, "texts", 350, Job()).text.startswith("350 ")


def test_of_a_long_document_the_beginning_is_shown(empty: Project) -> None:
    put(empty, ["a" * 2_000_000, "short", "b" * browsing.EXCERPT])
    shown = browsing.read_document(empty, "texts", 0, Job())
    assert (len(shown.text), shown.goes_on) == (browsing.EXCERPT, True)
    exact = browsing.read_document(empty, "texts", 2, Job())
    assert (len(exact.text), exact.goes_on) == (browsing.EXCERPT, False)


def test_a_search_goes_on_from_where_it_is_and_wraps_around(empty: Project) -> None:
    put(empty, ["The Fox", "a hen", "the   fox again", "a bear"])
    found = [browsing.search(empty, "texts", "the fox", start, 0, Job()) for start in range(4)]
    assert [(f.document.number, f.wrapped) for f in found if f] == [(0, False), (2, False), (2, False), (0, True)]
    assert browsing.search(empty, "texts", "wolf", 1, 0, Job()) is None
    assert browsing.search(empty, "texts", "  ", 0, 0, Job()) is None
    assert browsing.search(empty, "texts", "(", 0, 0, Job()) is None


def test_a_passage_far_inside_a_novel_is_shown_with_what_stands_before_it(empty: Project) -> None:
    novel = "word " * 300_000 + "the treasure is here" + " word" * 100_000 + " the treasure again"
    put(empty, ["short", novel])
    found = browsing.search(empty, "texts", "the treasure", 0, 0, Job())
    assert found is not None
    assert found.document.number == 1
    inside = found.document.text.index("the treasure is here")
    assert novel[found.document.start + inside :].startswith("the treasure is here")
    again = browsing.search(empty, "texts", "the treasure", 1, found.document.start + len(found.document.text), Job())
    assert again is not None
    assert "the treasure again" in again.document.text
    assert not again.wrapped


def test_words_across_two_pieces_of_a_document_are_found(empty: Project) -> None:
    rows = [("a" * 600_000 + " once upon", False), (" a time " + "b" * 100, True)]
    put_rows(empty, rows, 1)
    found = browsing.search(empty, "texts", "once upon a time", 0, 0, Job())
    assert found is not None
    assert "once upon a time" in found.document.text


def test_a_search_tells_how_far_it_is_and_can_be_stopped(empty: Project) -> None:
    put(empty, [f"document {n}" for n in range(3000)])
    events: list[Event] = []
    assert browsing.search(empty, "texts", "nothing", 10, 0, Job(events.append)) is None
    shares = [event.done for event in events if isinstance(event, Progress)]
    assert shares
    assert shares == sorted(shares)
    assert max(shares) <= 3000
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        browsing.search(empty, "texts", "nothing", 0, 0, job)


def test_lengths_are_counted_and_kept_until_the_texts_change(empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert browsing.lengths(empty, Job()) is None
    put(empty, ["x" * n for n in (10, 20, 20, 30, 100)])
    found = browsing.lengths(empty, Job())
    assert found is not None
    assert (found.documents, found.median, found.shortest, found.longest) == (5, 20, 10, 100)
    assert sum(found.counts) == 5
    assert len(found.edges) == len(found.counts) + 1
    monkeypatch.setattr(browsing, "QUICK", 10)
    assert browsing.lengths(empty, Job(), whatever_it_takes=False) == found  # known: nothing is read
    put(empty, ["another"], "more")
    assert browsing.lengths(empty, Job(), whatever_it_takes=False) is None
    again = browsing.lengths(empty, Job())
    assert again is not None
    assert again.documents == 6


def test_one_very_long_document_leaves_the_others_their_bars(empty: Project) -> None:
    put(empty, ["x" * n for n in range(100, 200)] + ["x" * 1_000_000])
    found = browsing.lengths(empty, Job())
    assert found is not None
    assert sum(found.counts) == 101
    assert sum(1 for count in found.counts if count) >= 2
    assert list(found.edges) == sorted(set(found.edges))


def test_what_cleaning_leaves_out_follows_the_settings(empty: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    stories = [f"Story number {n} is long enough to be kept, I should think." for n in range(30)]
    put(empty, [*stories, stories[0], stories[1], "tiny"])
    found = browsing.cleaned(empty, Job())
    assert found is not None
    assert (found.documents, cleaning.left_out(found.left_out)) == (30, "1 too short, 2 duplicates")
    projects.change_settings(empty, {"data.remove_duplicates": False, "data.min_characters": 0})
    monkeypatch.setattr(browsing, "QUICK", 10)
    assert browsing.cleaned(empty, Job(), whatever_it_takes=False) is None
    after = browsing.cleaned(empty, Job())
    assert after is not None
    assert after.documents == 33 and not any(after.left_out.values())
    projects.change_settings(empty, {"data.min_characters": 5000})
    with pytest.raises(DataError, match="No document is left"):
        browsing.cleaned(empty, Job())


def test_a_removed_source_comes_back_whole_until_the_next_is_removed(empty: Project) -> None:
    put(empty, ["one"], "a")
    put(empty, ["two"], "b")
    before = store.list_sources(empty.raw)
    sources.remove_source(empty, "a", undoable=True)
    assert [source.name for source in store.list_sources(empty.raw)] == ["b"]
    sources.restore_source(empty, "a")
    assert store.list_sources(empty.raw) == before
    sources.remove_source(empty, "a", undoable=True)
    sources.remove_source(empty, "b", undoable=True)
    with pytest.raises(SourceError):
        sources.restore_source(empty, "a")
    sources.restore_source(empty, "b")
    sources.remove_source(empty, "b")  # as the command line does: for good
    assert not list((empty.root / "data" / ".trash").iterdir())


def test_a_removed_source_stays_away_where_a_new_one_has_its_name(empty: Project) -> None:
    put(empty, ["one"], "a")
    sources.remove_source(empty, "a", undoable=True)
    put(empty, ["another"], "a")
    with pytest.raises(SourceError, match="new source"):
        sources.restore_source(empty, "a")
    assert browsing.read_document(empty, "a", 0, Job()).text == "another"


def test_of_several_files_those_that_can_be_read_are_added(empty: Project, tmp_path: Path) -> None:
    good, bad, last = tmp_path / "good.txt", tmp_path / "bad.txt", tmp_path / "last.txt"
    good.write_text("A good text.", encoding="utf-8")
    bad.write_bytes(b"\0\1\2" * 100)
    last.write_text("The last text.", encoding="utf-8")
    events: list[Event] = []
    with pytest.raises(SourceError, match="1 of 3 could not be added"):
        sources.add_several(empty, [good, bad, last], Job(events.append))
    assert [source.name for source in store.list_sources(empty.raw)] == ["good", "last"]
    summary = [event for event in events if isinstance(event, Progress)]
    assert summary[-1].done == summary[-1].total == len("The last text.")
    with pytest.raises(SourceError, match="not a text file"):
        sources.add_several(empty, [bad], Job())
