"""Whatever a record contains, and whatever is in its place, reading it ends soon, with its values or with a message."""

import io
import json
import os
import time
import tracemalloc
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio import records
from llm_studio.errors import NewerRecordError, RecordError
from llm_studio.records import Amount, Count, FileName, Measured

INFINITE, NO_NUMBER = float("inf"), float("nan")


@dataclass(frozen=True)
class Part:
    name: str
    size: Count = 0


@dataclass(frozen=True)
class Thing:
    """A record with a field of every kind."""

    text: str
    whole: int
    number: float
    truth: bool
    count: Count
    amount: Amount
    measured: Measured
    file: FileName
    choice: Literal["a", "b"]
    parts: list[Part]
    pair: tuple[int, str]
    sizes: tuple[Count, ...]
    named: dict[str, float]
    either: int | str | None
    anything: Any
    even: Annotated[int, records.checked(records.reader(int), lambda n: n % 2 == 0)]
    plain: Annotated[dict[str, Any], records.like(Part)]
    later: list[str] = field(default_factory=list[str])


THING = Thing(
    "é", -5, 0.5, True, 3, 1.5, NO_NUMBER, "a\udcff" if os.name != "nt" else "a", "b", [Part("p", 1), Part("q")],
    (1, "x"), (1, 2), {"a": 1.0}, None, {"b": [1, {"c": None}]}, 4, {"name": "n", "other": 1},
)  # fmt: skip
HUGE_NUMBER = "9" * 400
NESTED = "[" * 100_000
STRANGE: dict[str, str] = {
    "text": '"text"', "number as text": '"12"', "whole": "12", "negative": "-1", "fraction": "1.5", "list": "[1, [2]]",
    "object": '{"a": {"b": 1}}', "nothing": "null", "truth": "true", "huge": HUGE_NUMBER, "infinite": "1e999",
    "NaN": "NaN", "half a character": '"\\ud800"', "64 bits": str(2**63), "nested": "[" * 40 + "]" * 40,
    "absurd": "1e300", "NUL": '"\\u0000"', "date": '"9999-12-31T23:59:59.999"',
}  # fmt: skip
"""Values for a field, as JSON."""


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, content: str | bytes) -> Thing | None:
    return records.read(written(path, content), Thing)


def as_json(thing: Thing, **changes: object) -> str:
    return json.dumps({"version": 1, **asdict(thing), **changes})


def test_what_was_written_is_read_back_as_its_types(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", as_json(THING, unknown=[1]))
    assert found and asdict(found) | {"measured": 0} == asdict(THING) | {"measured": 0}
    assert found.measured != found.measured and isinstance(found.parts[0], Part) and found.sizes == (1, 2)
    whole = read(tmp_path / "a.json", as_json(THING, number=2, either=7))
    assert whole and type(whole.number) is float and whole.either == 7


def test_an_absent_record_is_none_and_so_is_one_in_a_file_that_is_no_folder(tmp_path: Path) -> None:
    assert records.read(tmp_path / "none.json", Thing) is None
    assert records.read(written(tmp_path / "file", "") / "none.json", Thing) is None


@pytest.mark.parametrize(("name", "value", "said"), [
    ("whole", '"12"', "“whole” can't be '12'"), ("whole", "true", "“whole” can't be True"),
    ("whole", "1.0", "“whole” can't be 1.0"), ("whole", HUGE_NUMBER, "it holds 999"), ("number", "1e999", "be inf"),
    ("number", "NaN", "be nan"), ("number", "null", "be None"), ("truth", "1", "“truth” can't be 1"),
    ("count", "-1", "“count” can't be -1"), ("amount", "1e300", "“amount” can't be 1e+300"),
    ("measured", "-2.5", "“measured” can't be -2.5"), ("choice", '"c"', "“choice” can't be 'c'"),
    ("parts", '[{"name": "a"}, {"name": 2}]', "“parts[1].name” can't be 2"), 
    ("parts", '[{}]', "“parts[0].name” is missing"),
    ("pair", "[1]", "“pair” can't be [1]"), ("sizes", "[1, -1]", "“sizes[1]” can't be -1"),
    ("named", '{"é": "x"}', "“named.é” can't be 'x'"), ("either", "[]", "“either” can't be []"),
    ("even", "3", "“even” can't be 3"), ("plain", '{"size": 1}', "“plain.name” is missing"),
    ("text", '"\\ud800"', r"“text” can't be '\ud800'"), ("anything", '{"\\ud800": 1}', r"“anything” can't be '\ud800'"),
    ("anything", "[" * 40 + "]" * 40, "it is nested too deeply"), ("file", '"\\u0000"', r"“file” can't be '\x00'"),
])  # fmt: skip
def test_a_value_that_does_not_fit_is_named_with_its_place(tmp_path: Path, name: str, value: str, said: str) -> None:
    content = as_json(THING, **{name: "HERE"}).replace('"HERE"', value)
    with pytest.raises(RecordError) as raised:
        read(tmp_path / "a.json", content)
    assert str(tmp_path / "a.json") in raised.value.what and said in raised.value.what
    assert raised.value.to_do and raised.value.what.isprintable()


@pytest.mark.parametrize(("content", "said"), [
    (b"", "it isn't JSON"), (b"{", "it isn't JSON"), (b"\xff{}", "it isn't UTF-8 text"), (b"[]", "it holds []"),
    (b"3", "it holds 3"), (NESTED.encode(), "nested too deeply"), (b'{"a":' * 20_000, "nested too deeply"),
    (b"9" * 5000, "it isn't JSON"), (b"{}", "“text” is missing"), (b'{"version": "1"}', "“version” can't be '1'"),
    (b'{"version": -1}', "“version” can't be -1"), (b'{"version": true}', "“version” can't be True"),
    (b"\0" * 4096, "it isn't JSON"), (b"\x1b[31m", "it isn't JSON"),
])  # fmt: skip
def test_what_is_no_record_is_said_to_be_damaged(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(RecordError, match=r"a\.json is damaged: ") as raised:
        read(tmp_path / "a.json", content)
    assert said in raised.value.what and not isinstance(raised.value, NewerRecordError)
    assert records.recall(tmp_path / "a.json", Thing) is None
    assert records.recall_plain(tmp_path / "a.json") == {}


def test_a_newer_record_asks_for_an_update_whatever_else_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(NewerRecordError, match="newer LLM Studio") as raised:
        read(tmp_path / "a.json", '{"version": 2, "text": []}')
    assert "Update" in raised.value.to_do
    older = as_json(THING).replace('"version": 1, ', "")
    assert read(tmp_path / "a.json", older)


def test_a_byte_order_mark_of_an_editor_is_no_damage(tmp_path: Path) -> None:
    assert read(tmp_path / "a.json", b"\xef\xbb\xbf" + as_json(THING).encode())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes in folders")
def test_a_folder_a_pipe_and_a_device_are_refused_without_opening_them(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, kind in {"folder": "a folder", "pipe": "pipe", "device": "a device", "loop": "a link to itself"}.items():
        with pytest.raises(RecordError, match=f"{name} can't be read: .*{kind}"):
            records.read(tmp_path / name, Thing)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as stream:
        stream.truncate(50_000_000_000)  # sparse
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match=r"larger than 4\.0"):
            records.read(path, Thing)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([2**63, -(2**70)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(Thing.__dataclass_fields__)), value=JSON)
def test_any_json_in_place_of_any_field_is_read_or_is_damage(tmp_path: Path, name: str, value: object) -> None:
    try:
        found = read(tmp_path / "a.json", as_json(THING, **{name: value}))
    except RecordError:
        return
    assert isinstance(found, Thing) and found.count >= 0 and found.even % 2 == 0
    assert found.text.encode() and isinstance(found.number, float)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_no_record_or_damage(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RecordError):
        read(tmp_path / "a.json", content)
    line = records.parse_line(content)
    assert line is None or isinstance(line, dict)


def test_a_damaged_file_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content, aside in (("one", "a.json.damaged"), ("two", "a.json.damaged-2")):
        assert records.keep_aside(written(path, content)) == tmp_path / aside
        assert (tmp_path / aside).read_text(encoding="utf-8") == content and not path.exists()


def test_lines_of_a_log_are_of_bounded_length() -> None:
    longest = records.LONGEST_LINE
    log = io.BytesIO(b'{"a": 1}\n' + b"x" * (3 * longest) + b'\n{"b": 2}\n' + NESTED.encode() + b'\n[1]\n{"c": 3')
    found = list(records.lines(log))
    assert max(map(len, found)) <= longest
    assert [record for line in found if (record := records.parse_line(line))] == [{"a": 1}, {"b": 2}]


def test_a_type_that_no_json_stands_for_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="can't hold"):
        records.reader(set[int])


def test_time_to_refuse(tmp_path: Path) -> None:
    """Prints the processor time for the worst files of the maximum size."""
    size = records.MOST_BYTES
    kinds = {
        "brackets": b"[" * size, "numbers": b"[" + b"1," * (size // 2 - 2) + b"1]",
        "text": b'"' + b"a" * (size - 2) + b'"', "objects": b"[" + b"{}," * (size // 3 - 2) + b"1]",
        "names": b"{" + b'"aaaaaaaa":1,' * (size // 13 - 1) + b'"b":1}',
    }  # fmt: skip
    for kind, content in kinds.items():
        began = time.process_time()
        with pytest.raises(RecordError):
            read(tmp_path / "a.json", content)
        print(f"{kind}: {time.process_time() - began:.2f} s")
