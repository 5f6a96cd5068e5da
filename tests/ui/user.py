"""A user at the screen: the program in a process of its own, a mouse, a keyboard, and eyes that read what is shown."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.ui.screen import Screen

BUTTON, LABEL, ENTRY = "QAbstractButton", "QLabel", "QAction"
LOOK = 0.25
"""Seconds between two looks at the screen."""
SOON = 60.0
"""Seconds after which something has gone wrong where only the window is to answer."""


@dataclass(frozen=True)
class Thing:
    """Something on the screen; see `tests/ui/observed.py`."""

    kind: str
    text: str
    name: str
    enabled: bool
    focused: bool
    x: int
    y: int
    width: int
    height: int
    reachable: bool

    @property
    def middle(self) -> tuple[int, int]:
        """Where it is clicked."""
        return self.x + self.width // 2, self.y + self.height // 2


class Lost(Exception):  # noqa: N818  not an error of the driver
    """What the user waits for doesn't come."""


class User:
    """Starts the program and uses it. Everything that is waited for is something that can be seen."""

    def __init__(self, screen: Screen, home: Path, language: str, minutes: float) -> None:
        """`home`: of the user, with the program's settings; `minutes`: of short runs, 0 for the usual ones."""
        self.screen, self.home = screen, home
        self._minutes = minutes
        self._socket = home / "observer"
        self._line = socket.socket(socket.AF_UNIX)
        self._answers = self._line.makefile("r", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        settings = {"HOME": home, "LLM_STUDIO_HOME": home / "settings", "DISPLAY": screen.name,
                    "QT_QPA_PLATFORM": "xcb", "LANG": f"{language}.UTF-8"}  # fmt: skip
        removed = ("LLM_STUDIO_LANG", "LC_ALL", "LC_MESSAGES", "QT_QPA_FONTDIR", "LLM_STUDIO_QT_MESSAGES")
        kept = {name: value for name, value in os.environ.items() if name not in removed}
        self._environment = {**kept, **{name: str(value) for name, value in settings.items()}}

    # --- The program ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the program and wait until its window is on the screen."""
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.ui.observed", str(self._socket),
                   str(self._minutes)]  # fmt: skip
        self._socket.unlink(missing_ok=True)
        with (self.home / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        self.wait(self._connected, "the window", SOON)
        self.see("LLM Studio", "QMainWindow", part=True)

    def quit(self, seconds: float = SOON) -> None:
        """Close the program with Ctrl+Q and wait for its end."""
        assert self._process is not None
        self.screen.key("q", holding="Control")
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Lost("the program doesn't end") from None
        self._answers.close()
        self._line.close()
        self._process = None
        if status != 0:
            raise Lost(f"the program ended with status {status}")

    def kill(self) -> None:
        """End the program whatever it does, where it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def problems(self) -> list[str]:
        """What the program wrote about errors and warnings."""
        texts = [self.home / "output.txt", *(self.home / "settings").glob("logs/*")]
        lines = [line for path in texts for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        harmless = ("plugin does not support", "OpenType support missing")
        return [line for line in lines if re.search(r"Fatal Python error|Traceback| (ERROR|WARNING|CRITICAL) ", line)
                and not any(words in line for words in harmless)]  # fmt: skip

    def _connected(self) -> bool:
        self._line = socket.socket(socket.AF_UNIX)
        try:
            self._line.connect(str(self._socket))
        except OSError:
            self._line.close()
            return False
        self._answers = self._line.makefile("r", encoding="utf-8")
        return True

    # --- Eyes -------------------------------------------------------------------------------------------------

    def look(self, text: str = "", kind: str = LABEL, *, part: bool = False) -> list[Thing]:
        """What of this kind is on the screen now and says `text`, or has it as a part."""
        question = {"text": text, "kind": kind, "part": part}
        self._line.sendall(json.dumps(question).encode() + b"\n")
        return [Thing(**found) for found in json.loads(self._answers.readline())]

    def see(self, text: str = "", kind: str = LABEL, seconds: float = SOON, *, part: bool = False) -> Thing:
        """Wait until this is on the screen."""
        found: list[Thing] = []

        def shown() -> bool:
            found[:] = self.look(text, kind, part=part)
            return bool(found)

        self.wait(shown, f"{kind} “{text}”", seconds)
        return found[0]

    def wait(self, ready: Callable[[], bool], what: str, seconds: float = SOON) -> None:
        """Look at the screen every now and then until `ready`."""
        until = time.monotonic() + seconds
        while not ready():
            if self._process is not None and self._process.poll() is not None:
                raise Lost(f"the program ended while waiting for {what}")
            if time.monotonic() > until:
                raise Lost(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(LOOK)

    # --- Hands ------------------------------------------------------------------------------------------------

    def click(self, text: str, kind: str = BUTTON, seconds: float = SOON) -> None:
        """Click on this as soon as it can be reached and pressed; it keeps its place while the mouse moves there."""

        def reachable() -> list[Thing]:
            return [thing for thing in self.look(text, kind) if thing.enabled and thing.reachable]

        def on_it() -> bool:
            before = reachable()
            if not before:
                return False
            self.screen.move(*before[0].middle)
            return [thing.middle for thing in reachable()][:1] == [before[0].middle]

        self.wait(on_it, f"“{text}” to be pressed", seconds)
        self.screen.press()
        self.screen.release()

    def type(self, text: str) -> None:
        """Type into the field that has the focus, as soon as one has it."""
        self.wait(lambda: any(field.focused for field in self.look(kind="QLineEdit")), "a field with the focus")
        self.screen.type(text)

    def fill(self, field: Thing, text: str) -> None:
        """Replace what is in a field by `text`."""
        self.screen.click(*field.middle)
        self.screen.key("a", holding="Control")
        self.screen.type(text)
