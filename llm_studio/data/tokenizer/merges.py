"""How a word becomes tokens, step by step: the merges of byte-pair encoding, replayed in slow motion.

A word starts as single bytes. Of all neighbours that were ever merged in the training, the pair learned first is
joined (the leftmost, where it stands twice), and so on until no pair is left. The library does the same, only
faster: its tokens and the last step here are the same.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from llm_studio.data.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

LONGEST_WORD = 64
"""Bytes of the longest word that is replayed: nobody reads more steps than that."""


@dataclass(frozen=True)
class Step:
    """The pieces of a word after one merge. `merged`: which of them is new, -1 in the first step; `rank`: which merge
    of the training made it, from 0, -1 where none did."""

    pieces: tuple[bytes, ...]
    merged: int = -1
    rank: int = -1


class Merges:
    """The merges of a tokenizer in the order in which they were learned."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        model: dict[str, Any] = json.loads(tokenizer.to_json())["model"]
        vocabulary: dict[str, int] = model["vocab"]
        self._pairs = [_pair(merge) for merge in model["merges"]]
        self._vocabulary = vocabulary
        self._as_wholes = bool(model.get("ignore_merges"))
        self._id_of = {tokenizer.token_bytes(index): index for index in vocabulary.values()}
        self._rank_of: dict[tuple[bytes, bytes], int] = {}
        for rank, (left, right) in enumerate(self._pairs):
            pair = tokenizer.token_bytes(vocabulary[left]), tokenizer.token_bytes(vocabulary[right])
            self._rank_of[pair] = rank  # of a pair listed twice the library keeps the last, too

    def __len__(self) -> int:
        return len(self._pairs)

    def id_of(self, piece: bytes) -> int | None:
        """The id of the token with these bytes, special tokens left out."""
        return self._id_of.get(piece)

    def replay(self, word: bytes) -> list[Step]:
        """Every step from single bytes to the tokens of `word`, a word as the pre-tokenizer cuts it.

        Empty where the word is longer than LONGEST_WORD.
        """
        if not word or len(word) > LONGEST_WORD:
            return []
        pieces = [bytes([byte]) for byte in word]
        steps = [Step(tuple(pieces))]
        if self._as_wholes and word in self._id_of and len(word) > 1:
            return [*steps, Step((word,), 0)]
        while True:
            ranks = [self._rank_of.get(pair, -1) for pair in pairwise(pieces)]
            rank, place = min(((rank, place) for place, rank in enumerate(ranks) if rank >= 0), default=(-1, -1))
            if rank < 0:
                return steps
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
            steps.append(Step(tuple(pieces), place, rank))

    def smallest(self) -> int:
        """Tokens that no merge made: the bytes and the special ones."""
        return len(self._vocabulary) - len({left + right for left, right in self._pairs} & self._vocabulary.keys())

    def first(self, count: int, like: "tokenizers.Tokenizer") -> "tuple[tokenizers.Tokenizer, int]":
        """What the training would have given, had it ended after `count` merges, and the size of its vocabulary.

        For measuring only: the ids are others. `like` is the whole tokenizer as the library has it.
        """
        import tokenizers
        from tokenizers.models import BPE

        made = {left + right for left, right in self._pairs}
        kept = self._pairs[:count]
        wanted = [token for token in self._vocabulary if token not in made]
        wanted += [token for token in dict.fromkeys(left + right for left, right in kept) if token in self._vocabulary]
        vocabulary = {token: index for index, token in enumerate(wanted)}
        library = tokenizers.Tokenizer(BPE(vocab=vocabulary, merges=kept))
        if like.pre_tokenizer is not None:
            library.pre_tokenizer = like.pre_tokenizer
        return library, len(vocabulary)


def _pair(merge: "str | list[str]") -> tuple[str, str]:
    """A merge as older and newer files write it: "a b" or ["a", "b"]."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
