"""The merges of byte-pair encoding, replayed step by step to show how a word becomes tokens.

A word starts as single bytes. Of all neighbouring pairs that were merged in training, the one learned first is merged
(the leftmost, if there are several), and so on until no such pair is left. The library does the same, but faster: its
tokens are those of the last step here.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llm_studio.data.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

MAX_WORD_BYTES = 64
"""Length limit of a word that is replayed, in bytes: more steps would not be readable."""


@dataclass(frozen=True)
class MergeStep:
    """The symbols of a word after one merge.

    `merged`: index of the new symbol, -1 in the first step; `rank`: index of the merge in training, -1 without one.
    """

    symbols: tuple[bytes, ...]
    merged: int = -1
    rank: int = -1


class Merges:
    """The merges of a tokenizer, in the order in which they were learned."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        model: dict[str, Any] = json.loads(tokenizer.to_json())["model"]
        vocabulary: dict[str, int] = model["vocab"]
        self._pairs = [_pair(merge) for merge in model["merges"]]
        self._vocabulary = vocabulary
        self._ignore_merges = bool(model.get("ignore_merges"))
        self._id_of = {tokenizer.token_bytes(index): index for index in vocabulary.values()}
        self._rank_of: dict[tuple[bytes, bytes], int] = {}
        for rank, (left, right) in enumerate(self._pairs):
            pair = tokenizer.token_bytes(vocabulary[left]), tokenizer.token_bytes(vocabulary[right])
            self._rank_of[pair] = rank  # like the library, keep the last rank of a repeated pair

    def __len__(self) -> int:
        return len(self._pairs)

    def id_of(self, symbol: bytes) -> int | None:
        """The id of the token with these bytes, special tokens excluded."""
        return self._id_of.get(symbol)

    def replay(self, word: bytes) -> list[MergeStep]:
        """All steps from single bytes to the tokens of `word`, a word as given by the pre-tokenizer.

        Empty if the word is empty or longer than MAX_WORD_BYTES.
        """
        if not word or len(word) > MAX_WORD_BYTES:
            return []
        symbols = [bytes([byte]) for byte in word]
        steps = [MergeStep(tuple(symbols))]
        if self._ignore_merges and word in self._id_of and len(word) > 1:
            return [*steps, MergeStep((word,), 0)]
        while True:
            ranks = [self._rank_of.get(pair, -1) for pair in pairwise(symbols)]
            rank, place = min(((rank, place) for place, rank in enumerate(ranks) if rank >= 0), default=(-1, -1))
            if rank < 0:
                return steps
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
            steps.append(MergeStep(tuple(symbols), place, rank))

    def base_vocabulary_size(self) -> int:
        """Number of tokens that don't come from a merge: the bytes and the special tokens."""
        return len(self._vocabulary) - len({left + right for left, right in self._pairs} & self._vocabulary.keys())

    def truncated(self, count: int, like: "tokenizers.Tokenizer") -> "tuple[tokenizers.Tokenizer, int]":
        """The tokenizer that training would have given with only `count` merges, and its vocabulary size.

        For measurements only: the ids are different. `like` is the library's object of the full tokenizer.
        """
        import tokenizers
        from tokenizers.models import BPE

        merged = {left + right for left, right in self._pairs}
        kept = self._pairs[:count]
        tokens = [token for token in self._vocabulary if token not in merged]
        tokens += [token for token in dict.fromkeys(left + right for left, right in kept) if token in self._vocabulary]
        vocabulary = {token: index for index, token in enumerate(tokens)}
        library = tokenizers.Tokenizer(BPE(vocab=vocabulary, merges=kept))
        if like.pre_tokenizer is not None:
            library.pre_tokenizer = like.pre_tokenizer
        return library, len(vocabulary)


def _pair(merge: "str | list[str]") -> tuple[str, str]:
    """A merge in the notation of older or newer files: "a b" or ["a", "b"]."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
