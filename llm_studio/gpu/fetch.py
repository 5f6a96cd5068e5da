"""Downloads one large file, with resuming, checksum verification and cancelling."""

import contextlib
import hashlib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

import truststore

from llm_studio import __version__
from llm_studio.errors import DownloadError, reason_of
from llm_studio.events import Progress
from llm_studio.files import flush_to_disk, require_space, retry_while_locked, translate_os_errors
from llm_studio.i18n import _
from llm_studio.jobs import Job, iterate_in_thread

_BLOCK = 1 << 20
_READ_TIMEOUT = 30.0
"""Seconds without a byte after which the connection is reopened."""
_RETRY_DELAYS = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each retry."""
_PARTIAL = ".partial"
_MAX_PAGE_BYTES = 20_000_000


class _ConnectionBroken(Exception):  # noqa: N818  not an error yet
    """The connection broke or could not be opened: a retry may succeed."""


def read_page(url: str) -> str | None:
    """The text at `url`, None if there is none. Raises DownloadError if the server can't be reached."""
    try:
        with _open(url, 0) as response:
            return response.read(_MAX_PAGE_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):  # not found: download.pytorch.org answers 403
            return None
        raise _unreachable(url, f"HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _unreachable(url, _reason(error)) from error


def size_of(url: str) -> int:
    """Bytes of the file at `url`, 0 if the server doesn't report them."""
    try:
        with _open(url, 0, "HEAD") as response:
            return int(response.headers.get("Content-Length") or 0)
    except (OSError, HTTPException, ValueError):
        return 0


def here_already(target: Path) -> int:
    """Bytes of `target` that an earlier, interrupted call has downloaded."""
    with contextlib.suppress(OSError):
        return _partial(target).stat().st_size
    return 0


def fetch(url: str, target: Path, sha256: str, job: Job, task: str) -> None:
    """Download `url` to `target`, which appears only when complete; `sha256` is verified unless it is "".

    An interrupted download is kept beside it and resumed by the next call. Raises DownloadError if the server can't be
    reached after several attempts or the checksum differs, StorageError for the disk, Cancelled when stopped.
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
            except _ConnectionBroken as broken:
                tries = 1 if here_already(target) > before else tries + 1
                if tries > len(_RETRY_DELAYS):
                    raise _unreachable(url, str(broken)) from broken
                job.wait(_RETRY_DELAYS[tries - 1])
        if sha256 and sha256_of(partial, job) != sha256:
            partial.unlink()
            raise DownloadError(
                _("The download from {url} is damaged: its checksum is wrong.").format(url=url),
                _("It was deleted. Start again; if it happens twice, something on the network alters the file."),
            )
        flush_to_disk(partial)
        retry_while_locked(lambda: partial.replace(target))


def _partial(target: Path) -> Path:
    return target.with_name(target.name + _PARTIAL)


def sha256_of(path: Path, job: Job) -> str:
    """SHA-256 of a large file, in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            job.check()
            digest.update(block)
            done += len(block)
            job.report(Progress(_("Verifying the download"), done / 1e6, total / 1e6, _("MB")))
    return digest.hexdigest()


def _append(url: str, partial: Path, done: int, job: Job, task: str) -> None:
    """Write the rest of the file after `done` bytes, over one connection. Raises _ConnectionBroken."""
    with _response(url, done) as response:
        if response is None:  # already complete
            return
        if response.status != HTTPStatus.PARTIAL_CONTENT:  # the server ignored the range
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        if total is not None:
            require_space(partial.parent, total - done)
        with partial.open("ab" if done else "wb") as stream:
            for block in _content(response, job):
                stream.write(block)
                stream.flush()  # keep the download, however this process ends
                done += len(block)
                job.report(Progress(task, done / 1e6, total / 1e6 if total else None, _("MB")))
        if total is not None and done < total:
            raise _ConnectionBroken(_("the connection was cut"))


@contextlib.contextmanager
def _response(url: str, start: int) -> Generator[HTTPResponse | None]:
    """The server's response from byte `start` on; None when there is nothing after it."""
    try:
        response = _open(url, start)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            yield None
            return
        if error.code in (408, 429) or error.code >= 500:
            raise _ConnectionBroken(f"HTTP {error.code}") from error
        raise _unreachable(url, f"HTTP {error.code}") from error
    except (OSError, HTTPException) as error:
        raise _ConnectionBroken(_reason(error)) from error
    yield response  # the consumer closes it


def _open(url: str, start: int, method: str = "GET") -> HTTPResponse:
    headers = {"User-Agent": f"LLM-Studio/{__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers, method=method)
    # Windows downloads root certificates on demand: Python's list only has those downloaded before
    trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("https:") else None
    response = cast("HTTPResponse", urllib.request.urlopen(request, timeout=_READ_TIMEOUT, context=trust))
    if trust is not None and not response.url.startswith("https:"):
        response.close()
        raise urllib.error.URLError(_("it redirects to an address without encryption"))
    return response


def _content(response: HTTPResponse, job: Job) -> Generator[bytes]:
    """Yield the content as it arrives. Raises _ConnectionBroken, Cancelled.

    The response is closed in the thread that waits for the network: closing it here would wait for its timeout.
    """

    def read(abandoned: threading.Event) -> Iterator[bytes]:
        with response:
            while (block := response.read1(_BLOCK)) and not abandoned.is_set():
                yield block

    try:
        yield from iterate_in_thread(job, read)
    except (OSError, HTTPException) as error:
        raise _ConnectionBroken(_reason(error)) from error


def _reason(error: BaseException) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return reason_of(inner) if isinstance(inner, BaseException) else str(inner)


def _unreachable(url: str, reason: str) -> DownloadError:
    return DownloadError(
        _("{url} can't be reached: {reason}.").format(url=url, reason=reason),
        _("Check the connection, then start again: what was downloaded is kept."),
    )
