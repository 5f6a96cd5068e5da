"""What `tokenizer.meta.json` says of the tokenizer beside it. One that the user has put there has none."""

from dataclasses import dataclass, field
from pathlib import Path

from llm_studio import records
from llm_studio.records import Amount, Count


@dataclass(frozen=True)
class TokenizerRecord:
    """How a tokenizer was trained, for `requested` tokens, and how it compresses validation text.

    `fingerprint` is its own; `inputs`: fingerprints of what it was trained from. `origin`: the model it was taken over
    from, if it wasn't trained here.
    """

    fingerprint: str = ""
    requested: Count = 0
    vocab_size: Count = 0
    characters_per_token: Amount | None = None
    tokens_per_word: Amount | None = None
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    origin: str = ""


def recall_record(path: Path) -> TokenizerRecord:
    """The record at `path`; an empty one where there is none that can be read: its tokenizer is out of date then."""
    content = records.recall_plain(path)
    try:
        return records.decode({**content, "requested": content.get("asked", 0)}, TokenizerRecord)
    except records.Misfit:
        return TokenizerRecord()
