"""Chats: exports, datasets, plain texts with speakers, WhatsApp. They are recognised, and shown before taken."""

import json
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, main
from llm_studio.data.sources.readers import chat_texts
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, left_out, parquet, written

QA = "<|user|>Why?<|assistant|>So."


def node(name: str, parent: str | None, role: str, text: str, **more: object) -> dict[str, object]:
    message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}, **more}
    return {"id": name, "parent": parent, "message": message}


TREE = {
    "r": {"id": "r", "message": None, "parent": None},
    "s": node("s", "r", "system", ""),
    "q": node("q", "s", "user", "Why?"),
    "x": node("x", "q", "assistant", "An answer that was asked for again."),
    "t": node("t", "q", "assistant", "search()", recipient="browser"),
    "u": node("u", "t", "tool", "results"),
    "a": node("a", "u", "assistant", "So."),
}
RECORDS: dict[str, object] = {
    "ChatGPT": {"title": "A title", "mapping": TREE, "current_node": "a"},
    "Claude": {"uuid": "1", "name": "t", "chat_messages": [
        {"sender": "human", "text": "Why?"}, {"sender": "assistant", "text": "", "content": [
            {"type": "text", "text": "So."}]}]},
    "OpenAI": {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]},
    "Gemini": {"contents": [{"role": "user", "parts": [{"text": "Why?"}]},
                            {"role": "model", "parts": [{"text": "So."}]}]},
    "Alpaca": {"instruction": "Why?", "input": "", "output": "So."},
    "ShareGPT": {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
    "Dolly": {"instruction": "Why?", "context": "", "response": "So.", "category": "x"},
    "DPO": {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
    "DPO, messages": {"prompt": "Why?", "chosen": [{"role": "user", "content": "Why?"},
                                                   {"role": "assistant", "content": "So."}], "rejected": []},
    "SQuAD": {"title": "T", "context": "", "question": "Why?",
              "answers": {"text": ["So.", "so"], "answer_start": [1, 2]}},
    "input/output": {"input": "Why?", "output": "So."},
    "a list of messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_well_known_records_are_conversations(tmp_path: Path, name: str) -> None:
    record = RECORDS[name]
    assert documents(written(tmp_path, "a.jsonl", f"{json.dumps(record)}\n" * 3)) == [QA] * 3
    assert documents(written(tmp_path, "a.json", json.dumps([record] * 3))) == [QA] * 3
    seen = inspect_path(tmp_path / "a.json", ReadOptions(), Job())
    assert seen.conversations and seen.documents == (QA,) * 3


def test_messages_side_by_side_are_one_conversation(tmp_path: Path) -> None:
    messages = json.dumps(RECORDS["a list of messages"])
    assert documents(written(tmp_path, "a.json", messages)) == [QA]


def test_an_article_of_squad_is_a_conversation_for_each_question(tmp_path: Path) -> None:
    article = {"title": "T", "paragraphs": [{"context": "A fox ran.", "qas": [
        {"question": "Who ran?", "answers": [{"text": "A fox", "answer_start": 0}]},
        {"question": "What did it do?", "answers": [{"text": "It ran", "answer_start": 2}]}]}]}  # fmt: skip
    assert documents(written(tmp_path, "a.json", json.dumps({"version": "1.1", "data": [article]}))) == [
        "<|user|>Who ran?\n\nA fox ran.<|assistant|>A fox", "<|user|>What did it do?\n\nA fox ran.<|assistant|>It ran"
    ]  # fmt: skip


def test_conversations_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    one_sided = {"messages": [{"role": "user", "content": "Hello?"}]}
    with pytest.raises(SourceError, match="conversations without an answer of the assistant only"):
        documents(written(tmp_path, "a.jsonl", json.dumps(one_sided)))
    tool = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": []}]}
    lines = [
        json.dumps(record) for record in (RECORDS["OpenAI"], one_sided, tool, RECORDS["OpenAI"], RECORDS["OpenAI"])
    ]
    path = written(tmp_path, "b.jsonl", "\n".join(lines))
    assert documents(path) == [QA] * 3
    assert left_out(account_of(path)) == {
        "conversations without an answer of the assistant": ["b.jsonl, line 2"],
        "conversations with tool calls, pictures or other parts that aren’t text": ["b.jsonl, line 3"],
    }


def test_an_object_of_texts_is_read_as_its_values(tmp_path: Path) -> None:
    for content in (
        {"1": "first long text", "2": "second long text"},
        {"one": {"content": "first long text"}, "two": {"content": "second long text"}},
        {"tales": ["first long text"], "poems": ["second long text"]},
    ):
        path = written(tmp_path, "a.json", json.dumps(content))
        assert documents(path) == ["first long text", "second long text"]
    assert documents(written(tmp_path, "b.json", '{"title": "A fox", "story": "The fox ran away."}')) == [
        "The fox ran away."
    ]


def test_a_column_of_lists_is_joined_and_one_of_structs_explained(tmp_path: Path) -> None:
    path = written(tmp_path, "a.parquet", parquet({"text": [["para one", "para two"], ["para three"]]}))
    assert documents(path) == ["para one\n\npara two", "para three"]
    with pytest.raises(SourceError, match=r"No field of .* contains text"):
        documents(written(tmp_path, "b.parquet", parquet({"text": [{"a": 1}, {"a": 2}]})))
    with pytest.raises(SourceError, match="holds an object with fields of its own, not a text"):
        documents(tmp_path / "b.parquet", text_field="text")


# --- Plain texts ---------------------------------------------------------------------------------------------------

TALK = "User: Why is the sky\nblue?\n\nAssistant: Light is scattered.\n\nIt is.\nUser: And red?\nAssistant: At dusk.\n"
READ = ["<|user|>Why is the sky\nblue?<|assistant|>Light is scattered.\n\nIt is.<|user|>And red?<|assistant|>At dusk."]


@pytest.mark.parametrize("text", [
    TALK, TALK.replace("User", "**User**").replace("Assistant", "**Assistant**"),
    TALK.replace("User", "### Human").replace("Assistant", "### AI"),
    TALK.replace("User", "Q").replace("Assistant", "A"),
    TALK.replace("User", "Question").replace("Assistant", "Réponse"),
])  # fmt: skip
def test_a_text_of_user_and_assistant_is_a_conversation(tmp_path: Path, text: str) -> None:
    notices: list[str] = []
    path = written(tmp_path, "a.txt", text)
    assert documents(path, notices) == READ
    assert len(notices) == 1 and "--as text" in notices[0]
    assert documents(path, reading="text") == [text]
    seen = inspect_path(path, ReadOptions(), Job())
    assert seen.chat and seen.conversations and seen.documents == tuple(READ)


def test_what_stands_before_the_first_message_of_a_conversation_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", f"{TALK}---\n\nA remark.\n{TALK}")
    assert documents(path) == READ * 2
    assert left_out(account_of(path)) == {"lines before the first message of a conversation": ["a.txt"]}


def test_a_long_conversation_is_not_held_until_the_other_side_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_texts, "_MAX_HELD", 100)
    monkeypatch.setattr(chat_texts, "_HEAD", 2 * len(TALK))
    path = written(tmp_path, "a.txt", f"{TALK}---\n{TALK}---\n" + "User: more\n" * 100 + "---\nUser: short\n")
    long = "<|user|>" + "\n\n".join(["more"] * 100)
    assert documents(path) == [*READ, *READ, long]
    assert left_out(account_of(path)) == {"conversations without an answer of the assistant": ["a.txt, conversation 4"]}


@pytest.mark.parametrize("text", [
    "A story: once upon a time.\nQ: who?\n" * 5, "HAMLET: To be.\nOPHELIA: My lord.\n" * 9,
    "User: a\nUser: b\nAnswer: c\n",
    "Note: this.\nWarning: that.\n" * 5, "", "plain words",
])  # fmt: skip
def test_other_texts_with_colons_stay_texts(tmp_path: Path, text: str) -> None:
    if text:
        assert documents(written(tmp_path, "a.txt", text)) == [text]


def test_a_chat_in_a_folder_of_texts_is_read_as_text_and_a_folder_of_chats_as_conversations(tmp_path: Path) -> None:
    for n in range(9):
        written(tmp_path, f"prose/{n}.txt", "Once upon a time, a fox ran over the hill. " * 9)
    written(tmp_path, "prose/talk.txt", TALK)
    assert documents(tmp_path / "prose")[-1] == TALK
    for n in range(3):
        written(tmp_path, f"chats/{n}.txt", TALK)
    assert documents(tmp_path / "chats") == READ * 3


WHATSAPP = """\u200e[12/03/2024, 21:45:01] Messages and calls are end-to-end encrypted.
[12/03/2024, 21:45:12] Zoé: Tu viens demain ?
[12/03/2024, 21:46:00] Max: Oui !
et mardi aussi
[12/03/2024, 21:46:09] Max: \u200eimage omitted
[13/03/2024, 08:00:00] Zoé: Bonjour
[14/03/2024, 09:00:00] Zoé: Tu es là ?
[14/03/2024, 09:00:05] Max: <Media omitted>
[14/03/2024, 09:01:00] Max: Me voilà
"""
ANDROID = WHATSAPP.replace("[", "").replace("] ", " - ")


@pytest.mark.parametrize("text", [WHATSAPP, ANDROID])
def test_whatsapp_is_text_unless_the_option_says_conversations(tmp_path: Path, text: str) -> None:
    notices: list[str] = []
    path = written(tmp_path, "a.txt", text)
    assert documents(path, notices) == [text]
    assert len(notices) == 1 and "Zoé, Max" in notices[0] and "--as conversations" in notices[0]
    assert documents(path, reading="conversations") == [
        "<|user|>Tu viens demain ?<|assistant|>Oui !\net mardi aussi", "<|user|>Tu es là ?<|assistant|>Me voilà"
    ]  # fmt: skip
    found = account_of(path, reading="conversations")
    counts = {entry.reason: entry.count for entry in found.left_out}
    assert counts == {
        "lines that the program of a chat wrote": 1, "pictures, films and other files in a chat": 2,
        "conversations without an answer of the assistant": 1,
    }  # fmt: skip


def test_what_is_no_chat_of_two_cannot_be_read_as_conversations(tmp_path: Path) -> None:
    third = WHATSAPP + "[14/03/2024, 09:02:00] Eva: Coucou\n"
    with pytest.raises(SourceError, match="a chat of 3 people"):
        documents(written(tmp_path, "a.txt", third), reading="conversations")
    with pytest.raises(SourceError, match="don't begin with who speaks"):
        documents(written(tmp_path, "b.txt", "Plain words."), reading="conversations")


def test_the_command_line_reads_a_chat_as_the_option_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(written(tmp_path, "a.txt", WHATSAPP))
    assert main(["look", path, "--as", "conversations"]) == DONE
    shown = capsys.readouterr().out
    assert "<|user|>Tu viens demain" in shown and f"download DIR --dataset {path} --as conversations" in shown
    root = str(tmp_path / "p")
    assert main(["new", root, "--preset", "nano"]) == DONE
    assert main(["download", root, "--dataset", path, "--as", "conversations"]) == DONE
    manifest = json.loads((tmp_path / "p" / "data" / "raw" / "a.meta.json").read_text(encoding="utf-8"))
    assert manifest["conversations"] and manifest["options"]["reading"] == "conversations"
