"""Documents in pieces: cut where it is safe, so that a document of any length passes in bounded memory."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHUNK_CHARACTERS = 500_000
"""Longest piece, in characters."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one document, at most PIECE_CHARACTERS long. `ends`: the document ends here."""

    text: str
    ends: bool


CONTROLS = "".join(map(chr, range(32)))
_WHITE = CONTROLS + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000 " + "".join(map(chr, range(0x2000, 0x200B)))
"""White space, and the control characters that cleaning removes."""
_VANISHING = "".join(sorted(set(CONTROLS) - set("\n\t")))
"""What cleaning removes, or makes one with its neighbour (CR LF)."""


def safe_cut(text: str, start: int, end: int) -> int:
    """Where to cut `text` after `start`, at `end` at the latest: text[start:cut] is never empty.

    The cut is right before white space that follows something else, where every pre-tokenizer cuts as well. Where
    there is none, it is anywhere but inside a character made of several (an accent of its own, CR LF).
    """
    latest = max(text.rfind(mark, start, end + 1) for mark in " \n\t")
    if latest > start:
        cut = white_space_start(text, start, latest)
        if cut > start:
            return cut
    for cut in range(end, max(start, end - 100), -1):
        if _separable(text[cut - 1 : cut], text[cut : cut + 1]):
            return cut
    return end


def white_space_start(text: str, start: int, place: int) -> int:
    """Where the white space around `place` begins, not before `start`."""
    return start + len(text[start:place].rstrip(_WHITE))


def _separable(before: str, after: str) -> bool:
    """Whether a text may be cut between these two characters without changing what either means."""
    joined = "\u200d" in (before, after) or after in _VANISHING or before in _VANISHING
    return not joined and unicodedata.category(after)[0] != "M" and not "\u1160" <= after <= "\u11ff"


def rechunk(fragments: Iterable[Chunk]) -> Iterator[Chunk]:
    """The same documents in pieces of the right length, from fragments of any length.

    A document's pieces depend on its text alone, not on its fragments.
    """
    waiting: list[str] = []
    length = 0
    for fragment in fragments:
        if fragment.ends and not waiting and len(fragment.text) <= CHUNK_CHARACTERS:
            yield fragment  # nearly all documents
            continue
        waiting.append(fragment.text)
        length += len(fragment.text)
        if length > CHUNK_CHARACTERS:
            text, start = "".join(waiting), 0
            while length - start > CHUNK_CHARACTERS:
                cut = safe_cut(text, start, start + CHUNK_CHARACTERS)
                yield Chunk(text[start:cut], False)
                start = cut
            waiting = [text[start:]]
            length -= start
        if fragment.ends:
            yield Chunk("".join(waiting), True)
            waiting, length = [], 0
    if waiting:
        yield Chunk("".join(waiting), True)
