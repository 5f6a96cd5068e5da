"""The patterns by which a text is split into words before bytes are merged: no token crosses such a boundary.

Other programs can run these models only if they know the pattern: transformers reads it from `tokenizer.json`,
llama.cpp has a list of known ones. New tokenizers therefore use one of these two, never a new one.
"""

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

QWEN2 = _WORDS.format(digits=r"\p{N}")
"""Qwen2's pattern, with each digit on its own. A word includes the space, tab or mark before it: "(word", "l'", "'eau"
instead of three words each; the ends of lines belong to the punctuation before them."""
LLAMA3 = _WORDS.format(digits=r"\p{N}{1,3}")
"""Llama 3's pattern, which llama.cpp calls llama-bpe: the same, but up to three digits together."""
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pattern, used by tokenizers made before 29 November 2026."""


def pattern_for(split_digits: bool) -> str:
    """The pattern of a new tokenizer."""
    return QWEN2 if split_digits else LLAMA3
