"""A headless Chromium, driven by its DevTools protocol: opens a page, runs JavaScript in it, collects complaints."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

NAMES = (
    "chromium", "chromium-browser", "google-chrome", r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)  # fmt: skip
"""Chromium and browsers made from it, on Linux and Windows."""
_PATIENCE = 90
"""Seconds for the browser to start, and for a page to answer."""


class Browser:
    """One page. `said` collects what it writes to the console, errors, and what it asks the network for."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=_PATIENCE, suppress_origin=True)
        self._number = 0
        self.pid = 0
        """Of the browser; each page is a process below it."""
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return message["result"]
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(parameters))
        elif message["method"] == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if parameters.get("type") != "Document" and not url.startswith("data:"):
                self.said.append(f"fetches {url}")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it becomes."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until its model is loaded."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=path.absolute().as_uri() + fragment)
        self.wait_for("typeof page === 'object' && page && page.live")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + _PATIENCE
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never: {condition}; {self.said}"
            time.sleep(0.05)

    def resize(self, width: int, height: int, mobile: bool = False, dark: bool = False, scale: float = 1) -> None:
        """Make the page as large as a screen, in light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Leave the page; the process is ended by `browser`."""
        self._socket.close()


def executable() -> str:
    """The browser that is installed. Its absence is an error."""
    found = os.environ.get("CHROMIUM") or next((path for path in map(shutil.which, NAMES) if path), None)
    assert found, "these tests need Chromium: on Debian, apt-get install chromium"
    return found


@contextmanager
def browser() -> Generator[Browser]:
    """A browser with one page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [executable(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
             "--no-first-run", "--remote-debugging-port=0", "--lang=en-US", f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            page = Browser(_address(Path(folder) / "DevToolsActivePort", process))
            page.pid = process.pid
            try:
                yield page
            finally:
                page.close()
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _address(written: Path, process: "subprocess.Popen[bytes]") -> str:
    """The address of the first page, once the browser has written down its port."""
    import urllib.request

    deadline = time.monotonic() + _PATIENCE
    while True:
        assert process.poll() is None and time.monotonic() < deadline, "the browser doesn't start"
        lines = written.read_text(encoding="utf-8").splitlines() if written.exists() else []
        if len(lines) >= 2:
            break
        time.sleep(0.05)
    with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=_PATIENCE) as answer:
        pages = [one for one in json.load(answer) if one["type"] == "page"]
    return pages[0]["webSocketDebuggerUrl"]
