"""Tokenizers of any size that need no text: their merges are pairs of bytes."""

import json
from typing import Any

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.tokenizer.patterns import QWEN2
from llm_studio.data.tokenizer.tokenizer import Tokenizer


def of_pairs(size: int, pre_tokenizer: dict[str, Any] | None = None, **changes: Any) -> str:
    """The JSON of a tokenizer with `size` tokens. `changes`: replaced parts of the file, by name."""
    from tokenizers.pre_tokenizers import ByteLevel

    characters = sorted(ByteLevel.alphabet())
    pairs = [(a, b) for a in characters for b in characters][: size - len(SPECIAL_TOKENS) - len(characters)]
    tokens = [*SPECIAL_TOKENS, *characters, *(a + b for a, b in pairs)]
    content = {
        "version": "1.0", "normalizer": None,
        "pre_tokenizer": pre_tokenizer or words(QWEN2),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "added_tokens": [added(name, n) for n, name in enumerate(SPECIAL_TOKENS)],
        "model": {"type": "BPE", "vocab": {token: n for n, token in enumerate(tokens)}, "merges": pairs},
    } | changes  # fmt: skip
    assert Tokenizer(content).vocab_size >= size
    return json.dumps(content)


def added(name: str, index: int, special: bool = True) -> dict[str, Any]:
    """An entry of `added_tokens`."""
    return {"id": index, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": special}  # fmt: skip


def words(pattern: str) -> dict[str, Any]:
    """A pre-tokenizer that splits texts by a pattern, as in new tokenizers."""
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ]}  # fmt: skip


def byte_level(**changes: Any) -> dict[str, Any]:
    """GPT-2's pre-tokenizer, used by older tokenizers."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | changes
