"""Exports of chat programs: Telegram (result.json) and Discord (JSON of DiscordChatExporter).

They are read as text, with one line per message, or, like exports of WhatsApp, as conversations in which roles replace
the names: a chat of two people gives one conversation per day. Other chats are then left out and counted.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import (
    ATTACHMENTS,
    CUT_OFF,
    EMPTY,
    GROUP_CHATS,
    NO_ANSWER,
    OTHER_SPEAKERS,
    PARTS,
    RECORDS,
    SYSTEM_LINES,
)
from llm_studio.data.sources.conversations import ASSISTANT, USER
from llm_studio.data.sources.readers.chat_texts import ChatStyle, ConversationWriter
from llm_studio.data.sources.readers.context import Context, ignore_notice
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.errors import damaged
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.json_stream import ITEM, JsonStream
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.i18n import N_
from llm_studio.jobs import Job

_HEAD = 1 << 14
_SAMPLE = 1_000_000
"""Number of characters that are read to determine who speaks."""
_TELEGRAM = re.compile(
    r'"type"\s*:\s*"(?:personal_chat|private_|public_|bot_chat|saved_messages)|"personal_information"\s*:'
)
_DISCORD = re.compile(r'"guild"\s*:\s*\{[\s\S]*"channel"\s*:\s*\{')
_OF_TWO = ("personal_chat", "bot_chat", "DirectTextChat")
_OF_MANY = re.compile("(?:private|public)_(?:super)?group|public_channel|private_channel|DirectGroupTextChat")
_SPOKEN = ("message", "Default", "Reply", "0", "19", "ThreadStarterMessage")
_FILES = ("photo", "file", "media_type", "sticker_emoji", "location_information", "contact_information", "poll")
_LISTS = ("attachments", "stickers")
_PLACE = N_("{path}, conversation {line}")


@dataclass(frozen=True)
class _Message:
    """One message: the number and the kind of its chat, the day, the author, the text, and the number of files.

    `is_spoken`: it was written by a person, not by the program.
    """

    chat: int
    kind: str
    day: str
    name: str
    text: str
    files: int
    is_spoken: bool


def is_export(item: InputFile) -> bool:
    """Whether a .json file is such an export, judging by its beginning."""
    with item.open() as stream:
        head = stream.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff").lstrip()
    return head.startswith("{") and "messages" in head and bool(_TELEGRAM.search(head) or _DISCORD.search(head))


def export_style(item: InputFile) -> ChatStyle | None:
    """The speakers of the first chat of two, or else of the first chat; only chats in which several speak count.

    None if there is no such chat.
    """
    names: dict[int, dict[str, None]] = {}
    of_two: list[int] = []
    try:
        for message in _messages(item, _silent(), _SAMPLE):
            if message.is_spoken and message.text:
                names.setdefault(message.chat, {})[message.name] = None
            if message.kind in _OF_TWO and message.chat not in of_two:
                of_two.append(message.chat)
    except SourceError:
        if not names:
            return None
    chats = [found for chat in (*of_two, *names) if len(found := names.get(chat, {})) > 1]
    return ChatStyle(tuple(chats[0])) if chats else None


def _silent() -> Context:
    return Context(ReadOptions(), ignore_notice, Job(), quick=True)


def read_export(item: InputFile, context: Context) -> Iterator[Chunk]:
    """One document per chat, with one line per message that begins with its author."""
    chat = -1
    for message in _counted(item, context):
        if chat not in (-1, message.chat):
            yield Chunk("", True)
        line = f"{message.name}: {message.text}" if message.name else message.text
        yield Chunk(f"\n{line}" if chat == message.chat else line, False)
        chat = message.chat
    yield Chunk("", True)


def read_conversations(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The chats of two people, one conversation per day."""
    account, writer = context.account, ConversationWriter()
    roles: dict[str, str] = {}
    groups: set[int] = set()
    chat, position = -1, 0
    for message in _counted(item, context):
        if _OF_MANY.match(message.kind):
            if message.chat not in groups and not (groups.add(message.chat)):
                account.leave_out(RECORDS, GROUP_CHATS, item.name)
            continue
        if message.chat != chat or message.day != writer.day:
            position += 1
            if writer.one_sided:
                account.leave_out_record(NO_ANSWER, item.name, position - 1, _PLACE)
            yield from writer.end()
            writer.day = message.day
        if message.chat != chat:
            chat, roles = message.chat, {}
        if message.name not in roles and len(roles) < 2:
            roles[message.name] = ASSISTANT if roles else USER
        if message.name in roles:
            yield from writer.say(roles[message.name], message.text)
        else:
            account.leave_out(RECORDS, OTHER_SPEAKERS, item.name)
    if writer.one_sided:
        account.leave_out_record(NO_ANSWER, item.name, position, _PLACE)
    yield from writer.end()


def _counted(item: InputFile, context: Context) -> Iterator[_Message]:
    """The messages written by people; messages of the program and files are left out and counted."""
    account, found = context.account, False
    try:
        for message in _messages(item, context):
            found = True
            for _file in range(message.files):
                account.leave_out(PARTS, ATTACHMENTS, item.name)
            if not message.is_spoken:
                account.leave_out(RECORDS, SYSTEM_LINES, item.name)
            elif message.text:
                yield message
            elif not message.files:
                account.leave_out(RECORDS, EMPTY, item.name)
    except SourceError as error:
        if not found:
            raise damaged(item.name, error.what) from error
        account.leave_out(PARTS, CUT_OFF, item.name, error.what)


def _messages(item: InputFile, context: Context, limit: int = 0) -> Iterator[_Message]:
    """The messages of all chats, or of the first `limit` characters. Raises SourceError, also for a file cut off."""
    chat, kind = 0, ""
    with open_text(item, context) as text:
        stream = JsonStream(text, context)
        if stream.next() != "{":
            return
        for path, value in stream.walk(("chats", "left_chats", "list", "messages", "channel"), ("list",)):
            if limit and stream.place > limit:
                return
            if value is ITEM:
                chat, kind = chat + 1, ""
            elif path[-1] == "type" and isinstance(value, str):
                kind = value
            elif path[-1] == "messages" and isinstance(value, dict):
                yield _message(cast("dict[str, object]", value), chat, kind)


def _message(fields: Mapping[str, object], chat: int, kind: str) -> _Message:
    author = fields.get("author")
    is_discord = isinstance(author, Mapping)
    if is_discord:
        who = cast("Mapping[str, object]", author)
        name, when, text = who.get("nickname") or who.get("name"), fields.get("timestamp"), fields.get("content")
        files = sum(len(cast("list[object]", fields[one])) for one in _LISTS if isinstance(fields.get(one), list))
    else:
        name, when, text = fields.get("from") or fields.get("from_id"), fields.get("date"), fields.get("text")
        files = int(any(one in fields for one in _FILES))
    shown = " ".join(str(name).replace(":", " ").split()) if name else ""
    return _Message(chat, kind, str(when or "")[:10], shown, _joined(text).strip(), files,
                    str(fields.get("type")) in _SPOKEN)  # fmt: skip


def _joined(value: object) -> str:
    """The text of a message; in Telegram, it is a list if it contains links or formatting."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n")
    if not isinstance(value, list):
        return ""
    parts = (cast("Mapping[str, object]", one).get("text") if isinstance(one, Mapping) else one
             for one in cast("list[object]", value))  # fmt: skip
    return "".join(part for part in parts if isinstance(part, str))
