"""The corpus as token ids on disk: writing and memory-mapping them.

`train.bin` and `val.bin` hold only ids, little-endian, each document followed by `<|endoftext|>`: the common research
format. `meta.json` records how to read them and what they were made from; it is written last, so if it exists, the
other files are complete. It also contains their checksums: see `token_files.py`.

With conversations there are also `train.mask` and `val.mask`: one bit for each id, the lowest bit of a byte first, 1
where the id is a target when the loss is on answers only (`turns.py`). That takes a sixteenth of the space of the ids
in uint16.
"""

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from llm_studio import files
from llm_studio.data.sources.conversations import END
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.meta import META_FILE, VERSION, SourceRange, TokensMeta, read_meta
from llm_studio.data.tokens.token_files import (
    BLOCK,
    TRAIN_FILE,
    TRAIN_MASK,
    VALIDATION_FILE,
    VALIDATION_MASK,
    BlockChecksums,
    files_of,
    mapped,
    prepare_again,
)
from llm_studio.data.tokens.turns import ConversationSplitter, MaskPacker, Segment, unpack_mask
from llm_studio.errors import DataError
from llm_studio.events import Progress
from llm_studio.files import atomic_write, fingerprint, require_space, retry_while_locked
from llm_studio.i18n import _
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import CorpusPlan, Split, TextSpan

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_BATCH = 500_000
"""Characters encoded in one call, on all cores: the library needs about 50 bytes for each."""
_CHECKED_IDS = 32_000_000
"""Number of ids that are checked when a file is opened; batches are checked when they are drawn."""


@dataclass(frozen=True)
class PreparedTokens:
    """The size of the files that `write_tokens` has written."""

    train_tokens: int
    validation_tokens: int
    vocab_size: int
    characters: int


# --- Writing -------------------------------------------------------------------------------------------------


def write_tokens(
    plan: "CorpusPlan", tokenizer: Tokenizer, folder: Path, corpus_fingerprint: str, job: Job
) -> PreparedTokens:
    """Write the tokens of the corpus to `folder` atomically. Raises Cancelled or a StudioError.

    Existing tokens are kept until the new ones are complete.
    """
    tokenizer.require_markers(plan.conversations)
    writer = _Writer(plan.train_characters + plan.validation_characters, plan.conversations, tokenizer, folder, job)
    meta_file, masks = folder / META_FILE, (folder / TRAIN_MASK, folder / VALIDATION_MASK)
    with atomic_write(meta_file) as meta_path:
        with (
            atomic_write(folder / VALIDATION_FILE) as validation_path,
            contextlib.ExitStack() as stack,
            _described_by(meta_file, folder / TRAIN_FILE),
            atomic_write(folder / TRAIN_FILE) as train_path,
        ):
            mask_paths = [stack.enter_context(atomic_write(mask)) if plan.conversations else None for mask in masks]
            train = writer.write(plan.texts("train"), train_path, mask_paths[0])
            validation = writer.write(plan.texts("validation"), validation_path, mask_paths[1])
            # from here on the files contain the new tokens: a crash leaves no tokens, not a mixture
            meta_file.unlink(missing_ok=True)
        if not plan.conversations:
            for mask in masks:
                retry_while_locked(lambda mask=mask: mask.unlink(missing_ok=True))
        meta = {
            "version": VERSION,
            "block": BLOCK,
            "dtype": writer.dtype.name,
            "vocab_size": tokenizer.vocab_size,
            "tokenizer": tokenizer.fingerprint,
            "corpus": corpus_fingerprint,
            "train": train.record(),
            "validation": validation.record(),
            "sources": [_source_record(source) for source in train.sources],
            "validation_sources": [_source_record(source) for source in validation.sources],
        }
        meta_path.write_text(json.dumps(meta, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
    return PreparedTokens(train.tokens, validation.tokens, tokenizer.vocab_size, writer.done)


def _source_record(source: SourceRange) -> dict[str, object]:
    """The entry of `meta.json`: a key unknown to older versions is written only if it is needed."""
    record = asdict(source)
    if not source.conversations:
        del record["conversations"]
    return record


@contextlib.contextmanager
def _described_by(meta: Path, file: Path) -> Generator[None]:
    """Restore `meta` if the block fails and `file` is unchanged: Windows can't replace a file that a run has mapped."""
    content = files.read_bytes(meta) if meta.exists() else None
    stat = file.stat() if file.exists() else None
    try:
        yield
    except BaseException:
        if content is not None and stat and file.exists() and os.path.samestat(stat, file.stat()):
            meta.write_bytes(content)
        raise


@dataclass(frozen=True)
class _Written:
    """One file of ids and, with conversations, the checksum of its mask and the number of ids in answers."""

    tokens: int
    sha256: str
    crc32: str
    sources: list[SourceRange]
    mask_sha256: str = ""
    counted: int = 0

    def record(self) -> dict[str, object]:
        """The entry of `meta.json`."""
        record: dict[str, object] = {"tokens": self.tokens, "sha256": self.sha256, "crc32": self.crc32}
        return record | ({"mask_sha256": self.mask_sha256, "counted": self.counted} if self.mask_sha256 else {})


class _Encoded(NamedTuple):
    """The ids of a batch, their ranges by source, and with conversations whether each is in an answer."""

    ids: NDArray[np.uint32]
    sources: list[SourceRange]
    in_answer: NDArray[np.bool_] | None


class _Writer:
    """Encodes texts into files and reports the progress in characters."""

    def __init__(
        self, characters: int, conversations: Collection[str], tokenizer: Tokenizer, folder: Path, job: Job
    ) -> None:
        self.dtype = np.dtype("<u2" if tokenizer.vocab_size <= 65_536 else "<u4")
        self.done = 0
        self._characters = characters
        self._conversations = conversations
        self._tokenizer = tokenizer
        self._folder = folder
        self._job = job

    def write(self, spans: "Iterable[TextSpan]", path: Path, mask_path: Path | None) -> _Written:
        """Write the ids of the texts to `path`, and the answer mask to `mask_path`. Raises Cancelled."""
        digest, mask_digest, blocks = hashlib.sha256(), hashlib.sha256(), BlockChecksums()
        sources: list[SourceRange] = []
        tokens = 0
        packer = MaskPacker()
        with path.open("wb") as stream, mask_path.open("wb") if mask_path else contextlib.nullcontext() as mask:
            for batch, encoded in _map_ahead(self._encode, _batches(spans, self._conversations)):
                self._job.check()
                if self.done == 0:
                    self._require_space(len(encoded.ids), batch)
                content = encoded.ids.astype(self.dtype).tobytes()
                digest.update(content)
                blocks.add(content)
                stream.write(content)
                if mask and encoded.in_answer is not None:
                    bits = packer.add(encoded.in_answer)
                    mask_digest.update(bits)
                    mask.write(bits)
                _extend(sources, encoded.sources, tokens)
                tokens += len(encoded.ids)
                self.done += _characters(batch)
                self._job.report(Progress(_("Turning texts into tokens"), self.done, self._characters, _("characters")))
            if mask:
                mask_digest.update(packer.finish())
                mask.write(packer.finish())
        sources = [replace(source, conversations=source.name in self._conversations) for source in sources]
        mask_sha256 = mask_digest.hexdigest() if mask_path else ""
        return _Written(tokens, digest.hexdigest(), blocks.text(), sources, mask_sha256, packer.counted)

    def _encode(self, batch: list[Segment]) -> _Encoded:
        """The ids of a batch, with their ranges by source."""
        arrays: list[NDArray[np.uint32]] = []
        in_answer: list[tuple[bool, int]] = []
        sources: list[SourceRange] = []
        position = 0
        special = {name: np.array([index], dtype=np.uint32) for name, index in self._tokenizer.markers.items()}
        for segment, ids in zip(batch, self._tokenizer.encode_many([s.text for s in batch]), strict=True):
            end = position + len(ids) + segment.ends
            if segment.marker:
                arrays.append(special[segment.marker])
                in_answer.append((segment.marker_in_answer, 1))
                end += 1
            arrays += [ids, special[END]] if segment.ends else [ids]
            in_answer.append((segment.in_answer, len(ids) + segment.ends))
            _extend(sources, [SourceRange(segment.source, position, end)], 0)
            position = end
        mask = np.repeat([a for a, _n in in_answer], [n for _a, n in in_answer]) if self._conversations else None
        return _Encoded(np.concatenate(arrays), sources, mask)

    def _require_space(self, tokens: int, batch: list[Segment]) -> None:
        """Raise DiskFullError if the disk is too small, extrapolating from the first batch."""
        needed = tokens / max(_characters(batch), 1) * self._characters * self.dtype.itemsize
        require_space(self._folder, round(needed))


def _characters(batch: list[Segment]) -> int:
    return sum(len(segment.marker) + len(segment.text) for segment in batch)


def _extend(sources: list[SourceRange], more: list[SourceRange], offset: int) -> None:
    """Append ranges, shifted by `offset`; a range of the same source as the last one extends it."""
    for source in more:
        start, end = source.start + offset, source.end + offset
        if sources and sources[-1].name == source.name:
            start = sources.pop().start
        sources.append(SourceRange(source.name, start, end))


def _batches(spans: "Iterable[TextSpan]", conversations: Collection[str]) -> Iterator[list[Segment]]:
    splitter = ConversationSplitter(conversations)
    batch: list[Segment] = []
    size = 0
    for span in spans:
        batch += splitter.segments(span)
        size += len(span.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], in_flight: int = 3
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with the result of `function`, in order; the next items are processed meanwhile."""
    with ThreadPoolExecutor(2) as workers:  # while one converts ids to an array, the other keeps the cores busy
        running: deque[tuple[_Item, Future[_Result]]] = deque()
        for item in items:
            running.append((item, workers.submit(function, item)))
            if len(running) == in_flight:
                oldest, future = running.popleft()
                yield oldest, future.result()
        for item, future in running:
            yield item, future.result()


# --- Reading -------------------------------------------------------------------------------------------------


class Tokens:
    """The prepared tokens of a project, memory-mapped. Close them before the files are replaced."""

    def __init__(self, folder: Path, meta: TokensMeta) -> None:
        """`meta` is the content of `meta.json`. Raises DataError; use `open_tokens`."""
        dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[meta.dtype])
        self.vocab_size = meta.vocab_size
        self.tokenizer = meta.tokenizer
        """Fingerprint of the tokenizer that encoded them."""
        self.corpus = meta.corpus
        """Fingerprint of the corpus."""
        self.sources = meta.sources
        self.validation_sources = meta.validation_sources
        """The same for the validation tokens; empty in files of older versions."""
        self.fingerprint = meta.fingerprint
        """Fingerprint of the ids and of the masks."""
        self.files = files_of(folder, meta)
        """The files with their checksums."""
        self.suspect = bool(meta.damaged)
        """Whether a run has found them to be damaged."""
        counts = meta.train.tokens, meta.validation.tokens
        self.train = self._checked(mapped(folder / TRAIN_FILE, dtype, counts[0]))
        self.validation = self._checked(mapped(folder / VALIDATION_FILE, dtype, counts[1]))
        byte = np.dtype(np.uint8)
        self._train_mask = mapped(folder / TRAIN_MASK, byte, -(-counts[0] // 8)) if meta.masked else None
        self._validation_mask = mapped(folder / VALIDATION_MASK, byte, -(-counts[1] // 8)) if meta.masked else None

    def __enter__(self) -> "Tokens":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files. Existing slices keep them mapped: on Windows they can't be replaced until then."""
        self.train = self.validation = np.empty(0, dtype=np.uint16)
        self._train_mask = self._validation_mask = None

    @property
    def has_conversations(self) -> bool:
        """Whether some of the tokens are from conversations, so that there are masks for the answers."""
        return self._train_mask is not None

    def fingerprint_for(self, loss_on: str) -> str:
        """Fingerprint of the targets of the loss: losses with the same fingerprint are comparable."""
        return (
            fingerprint(self.fingerprint, loss_on) if loss_on != "all" and self.has_conversations else self.fingerprint
        )

    def in_answer(self, split: "Split", places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the tokens at `places` are targets when the loss is on answers only; plain text always is."""
        bits = self._train_mask if split == "train" else self._validation_mask
        return np.ones(places.shape, dtype=np.bool_) if bits is None else unpack_mask(bits, places)

    def require_in_vocabulary(self, ids: NDArray[np.integer[Any]]) -> None:
        """Raise DataError for an id outside the vocabulary: the model would fail with an obscure error."""
        if ids.size and int(ids.max()) >= self.vocab_size:
            raise DataError(
                _("The tokens contain ids outside the vocabulary: the files are damaged."), prepare_again(), "tokens"
            )

    def _checked(self, ids: NDArray[Any]) -> NDArray[np.unsignedinteger[Any]]:
        """Return `ids` after checking a limited number of them, evenly spaced."""
        blocks = max(1, min(16, len(ids) * 16 // _CHECKED_IDS))
        for start in np.linspace(0, max(0, len(ids) - _CHECKED_IDS // blocks), blocks).astype(int):
            self.require_in_vocabulary(ids[start : start + _CHECKED_IDS // blocks])
        return ids


def open_tokens(folder: Path) -> Tokens:
    """The tokens in `folder`. Raises DataError if they are missing, incomplete, damaged or too new."""
    meta = read_meta(folder)
    if meta is None:
        raise DataError(_("The tokens of this project have not been prepared yet."), _("Run “llm-studio prepare”."),
                        "tokens")  # fmt: skip
    return Tokens(folder, meta)
