"""Small Parquet files that declare, or repeat, far more than a text file of their size could hold."""

import gzip
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_studio.data.sources import expansion, parquet_batches
from llm_studio.data.sources.expansion import ExpansionError, ParquetBudget
from llm_studio.data.sources.parquet_batches import bounded_batches, opener_of
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.store import read_verified, scan_sources
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.overview import overview
from tests.data.making import documents, zipped

MILLION = 1_000_000


def in_groups(path: Path, column: pa.Array, groups: int) -> Path:
    with pq.ParquetWriter(path, pa.schema([("text", column.type)]), compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(pa.table({"text": column}), row_group_size=len(column))
    return path


def nulls(path: Path) -> Path:
    return in_groups(path, pa.nulls(MILLION, pa.string()), 50)


def repeated(path: Path) -> Path:
    """One entry of a dictionary, in 5 · 10⁷ rows."""
    zeros = pa.array(np.zeros(MILLION, np.int32))
    return in_groups(path, pa.DictionaryArray.from_arrays(zeros, pa.array(["word " * 20])), 50)


def one_value(path: Path) -> Path:
    pq.write_table(pa.table({"text": ["a" * 80 * MILLION]}), path, compression="zstd", use_dictionary=False)
    return path


def one_list(path: Path) -> Path:
    """A row with a list of 5 · 10⁷ nulls."""
    offsets, turn = (
        pa.array([0, 50 * MILLION], pa.int32()),
        pa.struct([("role", pa.string()), ("content", pa.string())]),
    )
    lists = pa.ListArray.from_arrays(offsets, pa.nulls(50 * MILLION, turn))
    pq.write_table(pa.table({"messages": lists}), path, compression="zstd")
    return path


def long_entry(path: Path) -> Path:
    """An entry of 10 MB in 10,000 rows: 256 rows at once would be 2.5 GB."""
    indices = pa.array(np.zeros(10_000, np.int32))
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["word " * (2 * MILLION)]))
    pq.write_table(pa.table({"text": column}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    return path


def long_entry_in_a_list(path: Path) -> Path:
    """The same in the lists of a single row, after an empty one."""
    entries = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), pa.array(["word " * (2 * MILLION)]))
    turns = pa.StructArray.from_arrays([entries], ["content"])
    lists = pa.ListArray.from_arrays(pa.array([0, 0, 10_000], pa.int32()), turns)
    pq.write_table(pa.table({"messages": lists}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    return path


BOMBS = [nulls, repeated, one_value, one_list, long_entry, long_entry_in_a_list]


@pytest.fixture(scope="module", params=BOMBS, ids=lambda make: make.__name__)
def bomb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make: Callable[[Path], Path] = request.param
    path = make(tmp_path_factory.mktemp("bombs") / f"{make.__name__}.parquet")
    assert path.stat().st_size < MILLION
    return path


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The rows of every batch; no batch takes more than a quarter of a gigabyte."""
    seen: list[int] = []
    real = parquet_batches._expanded_size

    def counted(array: pa.Array) -> int:
        seen.append(len(array))
        assert pa.total_allocated_bytes() < 1 << 28
        return real(array)

    monkeypatch.setattr(parquet_batches, "_expanded_size", counted)
    began = time.perf_counter()
    yield seen
    print(f"{time.perf_counter() - began:.1f} s, {sum(seen)} values")


def test_a_bomb_is_refused_before_it_is_expanded(bomb: Path, rows_read: list[int], tmp_path: Path) -> None:
    text_field = "messages" if "list" in bomb.name else "text"
    with pytest.raises(SourceError, match=r"far more than its size|No field|not a text"):
        documents(bomb, text_field=text_field)
    project = projects.new_project(tmp_path / "project", "nano", "en")
    with pytest.raises(SourceError):
        sources.add_files(project, bomb, Job())
    assert sum(rows_read) < 5 * MILLION
    assert scan_sources(project.raw).usable == []


def test_a_look_at_a_bomb_is_quick_and_small(bomb: Path, rows_read: list[int]) -> None:
    try:
        inspect_path(bomb, ReadOptions(), Job())
    except SourceError as error:
        assert "far more than its size" in str(error)
    assert sum(rows_read) < MILLION


def test_a_bomb_among_the_sources_of_a_project_hides_only_itself(
    bomb: Path, rows_read: list[int], tmp_path: Path
) -> None:
    project = projects.new_project(tmp_path / "project", "nano", "en")
    sources.add_stories(project, "en", 20, Job())
    (project.raw / "bomb.parquet").write_bytes(bomb.read_bytes())
    here = overview(project)
    assert [source.name for source in here.sources] == ["stories-en"]
    (found,) = here.unusable
    assert found.name == "bomb" and ("far more than its size" in found.problem or "no column “text”" in found.problem)
    assert sum(rows_read) < 5 * MILLION


def test_an_archive_of_bombs_is_refused_as_one(rows_read: list[int], tmp_path: Path) -> None:
    content = repeated(tmp_path / "a.parquet").read_bytes()
    notices: list[str] = []
    packed = zipped({"a.parquet": content, "b.txt": "A text."})
    (tmp_path / "all.zip").write_bytes(packed)
    assert documents(tmp_path / "all.zip", notices)[-1] == "A text."
    assert "far more than its size" in notices[0]
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(content))
    with pytest.raises(SourceError, match="far more than its size"):
        documents(tmp_path / "a.parquet.gz")
    assert sum(rows_read) < 5 * MILLION


# --- What is honest is read --------------------------------------------------------------------------------------


def test_texts_are_read_as_ever_however_they_are_encoded(tmp_path: Path) -> None:
    texts = [f"Story {n}: " + "the fox ran and ran " * (n % 50) for n in range(3000)]
    plain = pa.array(texts)
    for name, column in {
        "plain": plain,
        "dictionary": plain.dictionary_encode(),
        "large": plain.cast(pa.large_string()),
    }.items():
        for use_dictionary in (True, False):
            path = tmp_path / f"{name}-{use_dictionary}.parquet"
            pq.write_table(pa.table({"text": column}), path, use_dictionary=use_dictionary, row_group_size=700)
            assert documents(path) == texts
    turns = [[{"role": "user", "content": t}, {"role": "assistant", "content": t[::-1]}] for t in texts]
    pq.write_table(pa.table({"messages": turns}), tmp_path / "chats.parquet")
    chats = documents(tmp_path / "chats.parquet")
    assert len(chats) == 3000 and chats[7] == f"<|user|>{texts[7].strip()}<|assistant|>{texts[7][::-1].strip()}"


@pytest.mark.parametrize("limit", [1, 1000, 1 << 30])
def test_bounded_batches_change_no_value(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the dictionaries are looked up first, read as they are, or ignored."""
    monkeypatch.setattr(parquet_batches, "_MAX_BATCH_BYTES", limit)
    texts = [None if n % 7 == 0 else "word " * (n % 5) for n in range(500)]
    nested = [[{"content": text}, {"content": None}] * (n % 3) for n, text in enumerate(texts)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": texts, "nested": nested, "number": range(500)}), path, row_group_size=100)
    for first in (0, 1, 99, 100, 250, 499):
        with path.open("rb") as stream:
            batches = list(bounded_batches(
                opener_of(stream), ["text", "nested", "number"], ParquetBudget("a", 10**6), first,
                max_batch_bytes=limit,
            ))  # fmt: skip
        rows = list(itertools.chain.from_iterable(batch.to_pylist() for batch in batches))
        assert [row["text"] for row in rows] == texts[first:]
        assert [row["nested"] for row in rows] == nested[first:]
        assert [row["number"] for row in rows] == list(range(first, 500))


def test_a_large_file_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of any size is read as long as it isn't far larger inside than outside; its first texts come at once."""
    monkeypatch.setattr(expansion, "FREE_BYTES", 1)
    texts = pa.array([np.random.default_rng(n).bytes(750).hex() for n in range(20_000)])
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=5000)
    before = pa.total_allocated_bytes()
    with (tmp_path / "a.parquet").open("rb") as stream:
        budget = ParquetBudget("a", (tmp_path / "a.parquet").stat().st_size)
        batches = bounded_batches(opener_of(stream), ["text"], budget)
        next(batches)
        assert pa.total_allocated_bytes() - before < 10_000_000
        assert 256 + sum(batch.num_rows for batch in batches) == 20_000


def test_very_repetitive_texts_of_ones_own_stay_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 1)
    project = projects.new_project(tmp_path / "project", "nano", "en")
    (tmp_path / "same.txt").write_text("word " * (2 * MILLION))
    source = sources.add_files(project, tmp_path / "same.txt", Job())
    assert (project.raw / "same.parquet").stat().st_size * expansion.MAX_RATIO < source.bytes
    assert [found.documents for found in scan_sources(project.raw).usable] == [1]
    assert sum(len(chunk.text) for chunk in read_verified(project.raw, source)) == 10 * MILLION


# --- Lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ['{"text": "' + "a" * 200 * MILLION, "[" * 80 * MILLION, '{"text": 1' + "0" * 80 * MILLION]
)
def test_one_line_that_unpacks_to_far_more_than_its_size_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(line.encode(), 1))
    with pytest.raises(SourceError) as refused:
        documents(path)
    assert isinstance(refused.value, ExpansionError) or "longer than" in str(refused.value)
