"""Records: which field is the text, tables, JSON, Parquet; and what is written is read again."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.sources.readers import delimited, json_files, json_stream
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import read_path
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, left_out, parquet, rows, written

STORIES = [f'Story {n}: the fox; it said, "hello"\nand ran.' for n in range(30)]
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t")
TEXTS = st.lists(st.text(CHARACTERS, min_size=1, max_size=60).filter(lambda text: not text.isspace()), min_size=1)
again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)


@again
@given(TEXTS)
def test_what_is_written_in_any_format_is_read_again(tmp_path: Path, texts: list[str]) -> None:
    records = [{"id": n, "text": text} for n, text in enumerate(texts)]
    files: dict[str, str | bytes] = {
        "a.jsonl": "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records),
        "ascii.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "list.json": json.dumps(records, indent=1),
        "strings.json": json.dumps(texts),
        "held.json": json.dumps({"version": 2, "data": records}),
        "lines.json": "\n".join(map(json.dumps, records)),
        "a.csv": rows(texts),
        "semicolon.csv": rows(texts, ";"),
        "a.tsv": rows(texts, "\t"),
        "alone.csv": rows(texts, names=["text"]),
        "a.parquet": parquet({"id": range(len(texts)), "text": texts}),
    }
    for name, content in files.items():
        assert documents(written(tmp_path, name, content), text_field="text") == texts, name


@again
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30)), st.integers(1, 40))
def test_json_is_the_same_whatever_the_blocks_it_is_read_in(tmp_path: Path, texts: list[str], block: int) -> None:
    records = [{"text": f"x{text}", "n": 12, "more": {"a": [text]}} for text in texts] + [{"text": "z"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "BLOCK", block)
        for content in (records, {"data": records, "n": 1}):
            path = written(tmp_path, "a.json", json.dumps(content))
            expected = [str(r["text"]).replace("\r\n", "\n").replace("\r", "\n") for r in records]
            assert documents(path) == expected


def test_an_object_too_large_for_one_look_is_gone_through_member_by_member(tmp_path: Path) -> None:
    records = [{"id": n, "content": f"story number {n} " * 20} for n in range(5000)]
    path = written(tmp_path, "a.json", json.dumps({"about": {"a": 1}, "rows": records, "end": [1, 2]}))
    assert path.stat().st_size > 1 << 20
    assert documents(path) == [record["content"] for record in records]
    path = written(tmp_path, "b.json", json.dumps({"title": "x", "text": "word " * 300_000}))
    assert documents(path) == ["word " * 300_000]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"id": "a1b2", "title": "The Fox", "story": "Once upon a time there was a fox."}, "story"),
        ({"url": "https://example.org/" + "x" * 200, "content": "A fox ran over the hill and away."}, "content"),
        ({"text": "Short.", "summary": "A much longer text that tells what the short one says."}, "text"),
        ({"titre": "Le renard", "Texte": "Il était une fois un renard."}, "Texte"),
        ({"hash": "f" * 300, "phrase": "A fox ran over the hill."}, "phrase"),
        ({"label": 3, "mots": "un renard"}, "mots"),
    ],
)
def test_the_field_with_the_text_is_found(tmp_path: Path, record: dict[str, object], field: str) -> None:
    notices: list[str] = []
    path = written(tmp_path, "a.jsonl", "".join(json.dumps(record) + "\n" for _ in range(20)))
    assert documents(path, notices) == [record[field]] * 20
    assert notices == ([] if field == "text" else [f"a.jsonl: the field “{field}” was used as the text."])


def test_another_field_can_be_chosen(tmp_path: Path) -> None:
    record = {"title": "The Fox", "text": "Once upon a time."}
    for name, content in (("a.jsonl", json.dumps(record)), ("a.csv", "title,text\nThe Fox,Once\n"),
                          ("a.parquet", parquet({"title": ["The Fox"], "text": ["Once"]}))):  # fmt: skip
        path = written(tmp_path, name, content)
        assert documents(path, text_field="title") == ["The Fox"]
        with pytest.raises(SourceError, match=r"no field “ghost”; its fields are: title, text.*--text-field"):
            documents(path, text_field="ghost")


def test_records_without_any_text_are_refused_with_their_fields(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"contains text; its fields are: a \(1\), b \(\[2\]\)"):
        documents(written(tmp_path, "a.jsonl", '{"a": 1, "b": [2]}\n' * 3))
    with pytest.raises(SourceError, match="no text"):
        documents(written(tmp_path, "b.csv", "id,text\n1,\n2,\n"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[{"text": "b"', "record 1: this is not JSON"),
        ('{"text": "a", ', "record 1: this is not JSON"),
        ("[1, 2]", "record 1: this is JSON, but not an object"),
        ("[" * 100_000, "record 1: this is not JSON"),
        ('[{"text": ' + "[" * 100_000, "record 1: this is not JSON"),
        ('{"a":' * 50_000, "record 1: this is not JSON"),
        ('"just a string"', "record 1: this is not JSON, or JSON without records"),
        ("plain words", "record 1: this is not JSON"),
    ],
)
def test_wrong_json_is_named_with_its_place(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(SourceError, match=what):
        documents(written(tmp_path, "a.json", content))


def test_a_record_longer_than_memory_allows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (json_files, json_stream):
        monkeypatch.setattr(module, "MAX_RECORD", 2_000_000)
    for name in ("a.json", "a.jsonl"):
        with pytest.raises(SourceError, match="longer than 2,000,000 characters"):
            documents(written(tmp_path, name, '{"text": "' + "x" * 5_000_000))


# --- Tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_stands_between_fields_is_found(tmp_path: Path, delimiter: str) -> None:
    path = written(tmp_path, "a.csv", rows(STORIES, delimiter, ["id", "mark", "body"]))
    assert documents(path) == STORIES


def test_quotes_may_be_doubled_escaped_or_just_stand_there(tmp_path: Path) -> None:
    assert documents(written(tmp_path, "a.csv", 'id,text\n1,"She said ""go, now"" and left"\n')) == [
        'She said "go, now" and left'
    ]
    escaped = "id,text\n" + '1,"She said \\"go, now\\" and left"\n' * 5
    assert documents(written(tmp_path, "b.csv", escaped)) == ['She said "go, now" and left'] * 5
    plain = 'id\ttext\n1\t"Hello, she said.\n2\tHe: "Good" day\n'
    assert documents(written(tmp_path, "c.tsv", plain)) == ['"Hello, she said.', 'He: "Good" day']


def test_a_table_without_names_gets_numbered_columns(tmp_path: Path) -> None:
    notices: list[str] = []
    content = "".join(f"{n},A fox ran over hill number {n}.\n" for n in range(9))
    assert documents(written(tmp_path, "a.csv", content), notices)[0] == "A fox ran over hill number 0."
    assert notices == ["a.csv: the field “2” was used as the text."]


def test_rows_that_are_too_short_are_reported(tmp_path: Path) -> None:
    notices: list[str] = []
    assert documents(written(tmp_path, "a.csv", "id,text\n1,one fox\n2\n\n3,two,more\n"), notices) == ["one fox", "two"]
    assert notices == ["a.csv: 1 row has fewer fields than there are columns."]


def test_an_open_quotation_mark_does_not_swallow_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_FIELD", 1 << 17)
    path = written(tmp_path, "a.csv", 'id,text\n1,"never closed ' + "a line, and more\n" * 20_000)
    assert documents(path) == [" and more"] * 19_999
    assert left_out(account_of(path)) == {"with a quotation mark that is opened and never closed": ["a.csv, line 2"]}


def test_huge_fields_are_read(tmp_path: Path) -> None:
    long = "word, " * 200_000
    limit = csv.field_size_limit()
    assert documents(written(tmp_path, "a.csv", rows([long]))) == [long]
    csv.field_size_limit(limit)


def test_a_table_in_another_encoding_is_read_and_reported(tmp_path: Path) -> None:
    notices: list[str] = []
    texts = [f"L'été à l'école, où êtes-vous, élève n° {n} ?" for n in range(9)]
    stream = io.BytesIO(rows(texts, ";", ["id", "texte"]).encode("cp1252"))
    assert documents(written(tmp_path, "a.csv", stream.getvalue()), notices) == texts
    assert "a.csv was read as Windows-1252." in notices
    assert documents(written(tmp_path, "b.csv", rows(texts).encode("utf-16"))) == texts


# --- Parquet -----------------------------------------------------------------------------------------------------


def test_any_column_of_a_parquet_file_can_be_the_text(tmp_path: Path) -> None:
    import pyarrow as pa

    columns = {
        "image": pa.array([b"\xff\xd8"] * 30),
        "id": range(30),
        "story": pa.array(STORIES).dictionary_encode(),
        "tags": [["a", "b"]] * 30,
    }
    path = written(tmp_path, "a.parquet", parquet(columns))
    assert documents(path) == STORIES
    with pytest.raises(SourceError, match="row 1: the field “id” holds a number, not a text"):
        documents(path, text_field="id")


def test_what_repeats_in_a_parquet_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    import pyarrow as pa

    long = pa.array(["word " * 20_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), long)  # half a gigabyte, unpacked
    path = written(tmp_path, "a.parquet", parquet({"text": column}))
    assert path.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="holds far more than its size allows"):
            for _ in read_path(path, ReadOptions(), print, Job()):
                assert pa.total_allocated_bytes() < 50_000_000
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
