"""What is damaged of a download is downloaded again, and small files of the hub that expand to far more are refused."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_studio.data.sources import store
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.errors import SourceError, StudioError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import replacing
from llm_studio.workflows.data.download import preview, unfinished
from tests.hub.server import Hub
from tests.hub.shards import readme, stories, tales, zipped
from tests.hub.taking import TALES, take, take_and_report, texts_in


def downloaded_in_parts(hub: Hub, project: Project) -> None:
    """At least three parts."""
    hub.add("me/tales", tales())
    for documents in (300, 1000):
        take(project, DownloadRequest("me/tales", max_documents=documents))
    take(project)


def cut(project: Project, part: int) -> None:
    path = project.raw / "tales.parquet" / f"{part:05d}.parquet"
    path.write_bytes(path.read_bytes()[:-50])


def test_a_damaged_part_is_downloaded_again_and_those_before_it_stay(hub: Hub, empty: Project) -> None:
    downloaded_in_parts(hub, empty)
    cut(empty, 1)
    assert [source.name for source in store.scan_sources(empty.raw).unusable] == ["tales"] and unfinished(empty) == []
    first = (empty.raw / "tales.parquet" / "00000.parquet").stat().st_mtime_ns
    source, notices = take_and_report(empty)
    assert texts_in(empty) == stories(0, 2000) and source.documents == 2000
    numbers = [int(word) for word in notices[0].split() if word.isdecimal()]
    assert "“tales” is damaged" in notices[0] and numbers[1] - numbers[0] == 1
    assert (empty.raw / "tales.parquet" / "00000.parquet").stat().st_mtime_ns == first


def test_a_bit_that_flipped_in_a_download_is_found_when_it_is_replaced(hub: Hub, empty: Project) -> None:
    downloaded_in_parts(hub, empty)
    path = empty.raw / "tales.parquet" / "00002.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (source,) = store.list_sources(empty.raw)
    with pytest.raises(SourceError, match="“tales” is damaged"):
        list(store.read_verified(empty.raw, source))
    replacing.replace_source(empty, "tales", Job())
    (source,) = store.list_sources(empty.raw)
    assert sum(chunk.ends for chunk in store.read_verified(empty.raw, source)) == 2000


def test_without_its_manifest_it_is_downloaded_from_its_beginning(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    take(empty, DownloadRequest("me/tales", max_documents=300))
    (empty.raw / "tales.meta.json").write_text('{"version": 1, "parts": [{"docu')
    (found,) = store.scan_sources(empty.raw).unusable
    assert replacing.origin_of(empty, found) == ""
    replacing.replace_source(empty, "tales", Job())
    assert texts_in(empty) == stories(0, 2000)


def test_a_parquet_file_of_nulls_is_refused_at_once(hub: Hub, empty: Project) -> None:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema([("text", pa.string())]), compression="zstd") as writer:
        writer.write_table(pa.table({"text": ["A first text."]}))
        for _ in range(20):
            writer.write_table(pa.table({"text": pa.nulls(1_000_000, pa.string())}))
    hub.add("me/bomb", {"train.parquet": sink.getvalue(), "README.md": readme()})
    assert len(sink.getvalue()) < 100_000
    for ask in (lambda: preview("me/bomb", None, None, Job()), lambda: take(empty, DownloadRequest("me/bomb"))):
        with pytest.raises(StudioError, match="far more than its size allows"):
            ask()


def test_lines_that_expand_to_far_more_than_their_file_are_refused(hub: Hub, empty: Project) -> None:
    content = zipped(b'{"text": "A first text."}\n' + (b'{"text": "' + b"a" * 1_000_000 + b'"}\n') * 100)
    assert len(content) < 300_000
    hub.add("me/bomb", {"train.jsonl.gz": content, "README.md": readme()})
    with pytest.raises(StudioError, match="unpacks to far more than its size"):
        take(empty, DownloadRequest("me/bomb"))


def test_the_usual_files_are_not_refused(hub: Hub, empty: Project) -> None:
    hub.add("me/tales", tales())
    assert take(empty, TALES).documents == 2000
