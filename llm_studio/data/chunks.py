"""Documents as chunks, cut at safe positions: a document of any length is processed in bounded memory."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHUNK_CHARACTERS = 500_000
"""Length limit of a chunk, in characters."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of one document, at most CHUNK_CHARACTERS long. `ends`: it is the last chunk of its document."""

    text: str
    ends: bool


CONTROLS = "".join(map(chr, range(32)))
_WHITE_SPACE = CONTROLS + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000 " + "".join(map(chr, range(0x2000, 0x200B)))
"""White space, and the control characters that cleaning removes."""
_REMOVED_BY_CLEANING = "".join(sorted(set(CONTROLS) - set("\n\t")))
"""Characters that cleaning removes or merges with the next one (CR LF)."""


def safe_cut(text: str, start: int, end: int) -> int:
    """Return a position after `start` and at most `end` where `text` can be cut; text[start:cut] is never empty.

    The cut is right before white space that follows another character. Without such a position, the cut can be anywhere
    except inside a combined character (a combining accent, CR LF). A pre-tokenizer may treat what is cut here as one
    word ("!" and the end of a line), so plain texts are joined again before they are encoded (`tokens/turns.py`).
    """
    latest = start
    for mark in " \n\t":
        latest = max(latest, text.rfind(mark, latest, end + 1))
    if latest > start:
        cut = white_space_start(text, start, latest)
        if cut > start:
            return cut
    for cut in range(end, max(start, end - 100), -1):
        if _can_split_between(text[cut - 1 : cut], text[cut : cut + 1]):
            return cut
    return end


def white_space_start(text: str, start: int, position: int) -> int:
    """The start of the white space before `position`, at least `start`."""
    return start + len(text[start:position].rstrip(_WHITE_SPACE))


def _can_split_between(before: str, after: str) -> bool:
    """Whether a text can be cut between these two characters without changing the meaning of either."""
    joined = "\u200d" in (before, after) or after in _REMOVED_BY_CLEANING or before in _REMOVED_BY_CLEANING
    return not joined and unicodedata.category(after)[0] != "M" and not "\u1160" <= after <= "\u11ff"


def rechunk(fragments: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the same documents as chunks of the right length, from fragments of any length.

    The chunks of a document depend on its text only, not on the fragments.
    """
    pending: list[str] = []
    length = 0
    for fragment in fragments:
        if fragment.ends and not pending and len(fragment.text) <= CHUNK_CHARACTERS:
            yield fragment  # nearly all documents
            continue
        pending.append(fragment.text)
        length += len(fragment.text)
        if length > CHUNK_CHARACTERS:
            text, start = "".join(pending), 0
            while length - start > CHUNK_CHARACTERS:
                cut = safe_cut(text, start, start + CHUNK_CHARACTERS)
                yield Chunk(text[start:cut], False)
                start = cut
            pending = [text[start:]]
            length -= start
        if fragment.ends:
            yield Chunk("".join(pending), True)
            pending, length = [], 0
    if pending:
        yield Chunk("".join(pending), True)
