"""A file on the hub as Python's file object: read where it is asked for, over one connection as long as it is read on.

A connection that breaks, is silent for too long or meets a passing trouble is made anew at the byte where it was.
A thread waits for the network, so that the job can be stopped during a silence.
"""

import contextlib
import hashlib
import io
import queue
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
from llm_studio.errors import DownloadError
from llm_studio.i18n import _
from llm_studio.jobs import Job

_SKIP = 1 << 20
"""Bytes that are sooner read and dropped than asked around."""


@dataclass(frozen=True)
class Shard:
    """One file of a data set: its path in the repository, bytes, SHA-256 where the hub tells it."""

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class DatasetRevision:
    """A data set on the hub, at one version of it for good."""

    dataset: str
    revision: str

    def url(self, path: str) -> str:
        """The address of one of its files."""
        libraries.set_up()
        from huggingface_hub import hf_hub_url

        return hf_hub_url(
            self.dataset, path, repo_type="dataset", revision=self.revision, endpoint=libraries.endpoint()
        )


class _Broken(Exception):  # noqa: N818  not an error yet
    """The connection broke or never came about: worth another try."""

    def __init__(self, trouble: RequestFailure) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


class DamagedError(DownloadError):
    """What came isn't what the hub promised."""


class RemoteFile(io.RawIOBase):
    """One shard, to read from. Its methods raise HubError, DamagedError, and Cancelled when the job is to stop.

    `came` is told of the bytes that arrive. `window`: so many bytes are asked for at a time, where few will be wanted.
    """

    def __init__(
        self, dataset: DatasetRevision, shard: Shard, job: Job, on_bytes: Callable[[int], None] = lambda _bytes: None,
        window: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._place = dataset
        self._shard = shard
        self._job = job
        self._came = on_bytes
        self._window = window
        self._position = 0
        self._chunks: Generator[bytes] | None = None
        self._chunks_at = 0
        self._rest = b""
        self._hash: Any = hashlib.sha256() if shard.sha256 else None
        self._hashed = 0

    # What Python and Arrow ask of a file

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always: the hub answers from any byte on."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another place; nothing is fetched yet."""
        self._position = offset + (0, self._position, self._shard.size)[whence]
        return self._position

    def size(self) -> int:
        """Bytes of the file."""
        return self._shard.size

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, less at the end of the file."""
        content = self._take(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, all that follow where it is negative; fewer only at the end of the file."""
        wanted = self._shard.size - self._position
        if size is not None and size >= 0:
            wanted = min(size, wanted)
        parts: list[bytes] = []
        while wanted > 0 and (part := self._take(wanted)):
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """End the connection."""
        self._hang_up()
        super().close()

    # Fetching

    def _take(self, most: int) -> bytes:
        """Some of the bytes from the position on, at least one before the end of the file."""
        if self._position >= self._shard.size or not most:
            return b""
        if self._chunks is None or not self._chunks_at <= self._position <= self._chunks_at + _SKIP:
            self._hang_up()
            self._chunks, self._chunks_at = self._arriving(self._position), self._position
        while not self._rest or self._chunks_at + len(self._rest) <= self._position:
            self._chunks_at += len(self._rest)
            self._rest = next(self._chunks)
        start = self._position - self._chunks_at
        content = self._rest[start : start + most]
        self._rest = self._rest[start + len(content) :]
        self._position += len(content)
        self._chunks_at = self._position
        return content

    def _hang_up(self) -> None:
        if self._chunks is not None:
            self._chunks.close()
        self._chunks, self._rest = None, b""

    def _arriving(self, start: int) -> Generator[bytes]:
        """The bytes from `start` to the end of the file, over as many connections as it takes."""
        tries, first_trouble = 0, True
        while start < self._shard.size:
            before = start
            try:
                with contextlib.closing(self._one_connection(start)) as chunks:
                    for chunk in chunks:
                        self._check_sum(start, chunk)
                        start += len(chunk)
                        self._came(len(chunk))
                        yield chunk
                if start < self._end(before):
                    raise _Broken(RequestFailure(0, _("the connection was cut")))
                tries = 0
            except _Broken as broken:
                tries = 1 if start > before else tries + 1
                if broken.trouble.status == 0 and first_trouble and tries > 1:
                    requests.require_connection(self._job)
                    first_trouble = False
                if broken.trouble.status == 404:
                    raise file_gone(self._shard.path, self._place.dataset) from broken
                if tries > len(requests.RETRY_DELAYS) or not broken.trouble.transient:
                    raise hub_error(broken.trouble, self._place.dataset) from broken
                wait_before_retry(self._job, broken.trouble, tries - 1)

    def _end(self, start: int) -> int:
        """Where a connection that begins at `start` ends."""
        return self._shard.size if self._window is None else min(self._shard.size, start + self._window)

    def _check_sum(self, start: int, chunk: bytes) -> None:
        """Compare the checksum when the file has been read from its first byte to its last."""
        if self._hash is None or start != self._hashed:
            self._hash = None
            return
        self._hash.update(chunk)
        self._hashed += len(chunk)
        if self._hashed == self._shard.size and self._hash.hexdigest() != self._shard.sha256:
            raise damaged(self._shard.path, self._place.dataset)

    def _one_connection(self, start: int) -> Generator[bytes]:
        """What one connection brings from byte `start` on. Raises _Broken, DamagedError."""
        arrived: queue.Queue[bytes | BaseException] = queue.Queue(maxsize=4)
        over = threading.Event()

        def put(item: bytes | BaseException) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    arrived.put(item, timeout=requests.POLL_SECONDS)
                    return

        def read() -> None:
            try:
                for chunk in self._answer(start, over):
                    put(chunk)
                put(b"")
            except BaseException as error:  # it is raised where the bytes are awaited
                put(error)

        threading.Thread(target=read, name="hub", daemon=True).start()
        try:
            while True:
                self._job.check()
                try:
                    item = arrived.get(timeout=requests.POLL_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(item, _Broken | DamagedError):
                    raise item
                if isinstance(item, BaseException):
                    raise _Broken(failure_of(item)) from item
                if not item:
                    return
                yield item
        finally:
            over.set()

    def _answer(self, start: int, over: threading.Event) -> Iterator[bytes]:
        """The content of the hub's answer, read in the thread."""
        libraries.set_up()
        from huggingface_hub.utils import build_hf_headers, get_session

        headers = build_hf_headers(token=libraries.token() or False, library_name="llm-studio")
        last = "" if self._window is None else str(self._end(start) - 1)
        headers |= {"Range": f"bytes={start}-{last}", "Accept-Encoding": "identity"}
        url = self._place.url(self._shard.path)
        with get_session().stream(
            "GET", url, headers=headers, timeout=requests.READ_TIMEOUT, follow_redirects=True
        ) as answer:
            if answer.status_code == 416:
                raise damaged(self._shard.path, self._place.dataset)
            if answer.status_code not in (200, 206):
                raise _Broken(failure_of_response(answer.status_code, answer.headers))
            skip = start if answer.status_code == 200 else 0  # a server that always begins at the beginning
            self._require_size(answer.headers)
            for chunk in answer.iter_raw():
                if over.is_set():
                    return
                dropped, skip = min(skip, len(chunk)), max(0, skip - len(chunk))
                if dropped < len(chunk):
                    yield chunk[dropped:]

    def _require_size(self, headers: Any) -> None:
        """Raise DamagedError where the server has another size of the file than the hub tells."""
        total = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "")
        if total.isdigit() and int(total) != self._shard.size:
            raise damaged(self._shard.path, self._place.dataset)


def file_gone(path: str, dataset: str) -> DownloadError:
    """The sentence for a file that was there once: its authors have rewritten the history of the data set."""
    return DownloadError(
        _("“{path}” of “{name}” is no longer on the hub in the version that this source was begun with.").format(
            path=path, name=dataset),
        _("What has come can be used. To have the newest version, remove the source and download it again."),
    )  # fmt: skip


def damaged(path: str, dataset: str) -> DamagedError:
    """The sentence for a file whose content isn't what the hub promised."""
    return DamagedError(
        _("What came of “{path}” from “{name}” is damaged: it isn't what the hub promised.").format(
            path=path, name=dataset),
        _("Start again: what came before it is kept. If it happens again, tell the authors of the data set."),
    )  # fmt: skip
