"""The texts of token ids, document by document, in chunks of bounded size."""

import codecs
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.tokenizer.tokenizer import Tokenizer

_CHUNK = 100_000
"""Number of ids decoded at once."""
_LONGEST_REST = 10_000
"""Number of characters without white space that are kept together."""
_BOUNDARY = b"\0"


def decoded(ids: NDArray[np.integer[Any]], tokenizer: Tokenizer) -> Iterator[tuple[str, bool]]:
    """Yield the text of `ids` in chunks that end at white space, each with whether its document ends there.

    A special token ends a document too: turns of conversations are separate. Their names are not part of the text.
    """
    table = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    for marker in tokenizer.markers.values():
        table[marker] = _BOUNDARY
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    for start in range(0, len(ids), _CHUNK):
        *whole, rest = (
            rest + decoder.decode(b"".join(table[token] for token in ids[start : start + _CHUNK].tolist()))
        ).split("\0")
        for text in whole:
            yield text, True
        cut = _last_space(rest)
        if cut:
            yield rest[:cut], False
            rest = rest[cut:]
    yield rest + decoder.decode(b"", final=True), True


def _last_space(text: str) -> int:
    """Where to cut `text`, after white space if there is any; 0 for not yet."""
    cut = max(text.rfind(" "), text.rfind("\n")) + 1
    return cut or (len(text) if len(text) > _LONGEST_REST else 0)
