"""Held-out documents, each split into its beginning, the prompt for a model, and the text after it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import DataError
from llm_studio.i18n import _

PLACES = 10
"""Evenly spaced places in the held-out tokens where beginnings are taken."""
TEXT_TOKENS = 300
"""Maximum number of tokens taken after the beginning of a document."""
_DOCUMENTS = 4
"""Number of documents at each place."""
_PROMPT, _LONGEST_PROMPT = 8, 100
"""Number of tokens of a beginning, and of a question at most."""
_SEARCHED = 50_000
"""Number of tokens searched for documents at each place."""
_ASSISTANT = SPECIAL_TOKENS[2]

_Ids = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Beginning:
    """The ids of the beginning of a held-out document, its text, and the text that follows in the document."""

    ids: tuple[int, ...]
    prompt: str
    rest: str


def beginnings(ids: _Ids, tokenizer: Tokenizer) -> list[list[Beginning]]:
    """The beginnings of a few held-out documents at each of ten evenly spaced places.

    A document starts after <|endoftext|>, or, in a text without one, at a line. The beginning of a conversation is its
    question. Raises DataError if there is no text.
    """
    edges = np.linspace(0, len(ids), PLACES + 1).astype(int).tolist()
    spans = itertools.pairwise(edges)
    found = [list(_documents(ids[start:end], start == 0, tokenizer)) for start, end in spans]
    found = [documents for documents in found if documents]
    if not found:
        raise DataError(_("There is no held-out text for the model to continue."), _("Add texts."), "data")
    return found


def _documents(ids: _Ids, begins: bool, tokenizer: Tokenizer) -> Iterator[Beginning]:
    """The first documents in `ids`; `begins`: whether a document starts with them."""
    ids = ids[:_SEARCHED]
    ends = np.flatnonzero(ids == tokenizer.end_of_text)
    starts = [int(end) + 1 for end in ends]
    if begins or not starts:
        starts.insert(0, 0 if begins else _next_line(ids, tokenizer))
    for start in starts[:_DOCUMENTS]:
        later = ends[ends >= start]
        document = ids[start : int(later[0]) if later.size else len(ids)]
        cut = _cut(document, tokenizer)
        if cut:
            head, tail = document[:cut].tolist(), document[cut : cut + TEXT_TOKENS].tolist()
            yield Beginning(tuple(head), plain_text(head, tokenizer), plain_text(tail, tokenizer))


def _next_line(ids: _Ids, tokenizer: Tokenizer) -> int:
    lines = (place for place, token in enumerate(ids.tolist(), 1) if tokenizer.token_bytes(token).endswith(b"\n"))
    return next(lines, 0)


def _cut(ids: _Ids, tokenizer: Tokenizer) -> int:
    """The end of the beginning: the start of the answer in a conversation; 0 if the text is too short."""
    first = ids[:_LONGEST_PROMPT].tolist()
    answer = tokenizer.markers.get(_ASSISTANT)
    if answer in first:
        return first.index(answer) + 1
    return _PROMPT if len(ids) > _PROMPT else 0


def plain_text(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """The text of `ids` without special tokens; incomplete characters at the ends are left out."""
    special = set(tokenizer.markers.values())
    parts = (b"\n" if token in special else tokenizer.token_bytes(token) for token in ids)
    return b"".join(parts).decode("utf-8", errors="ignore")
