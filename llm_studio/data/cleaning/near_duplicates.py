"""Near duplicates: documents that share most of their phrases, found by MinHash and locality-sensitive hashing.

A document is the set of its phrases of five words (each character of Chinese and Japanese is a word). Its MinHash
signature (Broder 1997; here the R-MinHash of the library `rensa`) agrees with another's in as large a share of its
places as the sets have in common (their Jaccard similarity). Signatures are cut into bands; documents that agree in a
whole band are compared (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). Documents connected
by similar pairs form a group, of which the longest stays: the same whatever the order of the documents.

The library's own index holds all signatures in memory. Here they lie in a temporary file, 212 bytes for a document,
and the bands are gone through one after the other, at about 40 bytes of memory for a document.
"""

import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from llm_studio.files import close_quietly, translate_temporary_errors
from llm_studio.jobs import Job

LONGEST = 500_000
"""Characters of a document that are compared."""
NUM_PERM = 128
"""Of a signature: the standard error of a similarity of 0.8 is 0.035."""
SHINGLE_SIZE = 5
_SEED = 20_240_501
_BATCH = 500_000
"""Characters signed at once: some 60 bytes of memory for each."""
_ROWS = 1 << 15
"""Signatures read at once."""
_ROUNDS = 16
"""Documents of one bucket that the others are compared with."""

_Ids = NDArray[np.intp]
_Hashes = NDArray[np.uint64]


def _bands(similarity: float) -> tuple[int, int]:
    """Bands, and places of each, that find nearly all pairs of that similarity: 99 % and more."""
    places = 8 if similarity >= 0.9 else 6 if similarity >= 0.75 else 4 if similarity >= 0.6 else 3
    return NUM_PERM // places, places


# --- From texts to signatures -----------------------------------------------------------------------------------

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_NOT_A_WORD, _PART, _WHOLE = 0, 1, 2


@lru_cache(1)
def _kinds() -> NDArray[np.uint8]:
    """What each character of the first plane is in a word."""
    kinds = np.fromiter((chr(code).isalnum() for code in range(0x10000)), np.uint8, 0x10000)
    for first, last in ((0x2E80, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x0E00, 0x0EFF), (0x1780, 0x17FF)):
        kinds[first : last + 1] *= _WHOLE  # written without spaces
    return kinds


@lru_cache(2)
def _powers(base: int, count: int) -> _Hashes:
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _mixed(values: _Hashes) -> _Hashes:
    """Each bit of the result depends on all bits of the value (Stafford's variant of the MurmurHash3 finalizer)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _phrases(texts: list[str]) -> tuple[_Hashes, _Hashes]:
    """The hashes of all phrases of the texts, and where each text's begin, with the end of the last."""
    lowered = [text.lower() for text in texts]
    codes = np.frombuffer("\0".join([*lowered, ""]).encode("utf-32-le", "surrogatepass"), "<u4")
    begins = np.cumsum([0, *(len(text) + 1 for text in lowered)])
    kinds = np.full(len(codes), _WHOLE, np.uint8)
    first_plane = codes < 0x10000
    kinds[first_plane] = _kinds()[codes[first_plane]]
    part, whole = kinds == _PART, kinds == _WHOLE
    starts = np.flatnonzero(whole | (part & ~np.concatenate(([False], part[:-1]))))
    ends = np.flatnonzero(whole | (part & ~np.concatenate((part[1:], [False])))) + 1
    # The sum of code × base^place over a word, from sums since the beginning, moved to the word's own places
    size = 1 << max(len(codes), _BATCH).bit_length()
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(codes * _powers(_BASE, size)[: len(codes)])))
    words = _mixed((sums[ends] - sums[starts]) * _powers(_INVERSE, size)[starts])
    document = np.searchsorted(begins, starts, "right")
    phrases = words.copy()
    for ahead in range(1, min(SHINGLE_SIZE, len(words))):  # the last phrases of a text are shorter
        same = document[ahead:] == document[:-ahead]
        phrases[:-ahead] += words[ahead:] * np.uint64(pow(_BASE, ahead, 1 << 64)) * same
    return _mixed(phrases), np.searchsorted(starts, begins).astype(np.uint64)


@dataclass(frozen=True)
class NearDuplicate:
    """The document `removed` is so similar to `kept` of its group, of 1; they need not be neighbours in it."""

    removed: int
    kept: int
    similarity: float


class NearDuplicates:
    """Takes documents one after the other, then tells which are near duplicates. Close it, or use it as a context."""

    def __init__(self, similarity: float) -> None:
        """`similarity` is the share of phrases in common, from 0.5 to 1."""
        self._similarity = similarity
        self._bands, self._places = _bands(similarity)
        self._row = np.dtype([("bands", "<u4", (self._bands,)), ("places", "u1", (NUM_PERM,))])
        self._waiting: list[str] = []
        self._characters = 0
        self._documents = array("I")
        with translate_temporary_errors():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with this object

    def __enter__(self) -> "NearDuplicates":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the temporary file back."""
        close_quietly(self._file)

    def add(self, document: int, text: str) -> None:
        """The document of that number: its first LONGEST characters are what is compared."""
        self._documents.append(document)
        self._waiting.append(text[:LONGEST])
        self._characters += len(text)
        if self._characters >= _BATCH:
            self._sign()

    def _sign(self) -> None:
        from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

        if not self._waiting:
            return
        phrases, begins = _phrases(self._waiting)
        self._waiting, self._characters = [], 0
        signed = RMinHash.digest_matrix_from_flat_token_hashes(phrases, begins, NUM_PERM, _SEED)
        places = np.array(signed.to_rows(), np.uint32)
        rows = np.zeros(len(places), self._row)
        rows["places"] = places
        folded = np.zeros((len(places), self._bands), np.uint64)
        for place in range(self._places):
            folded = _mixed(folded + places[:, place : self._bands * self._places : self._places])
        # 0: without a single word, like none
        rows["bands"] = np.where((np.diff(begins.astype(np.int64)) > 0)[:, None], folded >> np.uint64(32) | 1, 0)
        with translate_temporary_errors():
            self._file.write(rows.tobytes())

    def found(
        self, hashes: _Hashes, lengths: NDArray[np.uint32], allowed: NDArray[np.bool_], job: Job
    ) -> list[NearDuplicate]:
        """The documents to remove of those `allowed`. All arrays are by the documents' numbers. Raises Cancelled."""
        self._sign()
        documents = np.frombuffer(self._documents, np.uint32) if self._documents else np.zeros(0, np.uint32)
        rows = np.flatnonzero(allowed[documents])  # rows of the file that matter
        groups = _Groups(len(documents))
        of_row = hashes[documents]
        for band in range(self._bands):
            job.check()
            self._join(groups, self._column(band, job), rows, of_row, job)
        return self._removed(groups, documents, rows, hashes, lengths)

    def _column(self, band: int, job: Job) -> NDArray[np.uint32]:
        column = np.empty(len(self._documents), np.uint32)
        with translate_temporary_errors():
            self._file.seek(0)
            for start in range(0, len(column), _ROWS):
                job.check()
                block = np.frombuffer(self._file.read(_ROWS * self._row.itemsize), self._row)
                column[start : start + len(block)] = block["bands"][:, band]
        return column

    def _join(self, groups: "_Groups", column: NDArray[np.uint32], rows: _Ids, hashes: _Hashes, job: Job) -> None:
        """Join all that are similar of those that agree in a band."""
        rows = rows[column[rows] != 0]
        order = rows[np.lexsort((hashes[rows], column[rows]))]
        for _round in range(_ROUNDS):
            buckets = column[order]
            new = np.concatenate(([True], buckets[1:] != buckets[:-1])) if len(order) else np.zeros(0, np.bool_)
            heads = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
            job.check()
            apart = groups.apart(heads, order)
            heads, order = heads[apart], order[apart]
            if not len(order):
                return
            similar = self._similar(heads, order, job) >= self._similarity
            for start in range(0, len(order), _ROWS):
                job.check()
                part = similar[start : start + _ROWS]
                groups.join(heads[start : start + _ROWS][part], order[start : start + _ROWS][part])
            order = order[~similar]

    def _similar(self, left: _Ids, right: _Ids, job: Job) -> NDArray[np.float64]:
        """The estimated similarity of each pair of rows."""
        out = np.empty(len(left))
        for start in range(0, len(left), _ROWS):
            job.check()
            part = slice(start, start + _ROWS)
            wanted, at = np.unique(np.concatenate((left[part], right[part])), return_inverse=True)
            places = np.stack(list(self._read(wanted)))
            half = len(at) // 2
            same = (places[at[:half]] == places[at[half:]]).mean(axis=1)
            out[part] = (same - 1 / 256) / (1 - 1 / 256)  # of a place only a byte is kept
        return out

    def _read(self, rows: _Ids) -> Iterator[NDArray[np.uint8]]:
        size = self._row.itemsize
        with translate_temporary_errors():
            for row in cast("list[int]", rows.tolist()):
                self._file.seek(row * size + size - NUM_PERM)
                yield np.frombuffer(self._file.read(NUM_PERM), np.uint8)

    def _removed(
        self,
        groups: "_Groups",
        documents: NDArray[np.uint32],
        rows: _Ids,
        hashes: _Hashes,
        lengths: NDArray[np.uint32],
    ) -> list[NearDuplicate]:
        roots = groups.roots()[rows]
        sizes = np.bincount(roots, minlength=len(documents))
        rows = rows[sizes[roots] > 1]
        if not len(rows):
            return []
        of, roots = documents[rows], groups.roots()[rows]
        order = np.lexsort((of, hashes[of], -lengths[of].astype(np.int64), roots))  # the longest of each group first
        rows, roots = rows[order], roots[order]
        new = np.concatenate(([True], roots[1:] != roots[:-1]))
        heads = rows[np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))][~new]
        rows = rows[~new]
        similar = self._similar(heads, rows, Job())
        found = zip(documents[rows].tolist(), documents[heads].tolist(), similar.tolist(), strict=True)
        return [NearDuplicate(removed, kept, max(0.0, similarity)) for removed, kept, similarity in sorted(found)]


class _Groups:
    """Disjoint sets of rows, each named by its lowest row."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count, dtype=np.int32)

    def roots(self) -> NDArray[np.int32]:
        """The name of each row's set."""
        while True:
            above = self._parents[self._parents]
            if np.array_equal(above, self._parents):
                return above
            self._parents = above

    def apart(self, left: _Ids, right: _Ids) -> NDArray[np.bool_]:
        """Which pairs are not in one set."""
        roots = self.roots()
        return roots[left] != roots[right]

    def join(self, left: _Ids, right: _Ids) -> None:
        """Make one set of the sets of each pair."""
        parents = self._parents
        for one, other in zip(cast("list[int]", left.tolist()), cast("list[int]", right.tolist()), strict=True):
            a, b = self._root(one), self._root(other)
            parents[max(a, b)] = min(a, b)

    def _root(self, row: int) -> int:
        parents = self._parents
        while (parent := int(parents[row])) != row:
            parents[row] = parents[parent]
            row = int(parents[row])
        return row
