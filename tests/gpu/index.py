"""PyTorch's wheel server on loopback, with faults to order: `python -m tests.gpu.index FOLDER` serves the wheels of a
folder under every build's name, until it is ended."""

import hashlib
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Faults:
    """What goes wrong, each as often as it says."""

    cut_after: list[int] = field(default_factory=list[int])
    """For each request of a wheel: the connection is cut after so many bytes."""
    errors: list[int] = field(default_factory=list[int])
    """For each request of a wheel: this HTTP status instead of an answer."""
    stall_after: int | None = None
    """Every answer stops after so many bytes, and the connection stays open."""
    no_ranges: bool = False
    """A server that always begins at the beginning."""
    wrong_sum: bool = False
    no_sum: bool = False


@dataclass
class Index:
    """A running server."""

    address: str
    faults: Faults
    requests: list[tuple[str, str, str]]
    """Method, path and range of what was asked for."""


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    index: Index
    over: threading.Event
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.index.requests.append((self.command, self.path, self.headers.get("Range", "")))
        path = urllib.parse.unquote(self.path)
        if path.endswith("/torch/"):
            self._page(path.split("/")[2])
        elif (file := self.folder / path.rpartition("/")[2]).is_file():
            self._wheel(file)
        else:
            self.send_error(404)

    def _page(self, build: str) -> None:
        lines = []
        for file in sorted(self.folder.glob("*.whl")):
            if f"+{build}-" in file.name:
                digest = "0" * 64 if self.index.faults.wrong_sum else hashlib.sha256(file.read_bytes()).hexdigest()
                link = f"/whl/{build}/{urllib.parse.quote(file.name)}"
                link += "" if self.index.faults.no_sum else f"#sha256={digest}"
                lines.append(f'<a href="{link}" data-dist-info-metadata="sha256=1">{file.name}</a><br/>')
        if not lines:
            self.send_error(403)
            return
        text = ("<!DOCTYPE html><html><body><h1>Links for torch</h1>" + "".join(lines)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _wheel(self, file: Path) -> None:
        faults, head = self.index.faults, self.command == "HEAD"
        if faults.errors and not head:
            self.send_error(faults.errors.pop(0))
            return
        content, start = file.read_bytes(), 0
        requested = self.headers.get("Range")
        if requested and not faults.no_ranges:
            start = int(requested.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not head:
            self._send(content[start:])

    def _send(self, rest: bytes) -> None:
        faults = self.index.faults
        if faults.cut_after:
            self.wfile.write(rest[: faults.cut_after.pop(0)])
            self.close_connection = True
        elif faults.stall_after is not None:
            self.wfile.write(rest[: faults.stall_after])
            self.wfile.flush()
            self.over.wait(60)
            self.close_connection = True
        else:
            self.wfile.write(rest)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path, faults: Faults | None = None) -> Iterator[Index]:
    """Serve the wheels in `folder` on 127.0.0.1."""
    over = threading.Event()
    index = Index("", faults or Faults(), [])
    handler = type("Handler", (_Handler,), {"folder": folder, "index": index, "over": over})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    index.address = f"http://127.0.0.1:{server.server_port}/whl"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with serving(Path(sys.argv[1])) as running:
        print(running.address, flush=True)
        while True:
            time.sleep(3600)
