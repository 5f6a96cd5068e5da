"""Texts in fields inside fields: found, named with dots, joined where they are lists, explained where they are none."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.data.sources import nested
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, left_out, parquet, written

TEXTS = ["The fox ran over the hill.", "The hen stayed at home."]
TWEETS = [{"id": n, "tweet": {"full_text": text, "lang": "en"}, "user": {"name": "A"}} for n, text in enumerate(TEXTS)]


def as_files(folder: Path, records: list[dict[str, object]]) -> list[Path]:
    columns = {name: [record.get(name) for record in records] for name in records[0]}
    return [
        written(folder, "a.jsonl", "\n".join(map(json.dumps, records))),
        written(folder, "a.json", json.dumps(records)),
        written(folder, "a.parquet", parquet(columns)),
    ]


@pytest.mark.parametrize(("records", "field"), [
    (TWEETS, "tweet.full_text"),
    ([{"message": {"text": text, "date": "2024-01-01"}} for text in TEXTS], "message.text"),
    ([{"n": 1, "text": {"value": {"content": text}}} for text in TEXTS], "text.value.content"),
    ([{"title": "T", "paragraphs": [{"text": line} for line in text.split(" fox ")]} for text in TEXTS],
     "paragraphs.text"),
])  # fmt: skip
def test_a_text_inside_other_fields_is_found(tmp_path: Path, records: list[dict[str, object]], field: str) -> None:
    for path in as_files(tmp_path, records):
        notices: list[str] = []
        found = documents(path, notices)
        assert [text.replace("\n\n", " fox ") for text in found] == TEXTS
        assert f"the field “{field}” was used" in notices[0]
        assert documents(path, text_field=field) == found
        seen = inspect_path(path, ReadOptions(), Job())
        assert seen.text_field == field and field in [column.name for column in seen.columns]


def test_a_field_with_fields_of_its_own_names_those_that_hold_texts(tmp_path: Path) -> None:
    for path in as_files(tmp_path, TWEETS):
        with pytest.raises(SourceError) as caught:
            documents(path, text_field="tweet")
        assert "the field “tweet” holds an object with fields of its own, not a text" in caught.value.what
        assert caught.value.to_do.startswith("Choose one of these with --text-field: tweet.full_text, tweet.lang")


def test_records_without_any_text_say_what_they_hold(tmp_path: Path) -> None:
    for path in as_files(tmp_path, [{"text": {"a": 1}}, {"text": {"a": 2}}]):
        with pytest.raises(SourceError, match=r"its fields are: text\.a \(1\)\."):
            documents(path)
        with pytest.raises(SourceError, match="holds an object") as caught:
            documents(path, text_field="text")
        assert caught.value.to_do.startswith("No other field of this record holds a text")


def test_lists_of_lists_are_joined_and_records_without_the_field_are_counted(tmp_path: Path) -> None:
    records = [{"a": {"lines": [["one", "two"], ["three"]]}}, {"a": None}, {"a": {"other": 1}}, {"a": {"lines": [1]}}]
    path = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, records)))
    assert documents(path) == ["one\ntwo\n\nthree"]
    assert left_out(account_of(path)) == {
        "without text": ["a.jsonl, line 2"], "without the field that holds the text": ["a.jsonl, line 3"],
        "not a text in the field that holds it": ["a.jsonl, line 4"],
    }  # fmt: skip


def test_names_with_dots_and_names_inside_others_are_kept_apart(tmp_path: Path) -> None:
    record = {"a.b": "plain", "a": {"b.c": {"d": "inner"}}}
    assert nested.value_of(record, "a.b") == "plain"
    assert nested.value_of(record, "a.b.c.d") == "inner"
    assert nested.value_of(record, "a.x") is nested.MISSING
    path = written(tmp_path, "a.parquet", parquet({"a.b": TEXTS}))
    assert documents(path) == TEXTS


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), VALUES, max_size=3))
def test_every_field_that_is_named_can_be_read(record: dict[str, object]) -> None:
    for name in nested.flatten(record):
        assert nested.value_of(record, name) is not nested.MISSING


def test_depth_and_breadth_are_bounded() -> None:
    deep: object = "text"
    for _ in range(900):
        deep = {"a": deep}
    assert list(nested.flatten({"a": deep})) == [".".join("a" * (nested.MAX_DEPTH + 1))]
    assert len(nested.flatten({"a": {str(n): n for n in range(5000)}})) <= nested.MAX_FIELDS
    endless: list[object] = []
    for _ in range(900):
        endless = [endless]
    assert nested.joined(endless, "\n") is None
