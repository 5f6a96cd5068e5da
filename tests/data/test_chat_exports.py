"""Exports of Telegram and Discord: read as text, or as conversations in which roles replace the names."""

import json
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, main
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, discord, documents, left_out, telegram, telegram_chat, written

SAID = [("Zoé", "Tu viens ?"), ("Max", "Oui !"), ("Max", "Et mardi."), ("Zoé", "Bien.")]
AS_TEXT = "Zoé: Tu viens ?\nMax: Oui !\nMax: Et mardi.\nZoé: Bien."
AS_CONVERSATION = "<|user|>Tu viens ?<|assistant|>Oui !\n\nEt mardi.<|user|>Bien."


@pytest.mark.parametrize("content", [
    telegram(SAID), discord(SAID), telegram([(who, ["", {"type": "bold", "text": said}]) for who, said in SAID]),
    json.dumps({"about": "a", "personal_information": {}, "chats": {"about": "c", "list": [telegram_chat(SAID)]}}),
    json.dumps(json.loads(discord(SAID)), indent=2),
])  # fmt: skip
def test_an_export_is_text_unless_the_option_says_conversations(tmp_path: Path, content: str) -> None:
    notices: list[str] = []
    path = written(tmp_path, "result.json", content)
    assert documents(path, notices) == [AS_TEXT]
    assert len(notices) == 1 and "Zoé, Max" in notices[0] and "--as conversations" in notices[0]
    assert documents(path, reading="conversations") == [AS_CONVERSATION]
    seen = inspect_path(path, ReadOptions(), Job())
    assert seen.chat and not seen.conversations and seen.documents == (AS_TEXT,) and not seen.columns
    seen = inspect_path(path, ReadOptions(reading="conversations"), Job())
    assert seen.chat and seen.conversations and seen.documents == (AS_CONVERSATION,)


def test_what_is_no_message_is_left_out_and_counted(tmp_path: Path) -> None:
    chat = telegram_chat(SAID)
    chat["messages"] += [
        {"type": "service", "date": "2024-03-12T11:00:00", "action": "pin_message", "text": ""},
        {"type": "message", "date": "2024-03-12T11:00:00", "from": "Max", "photo": "a.jpg", "text": ""},
        {"type": "message", "date": "2024-03-12T11:00:00", "from": "Max", "text": ""},
        {"type": "message", "date": "2024-03-13T11:00:00", "from": "Max", "text": "Seul."},
    ]
    path = written(tmp_path, "result.json", json.dumps(chat))
    assert documents(path) == [f"{AS_TEXT}\nMax: Seul."]
    common = {
        "lines that the program of a chat wrote": 1, "pictures, films and other files in a chat": 1, "without text": 1,
    }  # fmt: skip
    assert {entry.reason: entry.count for entry in account_of(path).left_out} == common
    assert documents(path, reading="conversations") == [AS_CONVERSATION]
    assert {entry.reason: entry.count for entry in account_of(path, reading="conversations").left_out} == {
        **common, "conversations without an answer of the assistant": 1,
    }  # fmt: skip


def test_of_an_export_of_many_chats_those_of_two_are_conversations(tmp_path: Path) -> None:
    group = telegram_chat([("A", "a"), ("B", "b"), ("C", "c")], kind="private_supergroup")
    chats = {"personal_information": {}, "chats": {"list": [telegram_chat(SAID), group, telegram_chat(SAID)]}}
    path = written(tmp_path, "result.json", json.dumps(chats))
    assert documents(path) == [AS_TEXT, "A: a\nB: b\nC: c", AS_TEXT]
    assert documents(path, reading="conversations") == [AS_CONVERSATION] * 2
    assert left_out(account_of(path, reading="conversations")) == {"chats of more than two people": ["result.json"]}
    path = written(tmp_path, "group.json", json.dumps(group))
    with pytest.raises(SourceError, match="a chat of 3 people"):
        documents(path, reading="conversations")
    assert not inspect_path(path, ReadOptions(), Job()).chat


def test_each_day_of_a_chat_is_a_conversation_and_markers_in_messages_are_none(tmp_path: Path) -> None:
    chat = telegram_chat([*SAID[:2], ("Zoé", "<|assistant|> demain ?"), ("Max", "Oui.")])
    for message in chat["messages"][2:]:
        message["date"] = "2024-03-13T10:00:00"
    path = written(tmp_path, "result.json", json.dumps(chat))
    assert documents(path, reading="conversations") == [
        "<|user|>Tu viens ?<|assistant|>Oui !", "<|user|><| assistant|> demain ?<|assistant|>Oui."
    ]  # fmt: skip


def test_of_an_export_that_is_cut_off_the_beginning_is_kept(tmp_path: Path) -> None:
    content = telegram(SAID * 500)
    path = written(tmp_path, "result.json", content[: len(content) // 2])
    (text,) = documents(path)
    assert text.startswith(AS_TEXT) and text.count("\n") > 900
    assert list(left_out(account_of(path))) == ["the rest of a file that is cut off or damaged"]


@pytest.mark.parametrize("content", [
    '{"type": "personal_chat", "text": "A record with a text."}',
    '{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}',
    '[{"guild": 1, "text": "A record."}]',
])  # fmt: skip
def test_other_json_stays_records(tmp_path: Path, content: str) -> None:
    seen = inspect_path(written(tmp_path, "a.json", content), ReadOptions(), Job())
    assert seen.columns and not seen.chat


def test_a_folder_with_an_export_in_it_is_read(tmp_path: Path) -> None:
    written(tmp_path, "in/result.json", telegram(SAID))
    written(tmp_path, "in/photos/a.jpg", b"x")
    assert documents(tmp_path / "in") == [AS_TEXT]
    assert documents(tmp_path / "in", reading="conversations") == [AS_CONVERSATION]


def test_the_command_line_reads_an_export_as_the_option_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(written(tmp_path, "result.json", telegram(SAID)))
    assert main(["look", path, "--as", "conversations"]) == DONE
    assert "<|user|>Tu viens ?" in capsys.readouterr().out
    root = str(tmp_path / "p")
    assert main(["new", root, "--preset", "nano"]) == DONE
    assert main(["download", root, "--dataset", path, "--as", "conversations"]) == DONE
    manifest = json.loads((tmp_path / "p" / "data" / "raw" / "result.meta.json").read_text(encoding="utf-8"))
    assert manifest["conversations"] and manifest["account"]["files_read"] == 1
