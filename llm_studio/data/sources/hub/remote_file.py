"""A file on the hub as a Python file object; sequential reads use one connection.

A connection that breaks, times out or fails transiently is reopened at the current byte. A thread waits for the
network, so that the job can be stopped meanwhile.
"""

import contextlib
import hashlib
import io
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from llm_studio.data.sources.hub import libraries, requests
from llm_studio.data.sources.hub.requests import (
    RequestFailure,
    failure_of,
    failure_of_response,
    hub_error,
    wait_before_retry,
)
from llm_studio.errors import Cancelled, DownloadError
from llm_studio.i18n import _
from llm_studio.jobs import Job, iterate_in_thread
from llm_studio.records import Count

_SKIP = 1 << 20
"""A gap of up to this many bytes is read and discarded: that is faster than a new request."""


@dataclass(frozen=True)
class Shard:
    """One file of a dataset: its path in the repository, its size in bytes, and its SHA-256, "" if unknown."""

    path: str
    size: Count
    sha256: str = ""


@dataclass(frozen=True)
class DatasetRevision:
    """A dataset on the hub at a fixed revision."""

    dataset: str
    revision: str

    def url(self, path: str) -> str:
        """The URL of one of its files."""
        libraries.set_up()
        from huggingface_hub import hf_hub_url

        return hf_hub_url(
            self.dataset, path, repo_type="dataset", revision=self.revision, endpoint=libraries.endpoint()
        )


class _ConnectionBroken(Exception):  # noqa: N818  not an error yet
    """The connection broke or could not be opened: a retry may help."""

    def __init__(self, failure: RequestFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class DamagedError(DownloadError):
    """The downloaded content doesn't match its size or checksum on the hub."""


class RemoteFile(io.RawIOBase):
    """One shard as a readable stream. Reading raises HubError, DamagedError, DownloadError if the file is gone, and
    Cancelled if the job should stop.

    `on_bytes` is called with the number of bytes received. `window`: bytes per request, if only some will be needed.
    """

    def __init__(
        self, dataset: DatasetRevision, shard: Shard, job: Job, on_bytes: Callable[[int], None] = lambda _bytes: None,
        window: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._dataset = dataset
        self._shard = shard
        self._job = job
        self._on_bytes = on_bytes
        self._window = window
        self._position = 0
        self._chunks: Generator[bytes] | None = None
        self._chunks_at = 0
        self._rest = b""
        self._hash: Any = hashlib.sha256() if shard.sha256 else None
        self._hashed = 0

    # The file interface that Python and Arrow expect

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: the hub can send a file from any byte on."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position; nothing is downloaded yet."""
        self._position = offset + (0, self._position, self._shard.size)[whence]
        return self._position

    def size(self) -> int:
        """Size of the file in bytes."""
        return self._shard.size

    def readinto(self, buffer: Any) -> int:
        """Read up to `len(buffer)` bytes into `buffer`, and return their number; 0 at the end of the file."""
        content = self._read_some(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, or the rest of the file if negative or None; fewer only at the end of the file."""
        remaining = self._shard.size - self._position
        if size is not None and size >= 0:
            remaining = min(size, remaining)
        blocks: list[bytes] = []
        while remaining > 0 and (block := self._read_some(remaining)):
            blocks.append(block)
            remaining -= len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()
        super().close()

    # Downloading

    def _read_some(self, limit: int) -> bytes:
        """Read up to `limit` bytes at the position: at least one, except at the end of the file."""
        if self._position >= self._shard.size or not limit:
            return b""
        if self._chunks is None or not self._chunks_at <= self._position <= self._chunks_at + _SKIP:
            self._disconnect()
            self._chunks, self._chunks_at = self._stream(self._position), self._position
        while not self._rest or self._chunks_at + len(self._rest) <= self._position:
            self._chunks_at += len(self._rest)
            self._rest = next(self._chunks)
        start = self._position - self._chunks_at
        content = self._rest[start : start + limit]
        self._rest = self._rest[start + len(content) :]
        self._position += len(content)
        self._chunks_at = self._position
        return content

    def _disconnect(self) -> None:
        if self._chunks is not None:
            self._chunks.close()
        self._chunks, self._rest = None, b""

    def _stream(self, start: int) -> Generator[bytes]:
        """Yield the bytes from `start` to the end of the file, over as many connections as needed."""
        tries, first_failure = 0, True
        while start < self._shard.size:
            before = start
            try:
                with contextlib.closing(self._one_connection(start)) as chunks:
                    for chunk in chunks:
                        self._verify_checksum(start, chunk)
                        start += len(chunk)
                        self._on_bytes(len(chunk))
                        yield chunk
                if start < self._end(before):
                    raise _ConnectionBroken(RequestFailure(0, _("the connection was cut")))
                tries = 0
            except _ConnectionBroken as broken:
                tries = 1 if start > before else tries + 1
                if broken.failure.status == 0 and first_failure and tries > 1:
                    requests.require_connection(self._job)
                    first_failure = False
                if broken.failure.status == 404:
                    raise file_gone(self._shard.path, self._dataset.dataset) from broken
                if tries > len(requests.RETRY_DELAYS) or not broken.failure.transient:
                    raise hub_error(broken.failure, self._dataset.dataset) from broken
                wait_before_retry(self._job, broken.failure, tries - 1)

    def _end(self, start: int) -> int:
        """The end of the range that a connection starting at `start` requests."""
        return self._shard.size if self._window is None else min(self._shard.size, start + self._window)

    def _verify_checksum(self, start: int, chunk: bytes) -> None:
        """Hash a chunk; compare the checksum if the file has been read from the first to the last byte without gaps."""
        if self._hash is None or start != self._hashed:
            self._hash = None
            return
        self._hash.update(chunk)
        self._hashed += len(chunk)
        if self._hashed == self._shard.size and self._hash.hexdigest() != self._shard.sha256:
            raise damaged(self._shard.path, self._dataset.dataset)

    def _one_connection(self, start: int) -> Generator[bytes]:
        """Yield the bytes of one connection from `start` on. Raises _ConnectionBroken, DamagedError, Cancelled."""
        try:
            yield from iterate_in_thread(self._job, lambda abandoned: self._response(start, abandoned))
        except (_ConnectionBroken, DamagedError, Cancelled):
            raise
        except Exception as error:
            raise _ConnectionBroken(failure_of(error)) from error

    def _response(self, start: int, abandoned: threading.Event) -> Iterator[bytes]:
        """Yield the content of the hub's response; runs in the thread."""
        libraries.set_up()
        from huggingface_hub.utils import build_hf_headers, get_session

        headers = build_hf_headers(token=libraries.token() or False, library_name="llm-studio")
        last = "" if self._window is None else str(self._end(start) - 1)
        headers |= {"Range": f"bytes={start}-{last}", "Accept-Encoding": "identity"}
        url = self._dataset.url(self._shard.path)
        with get_session().stream(
            "GET", url, headers=headers, timeout=requests.READ_TIMEOUT, follow_redirects=True
        ) as response:
            if response.status_code == 416:
                raise damaged(self._shard.path, self._dataset.dataset)
            if response.status_code not in (200, 206):
                raise _ConnectionBroken(failure_of_response(response.status_code, response.headers))
            skip = start if response.status_code == 200 else 0  # the server ignored the range
            self._require_size(response.headers)
            for chunk in response.iter_raw():
                if abandoned.is_set():
                    return
                dropped, skip = min(skip, len(chunk)), max(0, skip - len(chunk))
                if dropped < len(chunk):
                    yield chunk[dropped:]

    def _require_size(self, headers: Any) -> None:
        """Raise DamagedError if the size given by the server differs from the one given by the hub."""
        total = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
        if total.isdigit() and int(total) != self._shard.size:
            raise damaged(self._shard.path, self._dataset.dataset)


def file_gone(path: str, dataset: str) -> DownloadError:
    """The error for a file that no longer exists: the authors have rewritten the history of the dataset."""
    return DownloadError(
        _("“{path}” of “{name}” is no longer on the hub in the version this download started with.").format(
            path=path, name=dataset),
        _("What was downloaded can be used. To get the newest version, remove the source and download it again."),
    )  # fmt: skip


def damaged(path: str, dataset: str) -> DamagedError:
    """The error for a file whose content doesn't match its size or checksum."""
    return DamagedError(
        _("The download of “{path}” from “{name}” is damaged: it doesn't match its checksum on the hub.").format(
            path=path, name=dataset),
        _("Start again: what was downloaded before is kept. If it happens again, contact the authors of the dataset."),
    )  # fmt: skip
