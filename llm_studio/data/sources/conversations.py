"""Conversations: how they are recognised among records, and rendered as one text each.

    <|user|>What is a cat?<|assistant|>An animal that sleeps.<|user|>And then?<|assistant|>It eats.

A system message is put before the next question, inside the user's turn. A special token in the text of a message is
written with a space in it, so that it can't be mistaken for a turn.
"""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from llm_studio.config import SPECIAL_TOKENS

END, USER, ASSISTANT = SPECIAL_TOKENS
_MARKERS = re.compile(f"({re.escape(USER)}|{re.escape(ASSISTANT)})")
_SYSTEM = "system"

_LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue")
"""Fields that hold the turns of a conversation: {"role", "content"}, or {"from", "value"} as in ShareGPT."""
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
"""Names of the question, the answer and the context of the question in well-known datasets."""
_SYSTEM_FIELDS = ("system", "system_prompt")
_Turn = tuple[str, str]


def is_conversation(record: Mapping[str, object]) -> bool:
    """Whether `record` is a conversation: turns of a user and an assistant, or a question with its answer.

    A record with a field “text” is not a conversation: it already holds the text as its author wants it.
    """
    return bool(_turns(record))


def render(record: Mapping[str, object]) -> str:
    """Render the conversation as one text. Raises ValueError where the record isn't a conversation."""
    turns = _turns(record)
    if not turns:
        raise ValueError("not a conversation")
    text, previous_role, system = "", "", ""
    for role, content in turns:
        message = escape_markers(content.strip().replace("\r\n", "\n").replace("\r", "\n"))
        if role == _SYSTEM:
            system = f"{system}\n\n{message}".strip()
            continue
        if role == USER and system:
            message, system = f"{system}\n\n{message}".strip(), ""
        text += f"\n\n{message}" if role == previous_role else role + message
        previous_role = role
    return text


def escape_markers(text: str) -> str:
    """Return `text` without anything that could be mistaken for a special token: “<|user|>” becomes “<| user|>”."""
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
    """The turns of the conversation; empty where `record` isn't one."""
    for name in _LISTS:
        turns = record.get(name)
        if isinstance(turns, Sequence) and not isinstance(turns, (str, bytes)):
            return _checked([_turn(turn) for turn in cast("Sequence[object]", turns)])
    if "text" in record:
        return []
    return _pair(record)


def _checked(turns: list[_Turn | None]) -> list[_Turn]:
    """The turns, if all are valid and both sides say something."""
    valid = [turn for turn in turns if turn is not None]
    speakers = {role for role, content in valid if content.strip()}
    return valid if len(valid) == len(turns) and {USER, ASSISTANT} <= speakers else []


def _turn(turn: object) -> _Turn | None:
    if not isinstance(turn, Mapping):
        return None
    fields = cast("Mapping[str, object]", turn)
    role = fields.get("role", fields.get("from"))
    content = _content(fields.get("content", fields.get("value")))
    known = _ROLES.get(role.lower()) if isinstance(role, str) else None
    return None if known is None or content is None else (known, content)


def _content(content: object) -> str | None:
    """The text of a message; a list of parts counts if all of them are texts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        parts = [cast("Mapping[str, object]", part).get("text") if isinstance(part, Mapping) else None
                 for part in cast("Sequence[object]", content)]  # fmt: skip
        texts = [part for part in parts if isinstance(part, str)]
        return "\n\n".join(texts) if texts and len(texts) == len(parts) else None
    return None


def _pair(record: Mapping[str, object]) -> list[_Turn]:
    for question_field, answer_field, context_field in _PAIRS:
        question, answer = record.get(question_field), record.get(answer_field)
        if isinstance(question, str) and isinstance(answer, str):
            if not question.strip() or not answer.strip():
                return []
            context = record.get(context_field) if context_field else None
            if isinstance(context, str) and context.strip():
                question = f"{question.strip()}\n\n{context.strip()}"
            system = [record[name] for name in _SYSTEM_FIELDS if isinstance(record.get(name), str)]
            return [*((_SYSTEM, str(prompt)) for prompt in system[:1]), (USER, question), (ASSISTANT, answer)]
    return []
