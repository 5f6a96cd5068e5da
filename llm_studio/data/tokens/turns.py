"""Conversations on their way to tokens: where the markers stand, and which tokens are learned from answers only.

A conversation is `<|user|>question<|assistant|>answer<|user|>...`, one document. Its two markers become the special
tokens of the same name, in conversations alone: elsewhere they are text. Learned from an answer are its tokens and
the one that ends it, `<|user|>` or `<|endoftext|>`, so that a model learns to stop; not what was asked, and not the
markers before an answer. Other texts are learned whole.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.sources.conversations import ASSISTANT, USER, split_at_markers
from llm_studio.data.tokenizer.tokenizer import PIECE, Tokenizer, split_safely

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import TextSpan

_SHORT = 60
"""Tokens of a question that is shown as an example."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a stretch, short enough to be encoded at once: `marker`, `text` and, where it `ends`, <|endoftext|>.

    `counts`: the tokens of the text and its end are learned from answers only; `marker_counts`: the marker is.
    """

    source: str
    text: str
    ends: bool
    marker: str = ""
    counts: bool = True
    marker_counts: bool = False


class ConversationSplitter:
    """Cuts stretches into pieces. Conversations are known by the names of their sources."""

    def __init__(self, conversations: Collection[str]) -> None:
        self._conversations = frozenset(conversations)
        self._answers = False
        """Whether an answer is being given where the last stretch of this document ended."""

    def pieces(self, stretch: "TextSpan") -> Iterator[Piece]:
        """The pieces of the next stretch."""
        if stretch.source not in self._conversations:
            texts = list(split_safely(stretch.text, PIECE))
            for text in texts[:-1]:
                yield Piece(stretch.source, text, False)
            yield Piece(stretch.source, texts[-1], stretch.ends)
            return
        before, *turns = split_at_markers(stretch.text)
        parts = [("", before)] if before or not turns else []
        parts += zip(turns[::2], turns[1::2], strict=True)
        for number, (marker, text) in enumerate(parts, start=1):
            yield from self._turn(stretch.source, marker, text, stretch.ends and number == len(parts))
        if stretch.ends:
            self._answers = False

    def _turn(self, source: str, marker: str, text: str, ends: bool) -> Iterator[Piece]:
        """One turn, or the rest of one that began in the stretch before."""
        ends_answer = marker == USER and self._answers
        self._answers = marker == ASSISTANT if marker else self._answers
        texts = list(split_safely(text, PIECE))
        for number, part in enumerate(texts, start=1):
            first, last = number == 1, number == len(texts)
            yield Piece(source, part, ends and last, marker if first else "", self._answers, ends_answer and first)


def questions(ids: NDArray[np.integer[Any]], tokenizer: Tokenizer, count: int) -> tuple[str, ...]:
    """The texts of the first short questions among `ids`, at most `count`, each once."""
    user, assistant = tokenizer.markers[USER], tokenizer.markers[ASSISTANT]
    marks = np.flatnonzero(np.isin(ids, list(tokenizer.markers.values())))
    found: dict[str, None] = {}
    for start, end in zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True):
        if len(found) == count:
            break
        if ids[start] == user and ids[end] == assistant and end - start <= _SHORT:
            found[tokenizer.decode(ids[start + 1 : end].tolist())] = None
    return tuple(found)


# --- Masks: a bit for each token, the lowest bit of a byte first ---------------------------------------------


class Packer:
    """Packs what is counted into bytes, whatever the lengths of the arrays it comes in."""

    def __init__(self) -> None:
        self.counted = 0
        """How many tokens are learned from so far."""
        self._rest = np.empty(0, dtype=np.bool_)

    def add(self, counts: NDArray[np.bool_]) -> bytes:
        """The bytes that are complete now."""
        self.counted += int(counts.sum())
        waiting = np.concatenate([self._rest, counts])
        whole = len(waiting) // 8 * 8
        self._rest = waiting[whole:]
        return np.packbits(waiting[:whole], bitorder="little").tobytes()

    def finish(self) -> bytes:
        """The last byte, filled up with zeros, if one is begun."""
        return np.packbits(self._rest, bitorder="little").tobytes()


def unpacked(bits: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the tokens at `places`, of any shape, are learned from, in the same shape."""
    return ((bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1).astype(np.bool_)
