"""Chats with models, kept in the project: chats/<id>.json, one whole file each, with a format version.

A chat is a text that user and model write in turn: a turn's prompt and answer follow those before without anything
in between. With a model that was trained on conversations a turn can be a question and its answer instead.
"""

import datetime
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llm_studio import files
from llm_studio.errors import ProjectError
from llm_studio.i18n import _
from llm_studio.project import Project

VERSION = 1
MOST_TOKENS = 10_000
"""Tokens of a chat that are kept one by one, with their probabilities; older turns keep their text alone."""
MOST_ALTERNATIVES = 5
DECIMALS = 5
"""Of a probability."""
_FOLDER = "chats"
_TITLE = 60
_ID = re.compile(r"chat-[0-9]{8}-[0-9]{6}-[0-9]{6}")


@dataclass(frozen=True)
class Token:
    """One written token: the characters it completes, the model's own probability, the likeliest at its place."""

    id: int
    text: str
    probability: float
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Turn:
    """What the user wrote, with the space before it, and what the model wrote after it.

    `count` tokens were written in `seconds`; `tokens` are those same ones where they are kept. `question`: the prompt
    was asked in the form of conversations, between <|user|> and <|assistant|>, not gone on with.
    """

    prompt: str
    text: str = ""
    tokens: tuple[Token, ...] = ()
    count: int = 0
    seconds: float = 0.0
    seed: int = 0
    model: str = ""
    favourite: bool = False
    question: bool = False


@dataclass(frozen=True)
class Chat:
    """A conversation; `id` is the name of its file."""

    id: str
    turns: tuple[Turn, ...] = ()

    @property
    def text(self) -> str:
        """All that was written: as the model reads it, but for questions, which stand in paragraphs of their own."""
        return "".join(_told(turn) for turn in self.turns)

    @property
    def title(self) -> str:
        """Its beginning, in one line."""
        beginning = " ".join(self.text[: 4 * _TITLE].split())
        return beginning if len(beginning) <= _TITLE else beginning[: _TITLE - 1].rstrip() + "…"

    def followed_by(self, turn: Turn) -> "Chat":
        """This chat and one more turn."""
        return replace(self, turns=(*self.turns, turn))

    def before(self, index: int) -> "Chat":
        """This chat up to the turn at `index`, which isn't in it."""
        return replace(self, turns=self.turns[:index])

    def marked(self, index: int, favourite: bool) -> "Chat":
        """This chat with a turn made a favourite, or no longer."""
        marked = replace(self.turns[index], favourite=favourite)
        return replace(self, turns=(*self.turns[:index], marked, *self.turns[index + 1 :]))


@dataclass(frozen=True)
class Summary:
    """A chat in a list of them."""

    id: str
    title: str
    favourite: bool
    """Whether one of its answers is."""


def new() -> Chat:
    """A chat with nothing in it yet; it is on the disk once it is written."""
    return Chat(datetime.datetime.now(datetime.UTC).strftime("chat-%Y%m%d-%H%M%S-%f"))


def joined(before: str, prompt: str) -> str:
    """`prompt` with the space that it needs to follow the text `before`."""
    starts_a_word = bool(prompt) and (prompt[0].isalnum() or prompt[0] in "«“\"'‘(–—")
    ends_a_word = bool(before) and not before[-1].isspace() and before[-1] not in "«“‘(’'"
    return f" {prompt}" if starts_a_word and ends_a_word else prompt


def listed(project: Project) -> list[Summary]:
    """The chats of a project, the last written first; files that hold none are passed over."""
    folder = project.root / _FOLDER
    found: list[tuple[float, Summary]] = []
    for path in folder.glob("chat-*.json") if folder.is_dir() else ():
        try:
            chat, when = read(project, path.stem), path.stat().st_mtime
        except (ProjectError, OSError):
            continue
        found.append((when, Summary(chat.id, chat.title, any(turn.favourite for turn in chat.turns))))
    return [summary for _when, summary in sorted(found, key=lambda entry: (entry[0], entry[1].id), reverse=True)]


def newest(project: Project) -> Chat | None:
    """The chat that was written last."""
    found = listed(project)
    return read(project, found[0].id) if found else None


def read(project: Project, chat_id: str) -> Chat:
    """One chat. Raises ProjectError where it is gone or damaged, or a newer program wrote it."""
    path = _path(project, chat_id)
    record = files.read_json(path)
    if record is None:
        raise ProjectError(_("This chat is gone, or its file {path} is damaged.").format(path=path))
    version = record.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ProjectError(_("This chat was written by a newer LLM Studio."), _("Update the program."))
    try:
        return Chat(chat_id, tuple(_turn(turn) for turn in record["turns"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(_("This chat is gone, or its file {path} is damaged.").format(path=path)) from error


def write(project: Project, chat: Chat) -> Chat:
    """Keep a chat, whole. Raises BusyError, StorageError."""
    turns: list[dict[str, Any]] = []
    room = MOST_TOKENS
    for turn in reversed(chat.turns):
        room -= len(turn.tokens)
        tokens = [_packed(token) for token in turn.tokens] if room >= 0 else []
        turns.append({**asdict(replace(turn, tokens=())), "tokens": tokens})
    record = {"version": VERSION, "turns": turns[::-1]}
    with project.writing(_FOLDER):
        files.write_text(_path(project, chat.id), json.dumps(record, ensure_ascii=False) + "\n")
    return chat


def delete(project: Project, chat_id: str) -> Chat:
    """Remove a chat; what is returned can be written again, to undo it.

    Raises ProjectError, BusyError, StorageError.
    """
    chat = read(project, chat_id)
    path = _path(project, chat_id)
    with project.writing(_FOLDER), files.translate_os_errors(path):
        files.retry_while_locked(lambda: path.unlink(missing_ok=True))
    return chat


def _path(project: Project, chat_id: str) -> Path:
    if not _ID.fullmatch(chat_id):
        raise ProjectError(_("There is no chat “{name}” here.").format(name=chat_id))
    return project.root / _FOLDER / f"{chat_id}.json"


def _packed(token: Token) -> list[object]:
    others = [[text, round(p, DECIMALS)] for text, p in token.alternatives[:MOST_ALTERNATIVES]]
    return [token.id, token.text, round(token.probability, DECIMALS), others]


def _told(turn: Turn) -> str:
    return f"{turn.prompt}\n\n{turn.text}\n\n" if turn.question else turn.prompt + turn.text


def _turn(record: dict[str, Any]) -> Turn:
    tokens = tuple(
        Token(int(index), str(text), float(p), tuple((str(other), float(q)) for other, q in others))
        for index, text, p, others in record["tokens"]
    )
    return Turn(
        prompt=str(record["prompt"]), text=str(record["text"]), tokens=tokens, count=int(record["count"]),
        seconds=float(record["seconds"]), seed=int(record["seed"]), model=str(record["model"]),
        favourite=bool(record["favourite"]), question=record.get("question") is True,
    )  # fmt: skip
