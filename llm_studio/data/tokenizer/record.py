"""The content of `tokenizer.meta.json`, next to a tokenizer. A tokenizer that the user has imported has none."""

from dataclasses import dataclass, field
from pathlib import Path

from llm_studio import records
from llm_studio.records import Amount, Count


@dataclass(frozen=True)
class TokenizerRecord:
    """How a tokenizer was trained, for `requested` tokens, and how it compresses validation text.

    `fingerprint` is its own; `inputs`: fingerprints of its training data and settings. `origin`: the model it was
    borrowed from, if it wasn't trained here.
    """

    fingerprint: str = ""
    requested: Count = 0
    vocab_size: Count = 0
    characters_per_token: Amount | None = None
    tokens_per_word: Amount | None = None
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    origin: str = ""


def recall_record(path: Path) -> TokenizerRecord:
    """The record at `path`; an empty one if none can be read: its tokenizer is then out of date."""
    content = records.recall_plain(path)
    try:
        return records.decode({**content, "requested": content.get("asked", 0)}, TokenizerRecord)
    except records.Misfit:
        return TokenizerRecord()
