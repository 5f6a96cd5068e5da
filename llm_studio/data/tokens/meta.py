"""The content of `meta.json`, next to the tokens: their format, and what they were made from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from llm_studio import records
from llm_studio.errors import DataError, NewerRecordError, RecordError
from llm_studio.files import fingerprint
from llm_studio.i18n import _
from llm_studio.records import Amount, Count

VERSION = 1
META_FILE = "meta.json"


@dataclass(frozen=True)
class SourceRange:
    """The tokens of one source, from `start` to `end` in `train.bin`; sampled in proportion to their number × `weight`.

    The settings (`data.weights`) multiply this weight.
    """

    name: str
    start: Count
    end: Count
    weight: Amount = 1.0
    conversations: bool = False


@dataclass(frozen=True)
class SplitMeta:
    """One file of ids; with conversations also the checksum of its mask. `crc32`: of each block, see token_files.py."""

    tokens: Count
    sha256: str
    crc32: str = ""
    mask_sha256: str = ""


@dataclass(frozen=True)
class TokensMeta:
    """The content of `meta.json`. `tokenizer` and `corpus` are fingerprints of what the tokens were made from.

    `block`: size in bytes of a block with a checksum; `damaged`: the file that a run has found to be damaged, if any.
    """

    dtype: Literal["uint16", "uint32"]
    vocab_size: Annotated[int, records.checked(records.reader(int), range(1, 2**32).__contains__)]
    tokenizer: str
    corpus: str
    train: SplitMeta
    validation: SplitMeta
    sources: list[SourceRange]
    validation_sources: list[SourceRange] = field(default_factory=list[SourceRange])
    """Empty in files of older versions."""
    block: Count = 0
    damaged: str = ""

    @property
    def masked(self) -> bool:
        """Whether there are masks for the answers of conversations."""
        return bool(self.train.mask_sha256 and self.validation.mask_sha256)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the ids and of the masks."""
        splits = self.train, self.validation
        masks = [split.mask_sha256 for split in splits if split.mask_sha256]
        return fingerprint(*(split.sha256 for split in splits), *masks)

    @property
    def ranges_fit(self) -> bool:
        """Whether the ranges of the sources lie within the files."""
        return all(
            found.start <= found.end <= split.tokens
            for split, ranges in ((self.train, self.sources), (self.validation, self.validation_sources))
            for found in ranges
        )


def read_meta(folder: Path) -> TokensMeta | None:
    """The metadata of the tokens in `folder`; None if there are none. Raises DataError if it is damaged or newer."""
    again = _("Run “llm-studio prepare” again.")
    try:
        meta = records.read(folder / META_FILE, TokensMeta, newest=VERSION, most=records.MOST_BYTES_OF_MANY)
    except NewerRecordError as error:
        raise DataError(
            _("These tokens were made by a newer LLM Studio."),
            _("Update the program, or prepare the tokens again."), "tokens",
        ) from error  # fmt: skip
    except RecordError as error:
        raise DataError(error.what, again, "tokens") from error
    if meta is not None and not meta.ranges_fit:
        raise DataError(_("{file} is damaged.").format(file=META_FILE), again, "tokens")
    return meta


def recall_meta(folder: Path) -> TokensMeta | None:
    """The same for optional uses: also None if it is damaged or newer."""
    try:
        return read_meta(folder)
    except DataError:
        return None
