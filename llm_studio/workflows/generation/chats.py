"""Chats with models, saved in the project: chats/<id>.json, one file each, written atomically, with a format version.

In a chat, the user and the model write texts in turn. A turn's prompt and answer continue the previous ones directly,
unless the prompt starts with an empty line: it then starts a new text, and the model doesn't read the earlier ones.
With a model that was trained on conversations, a turn can be a question and its answer instead.
"""

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from llm_studio import files, records
from llm_studio.errors import NewerRecordError, ProjectError, RecordError
from llm_studio.i18n import _
from llm_studio.project import Project
from llm_studio.records import Amount, Count
from llm_studio.workflows.generation.version_tree import UNKNOWN, Node, Token, VersionTree

__all__ = ["UNKNOWN", "Chat", "Summary", "Token", "Turn", "VersionTree"]

VERSION = 1
MOST_TOKENS = 10_000
"""Number of tokens of a chat that are saved one by one, with their probabilities. Older turns keep only their text, and
a turn with more tokens than that keeps its newest versions."""
NEW_TEXT = "\n\n"
"""The start of a prompt that begins a new text."""
LIMIT, FINISHED, ENDED, STOPPED = "limit", "finished", "ended", "stopped"
"""How an answer ended: it reached the maximum length, the model ended the text, the model ended it at once, or a stop
string occurred."""
REPEATED, PROMPT_CUT = "repeated", "prompt cut"
"""Further notes: the answer ends in a loop; the model could read only the end of the preceding text."""
_REPEATED_TOKENS, _LONGEST_LOOP = 40, 8
"""An answer is REPEATED if its last tokens, at least this many, repeat a cycle of at most this length."""
MOST_ALTERNATIVES = 5
_DIGITS = 5
"""Significant digits of a saved probability."""
_FOLDER = "chats"
_TITLE = 60
_ID = re.compile(r"chat-[0-9]{8}-[0-9]{6}-[0-9]{6}")


def _token(value: object) -> Token:
    """The inverse of `_packed`."""
    return Token(*_read_token(value))


_read_token = records.reader(tuple[int, str, Amount, tuple[tuple[str, Amount], ...]])


@dataclass(frozen=True)
class _StoredTree:
    """Versions as stored in the file."""

    nodes: list[tuple[int, Annotated[Token, _token] | None, tuple[str, ...]]]
    current: Count


def _tree(value: object) -> VersionTree:
    """The versions of a turn. Raises Misfit where a node isn't after its parent."""
    found = records.decode(value, _StoredTree)
    nodes = [Node(*node) for node in found.nodes]
    well_formed = all(node.token and 0 <= node.parent < index for index, node in enumerate(nodes) if index)
    if not well_formed or found.current >= len(nodes) or nodes[0].token:
        raise records.Misfit(value)
    return VersionTree(tuple(nodes), found.current)


@dataclass(frozen=True)
class Turn:
    """What the user wrote, with the space before it, and the text that the model generated after it.

    `count` tokens were generated in `seconds` (0 if some were chosen by hand); `tokens` are those tokens, if saved.
    `question`: the prompt is a question between <|user|> and <|assistant|>, not a text to continue. `notes`: LIMIT and
    the like. `versions`: all versions of the text, or None if there is only this one.
    """

    prompt: str
    text: str = ""
    tokens: tuple[Annotated[Token, _token], ...] = ()
    count: Count = 0
    seconds: Amount = 0.0
    seed: int = 0
    model: str = ""
    favourite: bool = False
    question: bool = False
    notes: tuple[str, ...] = ()
    versions: Annotated[VersionTree, _tree] | None = None

    @property
    def tree(self) -> VersionTree:
        """All versions of its text; the current one is `text`."""
        if self.versions is not None:
            return self.versions
        known = self.tokens or ((Token(UNKNOWN, self.text, 1.0),) if self.text else ())
        return VersionTree.of(known, self.notes)

    def cut(self, count: int) -> "Turn":
        """This turn with only the first `count` tokens of its text, which stays among its versions."""
        return self.with_tree(self.tree.at(self.tree.node_after(count)))

    def with_tree(self, tree: VersionTree) -> "Turn":
        """This turn with the current version of `tree` as its text; the time it took is unknown."""
        tokens = tree.tokens()
        return replace(
            self, text="".join(token.text for token in tokens), tokens=tokens, count=len(tokens), notes=tree.notes,
            seconds=self.seconds if tokens == self.tokens else 0.0,
            versions=tree if len(tree.leaves) > 1 or tree.children[tree.current] else None,
        )  # fmt: skip


@dataclass(frozen=True)
class Chat:
    """A chat; `id` is the name of its file."""

    id: str
    turns: tuple[Turn, ...] = ()

    @property
    def text(self) -> str:
        """The whole text as the model reads it, except that questions and answers are separate paragraphs."""
        return "".join(_text(turn) for turn in self.turns)

    @property
    def title(self) -> str:
        """The start of its text, in one line."""
        beginning = " ".join(self.text[: 4 * _TITLE].split())
        return beginning if len(beginning) <= _TITLE else beginning[: _TITLE - 1].rstrip() + "…"

    @property
    def last(self) -> Turn | None:
        """The last turn."""
        return self.turns[-1] if self.turns else None

    def followed_by(self, turn: Turn) -> "Chat":
        """This chat with one more turn."""
        return replace(self, turns=(*self.turns, turn))

    def before(self, index: int) -> "Chat":
        """This chat up to the turn at `index`, excluded."""
        return replace(self, turns=self.turns[:index])

    def up_to(self, index: int) -> "Chat":
        """This chat before the turn at `index`, to generate that turn again as a new chat; the original is
        unchanged."""
        return self.before(index) if index >= len(self.turns) - 1 else Chat(new().id, self.turns[:index])

    def marked(self, index: int, favourite: bool) -> "Chat":
        """This chat with a turn marked as a favourite, or unmarked."""
        marked = replace(self.turns[index], favourite=favourite)
        return replace(self, turns=(*self.turns[:index], marked, *self.turns[index + 1 :]))


@dataclass(frozen=True)
class Summary:
    """A chat in a list of them."""

    id: str
    title: str
    favourite: bool
    """Whether one of its answers is a favourite."""
    readable: bool = True


def new() -> Chat:
    """An empty chat; it isn't on the disk until it is written."""
    return Chat(datetime.datetime.now(datetime.UTC).strftime("chat-%Y%m%d-%H%M%S-%f"))


def context(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns that the model reads: the last text, from its first turn on."""
    for index in range(len(turns) - 1, 0, -1):
        turn = turns[index]
        if turn.prompt.startswith(NEW_TEXT) and not turn.question:
            return (replace(turn, prompt=turn.prompt.removeprefix(NEW_TEXT)), *turns[index + 1 :])
    return tuple(turns)


def repeats(ids: Sequence[int]) -> bool:
    """Whether a text ends in a repeating cycle of one or a few tokens."""
    end = list(ids[-_REPEATED_TOKENS:])
    return len(end) == _REPEATED_TOKENS and any(end[loop:] == end[:-loop] for loop in range(1, _LONGEST_LOOP + 1))


def joined(before: str, prompt: str) -> str:
    """`prompt` with the space it needs after the text `before`."""
    starts_a_word = bool(prompt) and (prompt[0].isalnum() or prompt[0] in "«“\"'‘(–—")
    ends_a_word = bool(before) and not before[-1].isspace() and before[-1] not in "«“‘(’'"
    return f" {prompt}" if starts_a_word and ends_a_word else prompt


@dataclass(frozen=True)
class Listing:
    """The chats of a project, most recently saved first, and the names of files that can't be read."""

    chats: list[Summary]
    unreadable: list[str]


def listed(project: Project) -> list[Summary]:
    """The chats of a project, most recently saved first; the title of an unreadable chat says so."""
    folder = project.root / _FOLDER
    found: list[tuple[float, Summary]] = []
    for path in folder.glob("chat-*.json") if folder.is_dir() else ():
        if not _ID.fullmatch(path.stem):
            continue
        try:
            chat, when = read(project, path.stem), path.stat().st_mtime
        except ProjectError:
            title = _("{file} can't be read").format(file=path.name)
            found.append((0.0, Summary(path.stem, title, False, readable=False)))
        except OSError:  # deleted meanwhile
            continue
        else:
            found.append((when, Summary(chat.id, chat.title, any(turn.favourite for turn in chat.turns))))
    return [summary for _when, summary in sorted(found, key=lambda entry: (entry[0], entry[1].id), reverse=True)]


def scan(project: Project) -> Listing:
    """All chats of a project."""
    found = listed(project)
    return Listing(found, [f"{chat.id}.json" for chat in found if not chat.readable])


def newest(project: Project) -> Chat | None:
    """The most recently saved chat that can be read, or None."""
    found = [chat for chat in listed(project) if chat.readable]
    return read(project, found[0].id) if found else None


def read(project: Project, chat_id: str) -> Chat:
    """Read one chat. Raises ProjectError if it is gone or damaged, or was written by a newer version."""
    path = _path(project, chat_id)
    try:
        chat = records.read(path, Chat, newest=VERSION, most=records.MOST_BYTES_OF_MANY, known={"id": chat_id})
    except NewerRecordError as error:
        raise ProjectError(_("This chat was written by a newer LLM Studio."), error.to_do) from error
    except RecordError as error:
        raise ProjectError(error.what, error.to_do) from error
    if chat is None:
        raise ProjectError(_("This chat is gone: {path}.").format(path=path))
    return chat


def write(project: Project, chat: Chat) -> Chat:
    """Save a chat; one without turns is deleted instead. Raises BusyError, StorageError."""
    turns: list[dict[str, Any]] = []
    left = MOST_TOKENS
    for turn in reversed(chat.turns):
        record = _turn_record(turn, left)
        turns.append(record)
        left -= len(record["versions"]["nodes"] if "versions" in record else record["tokens"])
    record = {"version": VERSION, "turns": turns[::-1]}
    path = _path(project, chat.id)
    with project.writing(_FOLDER):
        if chat.turns:
            files.write_text(path, json.dumps(record, ensure_ascii=False) + "\n")
        else:
            _unlink(path)
    return chat


def save_as(chat: Chat, path: Path, pages: bytes | None = None) -> Path:
    """Save the text of a chat as a text file, or `pages` as they are. Raises StorageError."""
    content = (chat.text.strip() + "\n").encode() if pages is None else pages
    with files.atomic_write(path) as partial:
        partial.write_bytes(content)
    return path


def delete(project: Project, chat_id: str) -> Chat:
    """Delete a chat and return it: writing it again undoes the deletion.

    Raises ProjectError, BusyError, StorageError.
    """
    chat = read(project, chat_id)
    with project.writing(_FOLDER):
        _unlink(_path(project, chat_id))
    return chat


def _unlink(path: Path) -> None:
    with files.translate_os_errors(path):
        files.retry_while_locked(lambda: path.unlink(missing_ok=True))

    # --- File format -------------------------------------------------------------------------------------------


def _path(project: Project, chat_id: str) -> Path:
    if not _ID.fullmatch(chat_id):
        raise ProjectError(_("There is no chat “{name}” here.").format(name=chat_id))
    return project.root / _FOLDER / f"{chat_id}.json"


def rounded(probability: float) -> float:
    """A probability rounded as in the file."""
    return float(f"{probability:.{_DIGITS}g}")


def _packed(token: Token) -> list[object]:
    others = [[text, rounded(p)] for text, p in token.alternatives[:MOST_ALTERNATIVES]]
    return [token.id, token.text, rounded(token.probability), others]


def _turn_record(turn: Turn, most: int) -> dict[str, Any]:
    """A turn as JSON, with its tokens and versions if these are at most `most`."""
    record = asdict(replace(turn, tokens=(), versions=None))
    del record["versions"]
    whole = len(turn.tokens) <= most
    record["tokens"] = [_packed(token) for token in turn.tokens] if whole else []
    if turn.versions is not None and whole:
        tree = turn.versions.newest(most + 1)
        nodes = [[node.parent, _packed(node.token) if node.token else None, node.notes] for node in tree.nodes]
        record["versions"] = {"nodes": nodes, "current": tree.current}
    return record


def _text(turn: Turn) -> str:
    return f"{turn.prompt}\n\n{turn.text}\n\n" if turn.question else turn.prompt + turn.text
