"""A Hugging Face hub on loopback, with faults to order. It speaks what `huggingface_hub` and `datasets` ask: search and
information, trees, files with their redirect to the place where large ones are, ranges."""

import json
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.hub.repositories import (
    Content,
    Repository,
    content_of,
    git_sha,
    is_large,
    repositories_in,
    sha256_of,
)


@dataclass
class Faults:
    """What goes wrong. Lists: once for each request of a large file, in their order; 0 or None: nothing."""

    cut_after: list[int] = field(default_factory=list[int])
    """The connection is cut after so many bytes."""
    errors: list[int] = field(default_factory=list[int])
    """This HTTP status instead of the content."""
    api_errors: list[int] = field(default_factory=list[int])
    """This HTTP status instead of an answer of the API."""
    retry_after: int | None = None
    """Seconds that such an answer asks to wait."""
    always: int | None = None
    """Every request of a large file gets this status."""
    stall_after: int | None = None
    """Every large file stops after so many bytes, and the connection stays open."""
    stall_api: bool = False
    truncated: int | None = None
    """Large files end after so many bytes, and the server believes that to be their size."""
    damaged: list[int] = field(default_factory=list[int])
    """The byte at this place is another one."""
    slow: float = 0.0
    """Seconds before every answer of the API."""


@dataclass
class Hub:
    """A running hub."""

    address: str
    repositories: dict[str, Repository]
    faults: Faults
    requests: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Method, path and range of what was asked for."""
    tokens: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path and token of each request that had one."""
    sent: int = 0
    """Bytes of large files."""

    def add(self, name: str, files: dict[str, Content], **more: Any) -> Repository:
        """A new dataset, or a new version of one."""
        repository = self.repositories.setdefault(name, Repository(name, **more))
        repository.commit(files)
        return repository


_API = r"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree|paths-info|auth-check)(?:/([^/]+)(?:/(.+))?)?)?"


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    over: threading.Event
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if bearer := self.headers.get("Authorization", ""):
            self.hub.tokens.append((self.path, bearer))
        if url.path.startswith("/api/"):
            self._api(url.path, query, body)
        elif url.path.startswith("/cdn/"):
            self._large(urllib.parse.unquote(url.path), query)
        elif match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", url.path):
            name, revision, path = map(urllib.parse.unquote, match.groups())
            self._resolve(name, revision, path)
        elif url.path == "/":
            self._send(200, b"a hub")
        else:
            self._refuse(404, "EntryNotFound")

    # The API

    def _api(self, path: str, query: dict[str, str], body: bytes) -> None:
        faults = self.hub.faults
        if faults.stall_api:
            self.over.wait(60)
            self.close_connection = True
            return
        time.sleep(faults.slow)
        if faults.api_errors and (status := faults.api_errors.pop(0)):
            self._refuse(status, "")
        elif path == "/api/datasets":
            self._json(self._search(query))
        elif path == "/api/whoami-v2":
            self._json({"name": "someone", "type": "user"})
        elif match := re.fullmatch(_API, path):
            name, verb, revision, inner = (urllib.parse.unquote(part or "") for part in match.groups())
            if found := self._version(name, revision or "main", card=verb in ("", "revision")):
                self._about(*found, verb, inner, query, body)
        else:
            self._refuse(404, "RepoNotFound")

    def _search(self, query: dict[str, str]) -> list[dict[str, Any]]:
        words = query.get("search", "").lower().split()
        hits = [r for r in self.hub.repositories.values() if all(word in r.name.lower() for word in words)]
        hits.sort(key=lambda r: -r.downloads)
        return [r.about(r.sha) for r in hits[: int(query.get("limit", 1000))]]

    def _about(
        self, repository: Repository, sha: str, verb: str, inner: str, query: dict[str, str], body: bytes
    ) -> None:
        if verb == "auth-check":
            self._json({})
        elif verb in ("", "revision"):
            self._json(repository.about(sha))
        elif verb == "tree":
            if inner and repository.entry(sha, inner) is None:
                self._refuse(404, "EntryNotFound")
                return
            self._json(repository.tree(sha, inner, query.get("recursive", "").lower() in ("true", "1")))
        else:
            kind = self.headers.get("Content-Type", "")
            requested: Any = json.loads(body) if "json" in kind else urllib.parse.parse_qs(body.decode())
            self._json([entry for path in requested["paths"] if (entry := repository.entry(sha, path))])

    def _version(self, name: str, revision: str, card: bool = False) -> tuple[Repository, str] | None:
        """The dataset at a revision, if it may be had; else the refusal is sent."""
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._refuse(401 if not self.headers.get("Authorization") else 404, "RepoNotFound")
            return None
        allowed = repository.token is None or self.headers.get("Authorization") == f"Bearer {repository.token}"
        if not allowed and not (card and repository.gated):
            status = 403 if self.headers.get("Authorization") else 401
            self._refuse(status, "GatedRepo" if repository.gated else "RepoNotFound")
            return None
        sha = repository.at(revision)
        if sha is None:
            self._refuse(404, "RevisionNotFound")
            return None
        return repository, sha

    # Files

    def _resolve(self, name: str, revision: str, path: str) -> None:
        found = self._version(name, revision)
        if found is None:
            return
        repository, sha = found
        file = repository.versions[sha].get(path)
        if file is None:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": sha})
            return
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if not is_large(path):
            self._send(200, content_of(file), headers | {"ETag": f'"{git_sha(file)}"'})
            return
        digest = sha256_of(file)
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content_of(file)))}
        query = urllib.parse.urlencode({"signature": digest})
        headers["Location"] = f"/cdn/{name}/{sha}/{urllib.parse.quote(path)}?{query}"
        self._send(302, b"", headers)

    def _large(self, path: str, query: dict[str, str]) -> None:
        faults = self.hub.faults
        owner, name, sha, inner = path.removeprefix("/cdn/").split("/", 3)
        if self.command == "GET":
            status = faults.always or (faults.errors.pop(0) if faults.errors else 0)
            if status:
                self._refuse(status, "")
                return
        content = content_of(self.hub.repositories[f"{owner}/{name}"].versions[sha][inner])
        content = content[: faults.truncated]
        if faults.damaged and self.command == "GET":
            place = faults.damaged.pop(0)
            content = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        start, end = 0, len(content)
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(len(content), int(match[2]) + 1 if match[2] else len(content))
            if start >= len(content):
                self._refuse(416, "")
                return
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{query.get("signature", "")}"')
        if match:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._write(content[start:end])

    def _write(self, content: bytes) -> None:
        faults = self.hub.faults
        cut = faults.cut_after.pop(0) if faults.cut_after else 0
        if cut and cut < len(content):
            self.hub.sent += self.wfile.write(content[:cut])
            self.close_connection = True
        elif faults.stall_after is not None and faults.stall_after < len(content):
            self.hub.sent += self.wfile.write(content[: faults.stall_after])
            self.wfile.flush()
            self.over.wait(60)
            self.close_connection = True
        else:
            for start in range(0, len(content), 1 << 16):  # so that what nobody reads isn't counted
                self.hub.sent += self.wfile.write(content[start : start + (1 << 16)])

    # Answers

    def _json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        headers = dict(headers or {})
        if code:
            headers |= {"X-Error-Code": code, "X-Error-Message": code}
        if self.hub.faults.retry_after is not None:
            headers["Retry-After"] = str(self.hub.faults.retry_after)
        self._send(status, b"", headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def setup(self) -> None:
        """Little is on the way to who hangs up, so that `sent` says what was fetched."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        super().setup()

    def handle(self) -> None:
        """Who hangs up in the middle is no error."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path | None = None, faults: Faults | None = None, port: int = 0) -> Iterator[Hub]:
    """A hub on 127.0.0.1 with the datasets of a folder."""
    over = threading.Event()
    hub = Hub("", repositories_in(folder) if folder else {}, faults or Faults())
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"hub": hub, "over": over}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
