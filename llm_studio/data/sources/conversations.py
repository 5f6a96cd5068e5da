"""Conversations: recognizing them among records, and rendering each as one text.

    <|user|>What is a cat?<|assistant|>An animal that sleeps.<|user|>And then?<|assistant|>It eats.

A system message is put before the next question, inside the user's turn. A special token in the text of a message is
written with a space in it, so that it can't be mistaken for the start of a turn.
"""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.sources.account import NO_ANSWER, NOT_ONLY_TEXT

END, USER, ASSISTANT = SPECIAL_TOKENS
_MARKERS = re.compile(f"({re.escape(USER)}|{re.escape(ASSISTANT)})")
_SYSTEM = "system"

_LISTS = (
    "messages",
    "conversations",
    "conversation",
    "dialog",
    "dialogue",
    "chat_messages",
    "contents",
    "turns",
    "chat",
)
"""Fields that hold the turns of a conversation: {"role", "content"}, {"from", "value"} as in ShareGPT,
{"sender", "text"} as in exports of Claude, {"role", "parts"} as in those of Gemini."""
_TREE = "mapping"
"""The field of ChatGPT exports that holds the messages as a tree, each with its parent."""
_ROLES = {
    "user": USER, "human": USER, "prompter": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "bot": ASSISTANT, "model": ASSISTANT, "chatgpt": ASSISTANT,
    "ai": ASSISTANT, "system": _SYSTEM, "developer": _SYSTEM,
}  # fmt: skip
_PAIRS = (
    ("instruction", "output", "input"),
    ("instruction", "response", "context"),
    ("instruction", "response", "input"),
    ("prompt", "response", None),
    ("prompt", "completion", None),
    ("prompt", "chosen", None),
    ("question", "chosen", None),
    ("question", "response", None),
    ("question", "answer", "context"),
    ("question", "answers", "context"),
    ("input", "output", None),
    ("query", "response", None),
)
"""Field names of the question, the answer and the context of the question in well-known datasets."""
_SYSTEM_FIELDS = ("system", "system_prompt")
_Turn = tuple[str, str]


def is_conversation(record: Mapping[str, object]) -> bool:
    """Whether `record` is a conversation: turns of a user and an assistant, or a question with its answer.

    A record with a field “text” and no list of turns isn't one: it already holds the text as its author wants it.
    """
    return bool(_turns(record))


def why_not(record: Mapping[str, object]) -> str:
    """Why a record with turns isn't a conversation, as an untranslated message; "" if it has no readable turn."""
    turns = _listed(record)
    if not turns:
        return ""
    known = [_turn(turn) for turn in turns]
    if any(turn is None for turn in known):
        return NOT_ONLY_TEXT if any(turn is not None for turn in known) else ""
    return NO_ANSWER


def is_message(record: Mapping[str, object]) -> bool:
    """Whether `record` is a single message of a conversation."""
    return bool({"role", "from", "sender"} & record.keys()) and _turn(record) is not None


def render(record: Mapping[str, object]) -> str:
    """Render the conversation as one text. Raises ValueError if the record isn't a conversation."""
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
    """Return `text` with a space in each special token: “<|user|>” becomes “<| user|>”."""
    if "<|" in text:
        for token in SPECIAL_TOKENS:
            text = text.replace(token, f"<| {token[2:]}")
    return text


def split_at_markers(text: str) -> list[str]:
    """Split `text` into the text before the first marker, then each marker followed by the text after it."""
    return _MARKERS.split(text)


def without_markers(text: str) -> str:
    """The text of a conversation with a line break in place of each marker."""
    return _MARKERS.sub("\n", text)


def _turns(record: Mapping[str, object]) -> list[_Turn]:
    """The turns of the conversation; empty if `record` isn't one."""
    turns = _listed(record)
    if turns is not None:
        return _checked([_turn(turn) for turn in turns])
    if "text" in record:
        return []
    return _pair(record)


def _listed(record: Mapping[str, object]) -> Sequence[object] | None:
    """The turns of a record that holds a list or a tree of them; otherwise None."""
    for name in _LISTS:
        turns = record.get(name)
        if _is_list(turns):
            return [turn for turn in cast("Sequence[object]", turns) if not _is_empty_system(turn)]
    tree = record.get(_TREE)
    return (
        _branch(cast("Mapping[str, object]", tree), record.get("current_node")) if isinstance(tree, Mapping) else None
    )


def _branch(tree: Mapping[str, object], last: object) -> list[object]:
    """The messages from the first one to `last`, the newest of the displayed branch, without hidden ones."""
    if not isinstance(last, str) or last not in tree:
        last = next(reversed(list(tree)), "")
    found: list[object] = []
    seen: set[object] = set()
    while isinstance(last, str) and last in tree and last not in seen:
        seen.add(last)
        node = tree[last]
        if not isinstance(node, Mapping):
            break
        node = cast("Mapping[str, object]", node)
        message = node.get("message")
        if isinstance(message, Mapping) and not _is_hidden(cast("Mapping[str, object]", message)):
            found.append(cast("object", message))
        last = node.get("parent")
    return found[::-1]


def _is_hidden(message: Mapping[str, object]) -> bool:
    """Whether a ChatGPT message was never displayed: an empty one, one to or from a tool, or a system message."""
    metadata, recipient = message.get("metadata"), message.get("recipient", "all")
    if isinstance(metadata, Mapping) and cast("Mapping[str, object]", metadata).get(
        "is_visually_hidden_from_conversation"
    ):
        return True
    return recipient != "all" or _role(message) in ("tool", "system") or _content(message.get("content")) == ""


def _is_empty_system(turn: object) -> bool:
    return isinstance(turn, Mapping) and _role(cast("Mapping[str, object]", turn)) == _SYSTEM and not _content(
        cast("Mapping[str, object]", turn).get("content"))  # fmt: skip


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _checked(turns: list[_Turn | None]) -> list[_Turn]:
    """The turns if all are valid and both sides have text; otherwise an empty list."""
    valid = [turn for turn in turns if turn is not None]
    speakers = {role for role, content in valid if content.strip()}
    return valid if len(valid) == len(turns) and {USER, ASSISTANT} <= speakers else []


def _turn(turn: object) -> _Turn | None:
    if not isinstance(turn, Mapping):
        return None
    fields = cast("Mapping[str, object]", turn)
    content = None
    for name in ("content", "value", "parts", "text"):
        if content is None and name in fields:
            content = _content(fields[name])
    known = _ROLES.get(_role(fields))
    return None if known is None or content is None else (known, content)


def _role(fields: Mapping[str, object]) -> str:
    """The role of the speaker in lower case; "" if unknown."""
    author = fields.get("author")
    role = fields.get("role", fields.get("from", fields.get("sender")))
    if role is None and isinstance(author, Mapping):
        role = cast("Mapping[str, object]", author).get("role")
    return role.lower() if isinstance(role, str) else ""


def _content(content: object) -> str | None:
    """The text of a message, or of a list of parts if all are texts; otherwise None."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):  # {"content_type": "text", "parts": [...]} of ChatGPT
        fields = cast("Mapping[str, object]", content)
        return _content(fields.get("parts", fields.get("text")))
    if _is_list(content):
        parts = [_content(cast("Mapping[str, object]", part).get("text")) if isinstance(part, Mapping) else part
                 for part in cast("Sequence[object]", content)]  # fmt: skip
        texts = [part for part in parts if isinstance(part, str)]
        return "\n\n".join(texts) if texts and len(texts) == len(parts) else None
    return None


def _pair(record: Mapping[str, object]) -> list[_Turn]:
    for question_field, answer_field, context_field in _PAIRS:
        question, answer = record.get(question_field), _answer(record.get(answer_field))
        if isinstance(answer, list):  # the preferred messages, with or without those before them
            if any(role == USER for role, _text in answer):
                return answer
            answer = answer[-1][1] if answer else None
        if isinstance(question, str) and isinstance(answer, str):
            if not question.strip() or not answer.strip():
                return []
            context = record.get(context_field) if context_field else None
            if isinstance(context, str) and context.strip():
                question = f"{question.strip()}\n\n{context.strip()}"
            system = [record[name] for name in _SYSTEM_FIELDS if isinstance(record.get(name), str)]
            return [*((_SYSTEM, str(prompt)) for prompt in system[:1]), (USER, question), (ASSISTANT, answer)]
    return []


def _answer(value: object) -> str | list[_Turn] | None:
    """The answer of a pair: a text, the first of several, {"text": [...]} as in SQuAD, or messages."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, object]", value).get("text")
    if not _is_list(value):
        return value if isinstance(value, str) else None
    values = cast("Sequence[object]", value)
    turns = _checked_side([_turn(one) for one in values])
    if turns:
        return turns
    first = values[0] if values else None
    if isinstance(first, Mapping):
        first = cast("Mapping[str, object]", first).get("text")
    return first if isinstance(first, str) else None


def _checked_side(turns: list[_Turn | None]) -> list[_Turn]:
    """The turns if all are valid and the last one is the assistant's; otherwise an empty list."""
    valid = [turn for turn in turns if turn is not None]
    return valid if valid and len(valid) == len(turns) and valid[-1][0] == ASSISTANT else []
