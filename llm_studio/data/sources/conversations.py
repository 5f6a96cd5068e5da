"""Conversations: recognised among records of other kinds, and written as one text each.

    <|user|>What is a cat?<|assistant|>An animal that sleeps.<|user|>And then?<|assistant|>It eats.

What the system says stands before the next question, inside the user's turn. A special token that someone wrote in
a message is written with a space in it, so that it can't be mistaken for a turn.
"""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from llm_studio.config import SPECIAL_TOKENS

END, USER, ASSISTANT = SPECIAL_TOKENS
_MARKERS = re.compile(f"({re.escape(USER)}|{re.escape(ASSISTANT)})")
_SYSTEM = "system"

_LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue")
"""Fields that hold the turns of a conversation: {"role", "content"}, or ShareGPT's {"from", "value"}."""
_ROLES = {
    "user": USER, "human": USER, "prompter": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT, "chatgpt": ASSISTANT,
    "system": _SYSTEM, "developer": _SYSTEM,
}  # fmt: skip
_PAIRS = (
    ("instruction", "output", "input"),
    ("instruction", "response", "context"),
    ("instruction", "response", "input"),
    ("prompt", "response", None),
    ("prompt", "completion", None),
    ("question", "response", None),
    ("question", "answer", None),
)
"""Question, answer, and what the question is about, as the well-known data sets call them."""
_SYSTEMS = ("system", "system_prompt")
_Turn = tuple[str, str]


def is_conversation(record: Mapping[str, object]) -> bool:
    """Whether `record` is a conversation: turns of a user and an assistant, or a question with its answer.

    A record with a field “text” is not: there somebody has written the text as it is to be.
    """
    return bool(_turns(record))


def render(record: Mapping[str, object]) -> str:
    """The conversation as one text. Raises ValueError where the record is none."""
    turns = _turns(record)
    if not turns:
        raise ValueError("not a conversation")
    text, last, before = "", "", ""
    for role, content in turns:
        said = escape_markers(content.strip().replace("\r\n", "\n").replace("\r", "\n"))
        if role == _SYSTEM:
            before = f"{before}\n\n{said}".strip()
            continue
        if role == USER and before:
            said, before = f"{before}\n\n{said}".strip(), ""
        text += f"\n\n{said}" if role == last else role + said
        last = role
    return text


def escape_markers(text: str) -> str:
    """`text` without anything that could be mistaken for a special token: with “<| user|>” for “<|user|>”."""
    if "<|" in text:
        for token in SPECIAL_TOKENS:
            text = text.replace(token, f"<| {token[2:]}")
    return text


def split_at_markers(text: str) -> list[str]:
    """The text before the first marker, then each marker and the text after it, in turn."""
    return _MARKERS.split(text)


def without_markers(text: str) -> str:
    """The text of a conversation with a line end in place of each marker."""
    return _MARKERS.sub("\n", text)


def _turns(record: Mapping[str, object]) -> list[_Turn]:
    """Who says what; empty where `record` is no conversation."""
    for name in _LISTS:
        turns = record.get(name)
        if isinstance(turns, Sequence) and not isinstance(turns, (str, bytes)):
            return _checked([_turn(turn) for turn in cast("Sequence[object]", turns)])
    if "text" in record:
        return []
    return _pair(record)


def _checked(turns: list[_Turn | None]) -> list[_Turn]:
    """The turns, if all are understood and both sides say something."""
    known = [turn for turn in turns if turn is not None]
    said = {role for role, content in known if content.strip()}
    return known if len(known) == len(turns) and {USER, ASSISTANT} <= said else []


def _turn(turn: object) -> _Turn | None:
    if not isinstance(turn, Mapping):
        return None
    fields = cast("Mapping[str, object]", turn)
    role = fields.get("role", fields.get("from"))
    content = _content(fields.get("content", fields.get("value")))
    known = _ROLES.get(role.lower()) if isinstance(role, str) else None
    return None if known is None or content is None else (known, content)


def _content(content: object) -> str | None:
    """The text of a message, also where it is a list of parts that are all texts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        parts = [cast("Mapping[str, object]", part).get("text") if isinstance(part, Mapping) else None
                 for part in cast("Sequence[object]", content)]  # fmt: skip
        texts = [part for part in parts if isinstance(part, str)]
        return "\n\n".join(texts) if texts and len(texts) == len(parts) else None
    return None


def _pair(record: Mapping[str, object]) -> list[_Turn]:
    for question, answer, about in _PAIRS:
        asked, answered = record.get(question), record.get(answer)
        if isinstance(asked, str) and isinstance(answered, str):
            if not asked.strip() or not answered.strip():
                return []
            extra = record.get(about) if about else None
            if isinstance(extra, str) and extra.strip():
                asked = f"{asked.strip()}\n\n{extra.strip()}"
            systems = [record[name] for name in _SYSTEMS if isinstance(record.get(name), str)]
            return [*((_SYSTEM, str(said)) for said in systems[:1]), (USER, asked), (ASSISTANT, answered)]
    return []
