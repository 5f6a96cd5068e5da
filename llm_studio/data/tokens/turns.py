"""Encoding of conversations: the markers, and the mask of the tokens in answers.

A conversation is `<|user|>question<|assistant|>answer<|user|>...`, one document. Its two markers become the special
tokens of the same name; in other texts they are plain text. When the loss is on answers only, the targets are the
tokens of an answer and the token that ends it, `<|user|>` or `<|endoftext|>`, so that the model learns to stop; not the
question, and not the marker before the answer. All tokens of other texts are targets.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.sources.conversations import ASSISTANT, USER, split_at_markers
from llm_studio.data.tokenizer.tokenizer import SEGMENT_CHARACTERS, Tokenizer, split_safely

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import TextSpan

_MAX_EXAMPLE_TOKENS = 60
"""Length limit of a question that is shown as an example."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a text span, short enough to be encoded at once: `marker`, `text` and, if it `ends`, <|endoftext|>.

    `in_answer`, `marker_in_answer`: the text and its end, or the marker, are targets when the loss is on answers only.
    """

    source: str
    text: str
    ends: bool
    marker: str = ""
    in_answer: bool = True
    marker_in_answer: bool = False


class ConversationSplitter:
    """Splits text spans into segments. Conversations are identified by the names of their sources."""

    def __init__(self, conversations: Collection[str]) -> None:
        self._conversations = frozenset(conversations)
        self._in_answer = False
        """Whether the last span of this document ended within an answer."""
        self._pending = ""
        """The end of a plain text so far, which the next span continues."""

    def segments(self, span: "TextSpan") -> Iterator[Segment]:
        """The segments of the next span. Those of a plain text depend on the text only, not on where its spans end."""
        if span.source not in self._conversations:
            *texts, last = split_safely(self._pending + span.text, SEGMENT_CHARACTERS)
            for text in texts:
                yield Segment(span.source, text, False)
            self._pending = "" if span.ends else last
            if span.ends:
                yield Segment(span.source, last, True)
            return
        before, *marked = split_at_markers(span.text)
        turns = [("", before)] if before or not marked else []
        turns += zip(marked[::2], marked[1::2], strict=True)
        for number, (marker, text) in enumerate(turns, start=1):
            yield from self._turn(span.source, marker, text, span.ends and number == len(turns))
        if span.ends:
            self._in_answer = False

    def _turn(self, source: str, marker: str, text: str, ends: bool) -> Iterator[Segment]:
        """One turn, or the rest of one that started in the previous span."""
        ends_answer = marker == USER and self._in_answer
        self._in_answer = marker == ASSISTANT if marker else self._in_answer
        texts = list(split_safely(text, SEGMENT_CHARACTERS))
        for number, segment in enumerate(texts, start=1):
            first, last = number == 1, number == len(texts)
            yield Segment(source, segment, ends and last, marker if first else "", self._in_answer,
                          ends_answer and first)  # fmt: skip


def example_questions(ids: NDArray[np.integer[Any]], tokenizer: Tokenizer, count: int) -> tuple[str, ...]:
    """The texts of the first short questions in `ids`, at most `count`, without repetitions."""
    user, assistant = tokenizer.markers[USER], tokenizer.markers[ASSISTANT]
    marks = np.flatnonzero(np.isin(ids, list(tokenizer.markers.values())))
    found: dict[str, None] = {}
    for start, end in zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True):
        if len(found) == count:
            break
        if ids[start] == user and ids[end] == assistant and end - start <= _MAX_EXAMPLE_TOKENS:
            found[tokenizer.decode(ids[start + 1 : end].tolist())] = None
    return tuple(found)


# --- Masks: one bit for each token, the lowest bit of a byte first -------------------------------------------


class MaskPacker:
    """Packs a mask into bytes, given in arrays of any length."""

    def __init__(self) -> None:
        self.counted = 0
        """Number of tokens in answers so far."""
        self._rest = np.empty(0, dtype=np.bool_)

    def add(self, in_answer: NDArray[np.bool_]) -> bytes:
        """Add flags and return the bytes that are complete."""
        self.counted += int(in_answer.sum())
        pending = np.concatenate([self._rest, in_answer])
        complete = len(pending) // 8 * 8
        self._rest = pending[complete:]
        return np.packbits(pending[:complete], bitorder="little").tobytes()

    def finish(self) -> bytes:
        """The last byte, padded with zeros, if it is incomplete."""
        return np.packbits(self._rest, bitorder="little").tobytes()


def unpack_mask(bits: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The flags of the tokens at `places`, in the same shape."""
    return ((bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1).astype(np.bool_)
