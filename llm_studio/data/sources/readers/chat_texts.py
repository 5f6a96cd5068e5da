"""Plain texts that are chats: lines that begin with the speaker (“User: …”, “Assistant: …”), and exports of WhatsApp.

They can be read as conversations or as plain text. By default, lines with names of roles are read as conversations. A
personal chat is read as conversations only if the user chooses so, since roles then replace the names.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TextIO

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import (
    ATTACHMENTS,
    BEFORE_MESSAGES,
    NO_ANSWER,
    OTHER_SPEAKERS,
    PARTS,
    RECORDS,
    SYSTEM_LINES,
)
from llm_studio.data.sources.conversations import ASSISTANT, USER, escape_markers
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.errors import SourceError
from llm_studio.i18n import _, number

_HEAD = 1 << 14
_BLOCK = 1 << 16
_MAX_HELD = 1 << 20
"""Characters of a conversation that are held back until it is known whether both sides speak."""
_LINE = re.compile(r"[\s>#*_\[]{0,6}([^\W\d_][\w .'-]{0,24}?)[\]*_]{0,3}\s?:[*_]{0,2}(?:\s+(.*)|$)", re.DOTALL)
_ROLES = {
    **dict.fromkeys(("user", "human", "utilisateur", "utilisatrice", "humain", "question", "q", "moi", "me", "prompt",
                     "instruction", "student", "élève"), USER),
    **dict.fromkeys(("assistant", "ai", "ia", "bot", "chatbot", "chatgpt", "claude", "gpt", "gpt-4", "gemini", "answer",
                     "a", "réponse", "reponse", "r", "model", "modèle", "response"), ASSISTANT),
}  # fmt: skip
_SEPARATORS = ("---", "***", "===", "* * *", "<|endoftext|>")
_MESSAGE = re.compile(
    r"[\u200e\u200f\ufeff]*\[?(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}),?\s(?:à\s)?\d{1,2}[:.h]\d{2}(?:[:.]\d{2})?"
    r"(?:\s?[ap]\.?\s?m\.?)?\]?\s?(?:-\s)?(.*)", re.I | re.DOTALL,
)  # fmt: skip
"""A line of an export of WhatsApp: date, time, and a message of a person or of the program."""
_SPOKEN = re.compile(r"[\u200e\u200f]*([^:\n]{1,40}): ?(.*)", re.DOTALL)
_MEDIA = re.compile(
    r"[\u200e\s]*<[^<>]{3,40}>\s*$|\u200e[^\n]{3,40} (?:omitted|omise?|absente?)\s*$|\S+ \(file attached\)\s*$"
)


@dataclass(frozen=True)
class ChatStyle:
    """The style of a chat. `names`: the speakers of a personal chat; empty if the lines name roles."""

    names: tuple[str, ...] = ()


def chat_style(item: InputFile) -> ChatStyle | None:
    """The style of the chat in a text file, judging by its beginning; None if it isn't a chat."""
    with item.open() as stream:
        head = stream.read(_HEAD)
    text = (
        head.decode("utf-16", "replace") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head.decode("utf-8", "replace")
    )
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if len(head) == _HEAD:
        lines = lines[:-1]
    messages = [found for line in lines if (found := _MESSAGE.match(line))]
    if len(messages) >= 3 and len(messages) * 3 >= len(lines) and _MESSAGE.match(lines[0]):
        names = Counter(spoken[1] for found in messages if (spoken := _SPOKEN.match(found[2])))
        return ChatStyle(tuple(names)) if len(names) > 1 else None
    roles = [role for line in lines if (role := _role_of(line))]
    both = roles.count(USER) > 1 and roles.count(ASSISTANT) > 1
    return ChatStyle() if both and _role_of(lines[0]) and _alternate(roles) else None


def _role_of(line: str) -> str:
    """The role that a line names, or ""."""
    found = _LINE.match(line)
    return _ROLES.get(found[1].lower(), "") if found else ""


def _alternate(roles: list[str]) -> bool:
    changes = sum(before != after for before, after in pairwise(roles))
    return changes * 2 >= len(roles) - 1


def is_chat(item: InputFile, context: Context, style_of: Callable[[InputFile], ChatStyle | None]) -> bool:
    """Whether to read a file as conversations. Raises SourceError if that is requested but impossible."""
    reading = context.options.reading
    if reading == "text" or context.conversations is False:
        return False
    style = style_of(item)
    if style is None or len(style.names) > 2:
        if reading == "conversations":
            raise _no_chat_of_two(item, style)
        return False
    if style.names and reading != "conversations":
        if not context.quick:
            context.notice(_("{file} is a chat of {names}, which was read as text. With --as conversations it is read "
                             "as conversations, and roles replace the names.").format(
                file=item.basename, names=", ".join(style.names)))  # fmt: skip
        return False
    if not style.names and not reading and not context.quick:
        context.notice(_("{file} was read as conversations, since its lines name the speakers. With --as text it is "
                         "read as it stands.").format(file=item.basename))  # fmt: skip
    return True


def _no_chat_of_two(item: InputFile, style: ChatStyle | None) -> SourceError:
    if style is None:
        return SourceError(
            _("{path} can't be read as conversations: its lines don't begin with who speaks.").format(path=item.name),
            _("Begin each message with “User:” or “Assistant:”, or read it as text."),
        )
    return SourceError(
        _("{path} is a chat of {n} people; only those of two can be read as conversations.").format(
            path=item.name, n=number(len(style.names))
        ),
        _("Read it as text."),
    )


def read_chat(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The conversations of a chat: one per day of a personal chat, otherwise those between separators."""
    style = chat_style(item) or ChatStyle()
    account, writer = context.account, ConversationWriter()
    position = 0
    with open_text(item, context) as stream:
        for day, role, text in _messages(stream, context, style, item):
            if role == _NEW or (style.names and day != writer.day):
                position += 1
                if writer.one_sided:
                    account.leave_out_record(NO_ANSWER, item.name, position, _("{path}, conversation {line}"))
                yield from writer.end()
                writer.day = day
            if role == _NEW:
                continue
            if role or writer.has_begun:
                yield from writer.say(role, text)
            elif text.strip():
                account.leave_out(RECORDS, BEFORE_MESSAGES, item.name)
    if writer.one_sided:
        account.leave_out_record(NO_ANSWER, item.name, position + 1, _("{path}, conversation {line}"))
    yield from writer.end()


_NEW = "new"


def _messages(stream: TextIO, context: Context, style: ChatStyle, item: InputFile) -> Iterator[tuple[str, str, str]]:
    """The day, role and text of each line; the role is "" if it continues the previous message, _NEW at a separator."""
    roles = dict(zip(style.names, (USER, ASSISTANT), strict=False))
    day, heard = "", True
    while line := stream.readline(_BLOCK):
        context.job.check()
        if not style.names:
            if line.strip() in _SEPARATORS:
                yield day, _NEW, ""
            elif role := _role_of(line):
                found = _LINE.match(line)
                yield day, role, (found[2] or "") if found else line
            else:
                yield day, "", line
            continue
        message = _MESSAGE.match(line)
        if message is None:
            if heard:
                yield day, "", line
            continue
        spoken = _SPOKEN.match(message[2])
        day, heard = message[1], bool(spoken) and spoken[1] in roles and not _MEDIA.match(spoken[2])
        if heard and spoken:
            yield day, roles[spoken[1]], spoken[2]
        else:
            reason = SYSTEM_LINES if not spoken else ATTACHMENTS if spoken[1] in roles else OTHER_SPEAKERS
            context.account.leave_out(PARTS if reason == ATTACHMENTS else RECORDS, reason, item.name)


class ConversationWriter:
    """Writes conversations message by message. One in which only one side speaks is dropped unless it is long."""

    def __init__(self) -> None:
        self.day = ""
        self._parts: list[str] = []
        self._length = 0
        self._role = ""
        self._spoke: set[str] = set()
        self._begun = False

    @property
    def has_begun(self) -> bool:
        """Whether the conversation has a message."""
        return bool(self._role)

    @property
    def one_sided(self) -> bool:
        """Whether the conversation is held back because only one side has spoken so far."""
        return len(self._spoke) == 1 and not self._begun

    def say(self, role: str, text: str) -> Iterator[Chunk]:
        """Add a line; without a role, it continues the previous message. Yields what needn't be held back."""
        text = escape_markers(text)
        if role:
            self._trim()
            self._parts.append(f"\n\n{text.lstrip()}" if role == self._role else role + text.lstrip())
            self._role = role
            self._spoke.add(role)
        else:
            self._parts.append(text)
        self._length += len(text)
        if self._length > _MAX_HELD:
            *ready, last = self._parts
            yield Chunk("".join(ready), False)
            self._parts, self._length, self._begun = [last], len(last), True

    def end(self) -> Iterator[Chunk]:
        """End the conversation. Yields the rest of it, unless it is dropped."""
        self._trim()
        if self._begun or len(self._spoke) > 1:
            yield Chunk("".join(self._parts), True)
        self._parts, self._length, self._role, self._begun = [], 0, "", False
        self._spoke = set()

    def _trim(self) -> None:
        """Remove the white space at the end of a message."""
        while self._parts:
            self._parts[-1] = self._parts[-1].rstrip()
            if self._parts[-1]:
                return
            self._parts.pop()
