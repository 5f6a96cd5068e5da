"""Looking up tokens: by name, by search, by frequency."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_studio.errors import ProjectError, StudioError
from llm_studio.i18n import _
from llm_studio.project import Project
from llm_studio.workflows.generation.next_token import token_text

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

_COUNTED = 4_000_000
"""Number of evenly spaced training tokens that are counted to find the most frequent ones."""
_ID = re.compile(r"#(\d{1,7})")


class Vocabulary:
    """The tokens of a tokenizer, for display and by name."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        self._by_bytes = {tokenizer.token_bytes(token): token for token in reversed(range(tokenizer.vocab_size))}
        self._labels: dict[int, str] = {}

    def label(self, token: int) -> str:
        """A token for display: its text, or its bytes as 0xC3 0xA9 if they aren't characters."""
        if token not in self._labels:
            self._labels[token] = token_text(self._tokenizer, token)
        return self._labels[token]

    def named(self, name: str) -> int:
        """The token that a user names: its text, or its id as in #123. A token at the start of a word often includes
        the space before it, which may be omitted. Raises StudioError if there is none.
        """
        by_id = _ID.fullmatch(name)
        if by_id and int(by_id[1]) < self._tokenizer.vocab_size:
            return int(by_id[1])
        found = self._exact(name)
        if found is not None:
            return found
        pieces = " | ".join(self.label(token) for token in self._tokenizer.encode(name))
        raise StudioError(
            _("“{text}” is not a token of this model: its tokenizer splits it into {pieces}.").format(
                text=name, pieces=pieces or "–"
            ),
            _("Name one token, by its text or by its number as in #300."),
        )

    def exactly(self, text: str) -> int | None:
        """The token with exactly this text, including a space before it if there is one; None if there is none."""
        return self._by_bytes.get(_bytes(text))

    def words(self, names: Sequence[str]) -> tuple[list[int], list[str]]:
        """The tokens of these words, and the words that aren't a single token."""
        found = {name: self._exact(name) for name in names}
        return [token for token in found.values() if token is not None], [n for n, t in found.items() if t is None]

    def search(self, wanted: str, count: int) -> list[int]:
        """The first `count` tokens whose text contains `wanted`, ignoring case, the shortest first."""
        folded = wanted.casefold()
        matches = [t for t in range(self._tokenizer.vocab_size) if folded in self.label(t).casefold()]
        return sorted(matches, key=lambda token: (len(self.label(token)), token))[:count]

    def _exact(self, name: str) -> int | None:
        """The token of this text, preferably as in the middle of a text, with the space before it."""
        if not name:
            return None
        spellings = (name if name.startswith(" ") else f" {name}", name)
        return next((found for text in spellings if (found := self._by_bytes.get(_bytes(text))) is not None), None)


def frequent_tokens(project: Project, tokenizer: "Tokenizer", count: int) -> list[int]:
    """The most frequent tokens of the training texts, most frequent first.

    If the project has no tokens of this tokenizer: the first merges of the tokenizer, which were the most frequent ones
    in its training texts.
    """
    import numpy as np

    from llm_studio.workflows.training.open_data import open_training_data

    special = set(tokenizer.markers.values())
    try:
        with open_training_data(project) as (tokens, own, _fingerprint):
            if own.fingerprint != tokenizer.fingerprint:
                raise ProjectError("")
            step = max(1, len(tokens.train) // _COUNTED)
            counts = np.bincount(tokens.train[::step].astype(np.int64), minlength=tokenizer.vocab_size)
            order = [int(token) for token in np.argsort(-counts, kind="stable") if counts[token]]
    except ProjectError:
        order = list(range(tokenizer.vocab_size))
    return [token for token in order if token not in special][:count]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")
