"""Fetching one large file: goes on where it was cut off, checks what came, can be stopped at any moment."""

import contextlib
import hashlib
import queue
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Generator
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

import truststore

from llm_studio import __version__
from llm_studio.errors import DownloadError
from llm_studio.events import Progress
from llm_studio.files import flush_to_disk, require_space, retry_while_locked, translate_os_errors
from llm_studio.i18n import _
from llm_studio.jobs import Job

_CHUNK = 1 << 20
_SILENCE = 30.0
"""Seconds without a byte after which the connection is made anew."""
_PAUSES = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each further try."""
_LOOK_EVERY = 0.25
_PARTIAL = ".partial"
_LONGEST_PAGE = 20_000_000


class _Broken(Exception):  # noqa: N818  not an error yet
    """The connection broke or never came about: worth another try."""


def read_page(url: str) -> str | None:
    """The text at `url`, None where there is none. Raises DownloadError where the server can't be reached."""
    try:
        with _open(url, 0) as response:
            return response.read(_LONGEST_PAGE).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):  # what is asked for isn't there: download.pytorch.org says 403
            return None
        raise _unreachable(url, f"HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _unreachable(url, _reason(error)) from error


def size_of(url: str) -> int:
    """Bytes of the file at `url`, 0 where the server doesn't tell."""
    try:
        with _open(url, 0, "HEAD") as response:
            return int(response.headers.get("Content-Length") or 0)
    except (OSError, HTTPException, ValueError):
        return 0


def here_already(target: Path) -> int:
    """Bytes of `target` that an earlier, interrupted call has fetched."""
    with contextlib.suppress(OSError):
        return _partial(target).stat().st_size
    return 0


def fetch(url: str, target: Path, sha256: str, job: Job, task: str) -> None:
    """Fetch `url` into `target`, which is whole or absent; `sha256` is checked unless it is "".

    What has come stays beside it and is gone on with at the next call. Raises DownloadError when the server can't be
    reached again and again or what came isn't what was promised, StorageError for the disk, Cancelled when stopped.
    """
    if target.exists():
        return
    partial = _partial(target)
    with translate_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        tries = 0
        while True:
            before = here_already(target)
            try:
                _append(url, partial, before, job, task)
                break
            except _Broken as broken:
                tries = 1 if here_already(target) > before else tries + 1
                if tries > len(_PAUSES):
                    raise _unreachable(url, str(broken)) from broken
                job.wait(_PAUSES[tries - 1])
        if sha256 and sha256_of(partial, job) != sha256:
            partial.unlink()
            raise DownloadError(
                _("What came from {url} is damaged: its checksum isn't the one that was promised.").format(url=url),
                _("Nothing of it is kept. Start again; if it happens twice, something on the way alters it."),
            )
        flush_to_disk(partial)
        retry_while_locked(lambda: partial.replace(target))


def _partial(target: Path) -> Path:
    return target.with_name(target.name + _PARTIAL)


def sha256_of(path: Path, job: Job) -> str:
    """SHA-256 of a large file, in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            job.check()
            digest.update(chunk)
            done += len(chunk)
            job.report(Progress(_("Checking what came"), done / 1e6, total / 1e6, _("MB")))
    return digest.hexdigest()


def _append(url: str, partial: Path, done: int, job: Job, task: str) -> None:
    """One connection: write what is still missing after `done` bytes. Raises _Broken when it ends too early."""
    with _answer(url, done) as response:
        if response is None:  # nothing is missing
            return
        if response.status != HTTPStatus.PARTIAL_CONTENT:  # a server that can't begin in the middle
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        if total is not None:
            require_space(partial.parent, total - done)
        with partial.open("ab" if done else "wb") as stream:
            for chunk in _chunks(response, job):
                stream.write(chunk)
                stream.flush()  # what has come is kept, however this process ends
                done += len(chunk)
                job.report(Progress(task, done / 1e6, total / 1e6 if total else None, _("MB")))
        if total is not None and done < total:
            raise _Broken(_("the connection was cut"))


@contextlib.contextmanager
def _answer(url: str, start: int) -> Generator[HTTPResponse | None]:
    """The server's answer from byte `start` on; None when there is nothing after it."""
    try:
        response = _open(url, start)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            yield None
            return
        if error.code in (408, 429) or error.code >= 500:
            raise _Broken(f"HTTP {error.code}") from error
        raise _unreachable(url, f"HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from error
    yield response  # who reads it closes it


def _open(url: str, start: int, method: str = "GET") -> HTTPResponse:
    headers = {"User-Agent": f"LLM-Studio/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers, method=method)
    # Windows fetches the roots of certificates when they are asked for: Python's own list knows those of before
    trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("https:") else None
    return cast("HTTPResponse", urllib.request.urlopen(request, timeout=_SILENCE, context=trust))


def _chunks(response: HTTPResponse, job: Job) -> Generator[bytes]:
    """What comes, as it comes. A thread waits for the network, so that the job can be stopped during a silence.

    The thread closes the answer: to close it from here would wait for the end of the silence.
    """
    arrived: queue.Queue[bytes | BaseException] = queue.Queue(maxsize=8)
    over = threading.Event()

    def put(item: bytes | BaseException) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                arrived.put(item, timeout=_LOOK_EVERY)
                return

    def read() -> None:
        try:
            with response:
                while (chunk := response.read1(_CHUNK)) and not over.is_set():
                    put(chunk)
            put(b"")
        except (OSError, HTTPException) as error:
            put(error)

    threading.Thread(target=read, name="fetch", daemon=True).start()
    try:
        while True:
            job.check()
            with contextlib.suppress(queue.Empty):
                item = arrived.get(timeout=_LOOK_EVERY)
                if isinstance(item, BaseException):
                    raise _Broken(_reason(item)) from item
                if not item:
                    return
                yield item
    finally:
        over.set()


def _reason(error: BaseException) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(inner) or type(inner).__name__


def _unreachable(url: str, reason: str) -> DownloadError:
    return DownloadError(
        _("{url} can't be reached: {reason}.").format(url=url, reason=reason),
        _("Look at the connection, then start again: what has come is kept."),
    )
