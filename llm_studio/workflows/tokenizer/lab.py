"""Inspecting a tokenizer: how it splits a text, and how a word is built by merges. Importing another one.

Token frequencies and compression are measured in `figures.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.errors import ConfigError, TokenizerError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows.projects import change_settings, steps, tokenizer_inputs
from llm_studio.workflows.tokenizer.train import TrainedTokenizer, train_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.data.tokenizer.merges import MergeStep
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

_MARKS = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\u00a0": "⍽", "\x7f": "␡"}
                       | {chr(code): chr(0x2400 + code) for code in range(32) if code not in (9, 10, 13)})  # fmt: skip

_HALVES = re.compile("[\ud800-\udfff]")


def shown(piece: bytes) -> str:
    """Bytes in readable form: a space as ␣, a line end as ⏎, bytes that aren't a character as ‹C3›."""
    text = piece.decode("utf-8", errors="surrogateescape").translate(_MARKS)
    return "".join(f"‹{ord(c) - 0xDC00:02X}›" if "\udc80" <= c <= "\udcff" else c for c in text)


def hexadecimal(piece: bytes) -> str:
    """Bytes as pairs of hexadecimal digits: 20 C3 A9."""
    return piece.hex(" ").upper()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text: characters `start` to `end`. Tokens of parts of a character share that character."""

    id: int
    shown: str
    bytes: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Built:
    """How a word is built. `start`, `end`: its characters in the text; the last of `steps` are its tokens.

    `steps` is empty if the word is too long to be shown, or if the tokenizer has it as a whole, without merges.
    """

    text: str
    start: int
    end: int
    steps: "tuple[MergeStep, ...]"

    def joined(self, step: int) -> tuple[bytes, bytes]:
        """The two tokens that a step, other than the first, has merged."""
        before, place = self.steps[step - 1].symbols, self.steps[step].merged
        return before[place], before[place + 1]

    def steps_of(self, token: int) -> list[int]:
        """The steps that built token number `token` of the word, in order."""
        if not self.steps:
            return []
        pieces = self.steps[-1].symbols
        start = sum(map(len, pieces[:token]))
        end = start + len(pieces[token])
        places = [sum(map(len, step.symbols[: max(0, step.merged)])) for step in self.steps]
        return [number for number, place in enumerate(places) if number and start <= place < end]


class Lab:
    """One tokenizer, prepared for inspection. Immutable; loading takes a moment, queries don't."""

    def __init__(self, tokenizer: "Tokenizer", text: str) -> None:
        """`text` is the content of the tokenizer's file."""
        import tokenizers

        from llm_studio.data.tokenizer.merges import Merges

        self.tokenizer = tokenizer
        self.source = files.fingerprint(text)
        """Fingerprint of the tokenizer's file."""
        self.fingerprint = tokenizer.fingerprint
        self.vocab_size = tokenizer.vocab_size
        self.merges = Merges(tokenizer)
        self.library = tokenizers.Tokenizer.from_str(tokenizer.to_json())
        self.library.encode_special_tokens = True
        self._bytes = [tokenizer.token_bytes(index) for index in range(tokenizer.vocab_size)]
        self._shown = [shown(piece) for piece in self._bytes]
        self._folded = [text.casefold() for text in self._shown]
        self._words: tuple[str, list[tuple[int, int]]] = ("", [])

    def shown(self, token: int) -> str:
        """A token in readable form."""
        return self._shown[token]

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token."""
        return self._bytes[token]

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text; lone surrogates, which can't be encoded, become U+FFFD."""
        text = _whole(text)
        whole, ids = text.encode(), self.tokenizer.encode(text)
        place = _character_of_byte(whole)
        made: list[Token] = []
        position, last = 0, len(whole)
        for token in ids:
            piece = self._bytes[token]
            start, position = position, position + len(piece)
            end = place[min(position, last) - 1] + 1 if piece else place[start]
            made.append(Token(token, self._shown[token], piece, place[min(start, last)], end))
        return made

    def word_of(self, text: str, position: int) -> Built | None:
        """How the word at this character of the text is built."""
        here = next((word for word in self._words_of(text) if word[0] <= position < word[1]), None)
        return None if here is None else self._built(_whole(text)[here[0] : here[1]], *here)

    def word_at(self, text: str, cursor: int) -> Built | None:
        """How the word at a cursor is built; between words, the word before the cursor."""
        words = self._words_of(text)
        here = next((word for word in words if word[0] < cursor <= word[1]), words[0] if words else None)
        return None if here is None else self._built(_whole(text)[here[0] : here[1]], *here)

    def longest_word(self, text: str) -> Built | None:
        """How the longest word of the text is built: it has the most to show."""
        words = [word for word in self._words_of(text) if text[word[0] : word[1]].strip()]
        longest = max(words, key=lambda word: word[1] - word[0], default=None)
        return None if longest is None else self._built(_whole(text)[longest[0] : longest[1]], *longest)

    def token_built(self, token: int) -> Built:
        """How a token of the vocabulary is built from its bytes."""
        replayed = self.merges.replay(self._bytes[token])
        ends_well = replayed and replayed[-1].symbols == (self._bytes[token],)
        return Built(self._shown[token], 0, 0, tuple(replayed) if ends_well else ())

    def search(self, wanted: str) -> "NDArray[np.int64]":
        """Ids of tokens that contain `wanted` (a space or ␣ is a space), have it as id, or have these bytes in hex."""
        import numpy as np

        folded = wanted.casefold().replace(" ", "␣")
        if not folded:
            return np.arange(self.vocab_size)
        found = {index for index, text in enumerate(self._folded) if folded in text}
        if wanted.strip().isdecimal() and int(wanted) < self.vocab_size:
            found.add(int(wanted))
        try:
            data = bytes.fromhex(wanted) if " " in wanted.strip() else b""
        except ValueError:
            data = b""
        if data:
            found |= {index for index, piece in enumerate(self._bytes) if data in piece}
        return np.array(sorted(found), dtype=np.int64)

    def _words_of(self, text: str) -> list[tuple[int, int]]:
        """Where the pre-tokenizer splits the text: merges never cross these boundaries."""
        if self._words[0] != text and self.library.pre_tokenizer is not None:
            cut: list[tuple[str, tuple[int, int]]] = self.library.pre_tokenizer.pre_tokenize_str(_whole(text))
            self._words = text, [span for _word, span in cut]
        return self._words[1] if text else []

    def _built(self, word: str, start: int, end: int) -> Built:
        replayed = tuple(self.merges.replay(word.encode()))
        if replayed and list(replayed[-1].symbols) != [self._bytes[token] for token in self.tokenizer.encode(word)]:
            replayed = ()  # a foreign tokenizer that has this word without merges
        return Built(word, start, end, replayed)


def _whole(text: str) -> str:
    """The text with U+FFFD for lone surrogates; of the same length."""
    return _HALVES.sub("\ufffd", text)


def _character_of_byte(data: bytes) -> list[int]:
    """For each byte of the UTF-8 text, and its end, the index of its character."""
    place, character = [0] * (len(data) + 1), -1
    for index, byte in enumerate(data):
        character += byte & 0xC0 != 0x80
        place[index] = character
    place[len(data)] = character + 1
    return place


# --- The state of the tab --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenizerBench:
    """The lab of a project (None without a usable tokenizer), and what can be measured with it.

    `reasons`: sentences that explain why the tokenizer or the tokens are out of date. `tokens` and `corpus`:
    fingerprints of the prepared tokens ("" if another tokenizer made them), and of the texts ("" if there are none).
    """

    lab: Lab | None
    reasons: tuple[str, ...]
    tokens: str
    corpus: str
    problem: TokenizerError | None = None


def open_bench(project: Project, known: Lab | None = None) -> TokenizerBench:
    """Load the project's tokenizer; `known` is reused if it is still the same."""
    from llm_studio.data.corpus.corpus import Corpus
    from llm_studio.data.tokens.meta import recall_meta

    lab, problem = None, None
    try:
        lab = _lab(project, known)
    except TokenizerError as error:
        problem = error
    try:
        settings = project.settings()
        corpus = Corpus(project.raw, settings.data)
        here = corpus.fingerprint() if corpus.found.all() else ""
        reasons = tuple(_reasons(project, here)) if lab is not None else ()
    except ConfigError:  # the overview reports it
        here, reasons = "", ()
    made = recall_meta(project.processed)
    fits = made is not None and lab is not None and made.tokenizer == lab.fingerprint
    return TokenizerBench(lab, reasons, made.fingerprint if made and fits else "", here, problem)


def _lab(project: Project, known: Lab | None) -> Lab | None:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    if not project.tokenizer_file.exists():
        return None
    tokenizer = Tokenizer.load(project.tokenizer_file)
    text = tokenizer.to_json()
    return known if known is not None and known.source == files.fingerprint(text) else Lab(tokenizer, text)


def _reasons(project: Project, corpus: str) -> Iterator[str]:
    from llm_studio.data.tokenizer.record import recall_record
    from llm_studio.data.tokens.meta import recall_meta
    from llm_studio.data.tokens.token_files import damaged_tokens

    standing = steps(project)
    if standing.tokenizer is State.OUT_OF_DATE:
        used = recall_record(project.tokenizer_meta).inputs
        now = tokenizer_inputs(project.settings(), corpus)
        if used.get("corpus") != now["corpus"]:
            yield _("The texts or their cleaning have changed since the tokenizer was trained.")
        if used.get("settings") != now["settings"]:
            yield _("The settings have changed since the tokenizer was trained.")
    elif standing.tokens is State.OUT_OF_DATE:
        tokens = recall_meta(project.processed)
        if tokens is None:
            yield _("The record of the tokens, meta.json, is damaged.")
        elif tokens.damaged:
            yield damaged_tokens(tokens.damaged).what
        elif tokens.corpus != corpus:
            yield _("The texts or their cleaning have changed since the tokens were prepared.")
        else:
            yield _("The tokens were prepared with another tokenizer.")


# --- Replacing it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replaced:
    """The previous tokenizer: the contents of its two files, None if there was none."""

    tokenizer: str | None
    meta: str | None
    vocab_size: int
    """Vocabulary size of the new tokenizer."""


def train_with(project: Project, changes: dict[str, object], job: Job) -> TrainedTokenizer:
    """Write pending settings, then train. Raises ConfigError, BusyError, TokenizerError, Cancelled."""
    if changes:
        change_settings(project, changes)
    return train_tokenizer(project, job)


def import_tokenizer(project: Project, path: Path) -> Replaced:
    """Import a `tokenizer.json` as the project's tokenizer. Raises TokenizerError, BusyError, StorageError.

    Tokens made with the previous one are then out of date.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(path)
    with project.writing("tokenizer"):
        before = Replaced(_read(project.tokenizer_file), _read(project.tokenizer_meta), tokenizer.vocab_size)
        with files.translate_os_errors(project.tokenizer_file):
            project.tokenizer_meta.unlink(missing_ok=True)
        tokenizer.save(project.tokenizer_file)
    return before


def restore_tokenizer(project: Project, before: Replaced) -> None:
    """Undo an import. Raises BusyError, StorageError."""
    with project.writing("tokenizer"):
        for path, text in ((project.tokenizer_meta, before.meta), (project.tokenizer_file, before.tokenizer)):
            if text is not None:
                files.write_text(path, text)
            else:
                with files.translate_os_errors(path):
                    path.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    from llm_studio.data.tokenizer.tokenizer import MOST_BYTES

    try:
        return files.read_text(path, most=MOST_BYTES)
    except (OSError, UnicodeDecodeError):
        return None
