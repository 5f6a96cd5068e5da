"""The number of bytes that tokens represent, which converts a loss per token to bits per byte."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.tokenizer.tokenizer import Tokenizer


def byte_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The bytes of each token (V,), from its raw bytes; 0 for special tokens, which belong to no text."""
    lengths = np.array([len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)], dtype=np.int64)
    lengths[list(tokenizer.markers.values())] = 0
    return lengths


def bytes_per_token(targets: NDArray[np.integer[Any]], tokenizer: Tokenizer) -> float | None:
    """Mean number of bytes of the `targets` of a loss, any shape; None if they don't represent text."""
    return float(byte_lengths(tokenizer)[targets].mean()) or None if targets.size else None
