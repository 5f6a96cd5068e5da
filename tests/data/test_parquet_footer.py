"""The metadata of Parquet files: what Arrow can't bear damaged is taken out, all else stays."""

import io
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_studio.data.sources.parquet_footer import MOST_BYTES, read_metadata, without_statistics

TABLES: dict[str, dict[str, list[Any]]] = {
    "texts": {"text": ["one", "two", None, "three"], "ends": [True, False, True, True]},
    "nested": {"turns": [[{"role": "user", "content": "Hello"}], [], None], "tags": [["a"], ["b", "c"], []]},
    "numbers": {f"n{n}": [n, 2.5 * n, None] for n in range(40)},
    "nothing": {"text": []},
}


def parquet(name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(TABLES[name]), stream, row_group_size=2, **options)
    return stream.getvalue()


def footer(content: bytes) -> bytes:
    length = int.from_bytes(content[-8:-4], "little")
    return content[-8 - length : -8]


def with_footer(content: bytes, changed: bytes) -> bytes:
    return content[: -8 - len(footer(content))] + changed + len(changed).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}, {"write_page_index": True}])
@pytest.mark.parametrize("name", TABLES)
def test_all_else_is_read_as_before(name: str, options: dict[str, Any]) -> None:
    content = parquet(name, **options)
    metadata = read_metadata(io.BytesIO(content))
    before = pq.read_metadata(io.BytesIO(content))
    assert metadata.schema.equals(before.schema) and metadata.metadata == before.metadata
    assert metadata.to_dict()["row_groups"] == before.to_dict()["row_groups"]
    assert pq.ParquetFile(io.BytesIO(content), metadata=metadata).read() == pq.read_table(io.BytesIO(content))
    once = without_statistics(footer(content))
    assert len(once) < len(footer(content)) or name == "nothing"
    assert without_statistics(once) == once


_READ_ALL = """
import io, sys
from tests.data.test_parquet_footer import footer, parquet, with_footer
from llm_studio.data.sources.parquet_footer import read_metadata, without_statistics
content = parquet("texts")
whole, left = footer(content), without_statistics(footer(content))
at, gone = 0, []
for place, byte in enumerate(whole):
    if at < len(left) and left[at] == byte:
        at += 1
    else:
        gone.append(place)
print(len(gone))
for place in gone:
    for bit in range(8):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        try:
            found = read_metadata(io.BytesIO(with_footer(content, bytes(changed))))
            for group in range(found.num_row_groups):
                for column in range(found.num_columns):
                    found.row_group(group).column(column)
        except (ValueError, OSError):
            pass
print("done")
"""


def test_no_bit_of_what_is_taken_out_ends_the_program() -> None:
    done = subprocess.run([sys.executable, "-c", _READ_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    taken, end = done.stdout.split()
    assert int(taken) > 20 and end == "done"


@pytest.mark.parametrize("seed", range(4))
def test_damaged_metadata_is_refused_or_read(seed: int) -> None:
    chance, whole = random.Random(seed), footer(parquet(list(TABLES)[seed]))
    for _n in range(500):
        content = bytearray(whole)
        for _k in range(chance.randint(1, 5)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            without_statistics(bytes(content[: chance.randint(1, len(content))]))
        except ValueError as error:
            assert "metadata" in str(error)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 3, b"PAR1" + bytes(99) + b"\xff" * 4 + b"PAR1"])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, OSError)):
        read_metadata(io.BytesIO(content))


@pytest.mark.parametrize(
    "metadata",
    [
        b"", b"\x1c", b"\x1c" * 100_000, b"\x19" * 100_000, b"\x1b\x01\xbb" + b"\x01\xbb" * 50_000, b"\x19\xfc" * 50,
        b"\x19\xf9" + b"\xff" * 8 + b"\x7f", b"\x1f\x00",
    ],
)  # fmt: skip
def test_endless_metadata_is_refused(metadata: bytes) -> None:
    with pytest.raises(ValueError, match="metadata"):
        without_statistics(metadata)


def test_too_much_metadata_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with path.open("wb") as stream:
        stream.truncate(2 * MOST_BYTES)
        stream.seek(0, 2)
        stream.write((MOST_BYTES + 1).to_bytes(4, "little") + b"PAR1")
    with path.open("rb") as stream, pytest.raises(ValueError, match="bytes of metadata"):
        read_metadata(stream)
