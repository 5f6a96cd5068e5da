"""Text to the ids of tokens and back: byte-level byte-pair encoding, in the format of Hugging Face `tokenizers`."""

from collections.abc import Iterable
from pathlib import Path

import tokenizers

from src import ROOT

TOKENIZER = ROOT / "tokenizer.json"
SPECIAL_TOKENS = ["<|endoftext|>", "<|user|>", "<|assistant|>"]
# [if not gpt2_words]
PATTERN = (
    # [if digits_apart]
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    # [else]
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    # [end]
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How a text is cut into words before bytes are merged: no token goes across such a border."""
# [end]


class Tokenizer:
    """A trained tokenizer. The names of special tokens in a text are text like any other."""

    def __init__(self, path: Path = TOKENIZER) -> None:
        self.library = tokenizers.Tokenizer.from_file(str(path))
        self.library.encode_special_tokens = True
        self.vocab_size = self.library.get_vocab_size()
        self.end_of_text, self.user, self.assistant = map(self.library.token_to_id, SPECIAL_TOKENS)

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return self.library.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """The text of ids. What isn't a whole character becomes U+FFFD."""
        return self.library.decode(ids, skip_special_tokens=False)

    # [if conversations]
    def question(self, text: str) -> list[int]:
        """The ids of a question, which the model continues with its answer."""
        return [self.user, *self.encode(text.strip()), self.assistant]

    # [end]


def train_tokenizer(texts: Iterable[str], vocab_size: int, min_frequency: int) -> None:
    """Merge the most frequent pairs of tokens, from single bytes on, until there are `vocab_size` tokens."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    # [if not gpt2_words]
    library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    # [end]
    # [if gpt2_words and not digits_apart]
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)  # cuts texts as GPT-2 does
    # [end]
    # [if gpt2_words and digits_apart]
    library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),  # cuts texts as GPT-2 does
    ])  # fmt: skip
    # [end]
    library.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=SPECIAL_TOKENS,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), max_token_length=65,
    )  # fmt: skip
    library.train_from_iterator(texts, trainer)
    library.save(str(TOKENIZER))
