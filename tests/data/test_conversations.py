"""Conversations among records."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.sources import store
from llm_studio.data.sources.conversations import ASSISTANT, USER, is_conversation, render
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from tests.data.making import documents, parquet, written


def said(*turns: tuple[str, object]) -> dict[str, object]:
    return {"id": 1, "messages": [{"role": role, "content": content} for role, content in turns]}


CHAT = said(("user", " Who?\r\n"), ("assistant", "Me."), ("user", "Why?"), ("assistant", "So."))


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (CHAT, "<|user|>Who?<|assistant|>Me.<|user|>Why?<|assistant|>So."),
        (said(("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello")),
         "<|user|>Be kind.\n\nHi<|assistant|>Hello"),
        (said(("user", "a"), ("user", "b"), ("assistant", "c")), "<|user|>a\n\nb<|assistant|>c"),
        (said(("user", [{"type": "text", "text": "a"}]), ("assistant", "c")), "<|user|>a<|assistant|>c"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
         "<|user|>a<|assistant|>b"),
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, "<|user|>Add.\n\n1 2<|assistant|>3"),
        ({"instruction": "Add.", "input": "", "output": "3"}, "<|user|>Add.<|assistant|>3"),
        ({"prompt": "a", "response": "b"}, "<|user|>a<|assistant|>b"),
        ({"system_prompt": "s", "question": "a", "response": "b"}, "<|user|>s\n\na<|assistant|>b"),
    ],
)  # fmt: skip
def test_a_conversation_is_recognised_and_rendered(record: dict[str, object], text: str) -> None:
    assert is_conversation(record)
    assert render(record) == text


@pytest.mark.parametrize(
    "record",
    [
        {}, {"text": "a"}, {"messages": []}, {"messages": "hello"}, {"messages": [1, "a"]}, {"messages": None},
        said(("user", "only a question")), said(("user", "a"), ("assistant", None)), said(("user", "a"), ("tool", "b")),
        {"prompt": "a", "response": ""}, {"prompt": "a", "response": 1}, {"text": "x", "prompt": "a", "response": "b"},
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_not_taken_for_one(record: dict[str, object]) -> None:
    assert not is_conversation(record)
    with pytest.raises(ValueError, match="not a conversation"):
        render(record)


@given(st.lists(st.text(st.sampled_from("<|user>asitnedofx \n")) | st.sampled_from(SPECIAL_TOKENS), min_size=1))
def test_no_message_can_be_mistaken_for_a_turn(parts: list[str]) -> None:
    content = "x".join(parts) + "."
    text = render(said(("system", content), ("user", content), ("assistant", content)))
    assert text.count(USER) == text.count(ASSISTANT) == 1
    assert text.startswith(USER)
    assert SPECIAL_TOKENS[0] not in text


FIELDS = st.sampled_from(["role", "content", "from", "value", "text"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner)))
def test_any_json_is_recognised_or_not_without_a_fault(content: object) -> None:
    for name in ("messages", "conversations", "prompt", "text"):
        record = {name: content, "response": content}
        assert not is_conversation(record) or render(record)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return projects.new_project(tmp_path / "p", "nano", "en")


def test_a_source_of_conversations_says_so_in_its_manifest(project: Project, tmp_path: Path) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in (CHAT, CHAT, {"messages": []}))
    source = sources.add_files(project, written(tmp_path, "chat.jsonl", lines), Job())
    assert (source.conversations, source.documents) == (True, 2)
    assert source.notes == ("chat.jsonl: 1 record isn't a conversation and was skipped.",)
    assert sources.add_files(project, written(tmp_path, "a.txt", "Plain text."), Job()).conversations is False
    assert [(s.name, s.conversations) for s in store.list_sources(project.raw)] == [("a", False), ("chat", True)]


def test_a_manifest_made_before_there_were_conversations_is_read(project: Project, tmp_path: Path) -> None:
    source = sources.add_files(project, written(tmp_path, "a.txt", "Plain text."), Job())
    manifest = project.raw / "a.meta.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    del content["conversations"]
    manifest.write_text(json.dumps(content), encoding="utf-8")
    assert store.list_sources(project.raw) == [source]


def test_conversations_come_from_json_and_parquet_too(tmp_path: Path) -> None:
    expected = [render(CHAT)] * 3
    assert documents(written(tmp_path, "a.json", json.dumps([CHAT] * 3))) == expected
    assert documents(written(tmp_path, "a.parquet", parquet({"messages": [CHAT["messages"]] * 3}))) == expected
    assert documents(written(tmp_path, "b.json", json.dumps(CHAT))) == expected[:1]
    lines = json.dumps(CHAT | {"other": "a text"}) + "\n"
    assert documents(written(tmp_path, "a.jsonl", lines), text_field="messages") == expected[:1]
    assert documents(written(tmp_path, "a.jsonl", lines), text_field="other") == ["a text"]


def test_conversations_and_texts_are_not_mixed_in_one_source(tmp_path: Path) -> None:
    written(tmp_path, "in/README.md", "About this.")
    written(tmp_path, "in/train.jsonl", (json.dumps(CHAT) + "\n") * 9)
    notices: list[str] = []
    assert documents(tmp_path / "in", notices) == [render(CHAT)] * 9
    assert len(notices) == 1
    assert "README.md contains no conversations, the other files do" in notices[0]
    for n in range(50):
        written(tmp_path, f"in/{n}.txt", "A plain text, longer than all the conversations. " * 9)
    assert len(documents(tmp_path / "in", notices := [])) == 51
    assert "train.jsonl contains conversations, the other files don’t" in notices[0]
    with pytest.raises(SourceError, match="no field"):
        documents(tmp_path / "in" / "train.jsonl", text_field="ghost")
