"""Shards for the loopback hub."""

import gzip
import io
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hub.repositories import Content


def stories(first: int, last: int) -> list[str]:
    """Documents that can be told apart."""
    return [
        f"Story {n}: once upon a time there were {n * 7} birds. " + "They sang. " * (n % 40) for n in range(first, last)
    ]


def parquet(texts: Sequence[str], group: int = 100, column: str = "text") -> bytes:
    """A Parquet file with the texts and a column that nobody wants."""
    table = pa.table({"id": [f"{n}" * 20 for n in range(len(texts))], column: pa.array(texts, pa.string())})
    sink = io.BytesIO()
    pq.write_table(table, sink, write_batch_size=50, row_group_size=group, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def json_lines(texts: Sequence[str]) -> bytes:
    return "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(texts)).encode()


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def squeezed(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def readme(*lines: str) -> bytes:
    return (
        "---\nlanguage: [en, fr]\nlicense: mit\n" + "".join(f"{line}\n" for line in lines) + "---\n# Tales\n"
    ).encode()


def tales(shards: int = 2, each: int = 1000) -> dict[str, Content]:
    """A dataset of Parquet shards with a split for tests."""
    files: dict[str, Content] = {
        f"data/train-{n:05d}-of-{shards:05d}.parquet": parquet(stories(n * each, (n + 1) * each)) for n in range(shards)
    }
    files["data/test-00000-of-00001.parquet"] = parquet(stories(10_000, 10_005))
    files["README.md"] = readme(
        "configs:", "- config_name: default", "  data_files:", "  - split: train", "    path: data/train-*",
        "  - split: test", "    path: data/test-*",
    )  # fmt: skip
    return files
