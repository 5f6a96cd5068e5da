"""A screen without a monitor, with a mouse and a keyboard: Xvfb, and the events that its XTEST extension injects.

The program that is driven can't tell these events from those of a real mouse: they come from the X server.
"""

import contextlib
import ctypes
import ctypes.util
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from PySide6.QtGui import QImage

WIDTH, HEIGHT = 1600, 1000
_BUTTON_LEFT, _WHEEL_UP, _WHEEL_DOWN = 1, 4, 5
_PRESS = 0.03
"""Seconds between pressing and releasing a button or key."""
_LIBRARIES = ("X11", "Xtst", "xcb-cursor", "xcb-icccm", "xcb-keysyms", "xkbcommon-x11")
"""What the mouse needs, and what Qt needs to open a window there."""
_KEYS = {"Return": 0xFF0D, "Escape": 0xFF1B, "Tab": 0xFF09, "Control": 0xFFE3, "Shift": 0xFFE1, "Home": 0xFF50}
"""Keysyms that are not characters."""


def missing() -> str:
    """What this machine lacks for such a screen; "" if nothing."""
    if shutil.which("Xvfb") is None:
        return "Xvfb"
    return next((f"lib{name}" for name in _LIBRARIES if ctypes.util.find_library(name) is None), "")


class Screen:
    """The screen, its mouse and its keyboard. Places are pixels from the upper left corner."""

    def __init__(self, name: str, frame_buffer: Path) -> None:
        self.name = name
        """As the variable DISPLAY wants it."""
        self._frame_buffer = frame_buffer
        self._x11 = ctypes.CDLL(ctypes.util.find_library("X11"))
        self._xtest = ctypes.CDLL(ctypes.util.find_library("Xtst"))
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XkbKeycodeToKeysym.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(name.encode()))
        if not self._display:
            raise OSError(f"no connection to the screen {name}")

    def move(self, x: int, y: int) -> None:
        """Move the mouse."""
        self._xtest.XTestFakeMotionEvent(self._display, -1, x, y, ctypes.c_ulong(0))
        self._flush()

    def press(self, button: int = _BUTTON_LEFT) -> None:
        """Press a mouse button."""
        self._xtest.XTestFakeButtonEvent(self._display, button, 1, ctypes.c_ulong(0))
        self._flush()

    def release(self, button: int = _BUTTON_LEFT) -> None:
        """Release a mouse button."""
        self._xtest.XTestFakeButtonEvent(self._display, button, 0, ctypes.c_ulong(0))
        self._flush()

    def click(self, x: int, y: int) -> None:
        """Click at a place."""
        self.move(x, y)
        self.press()
        self.release()

    def drag(self, start: tuple[int, int], end: tuple[int, int], steps: int = 10) -> None:
        """Press the mouse button at one place and release it at another."""
        self.move(*start)
        self.press()
        for step in range(1, steps + 1):
            self.move(*(begin + (to - begin) * step // steps for begin, to in zip(start, end, strict=True)))
        self.release()

    def wheel(self, x: int, y: int, notches: int) -> None:
        """Turn the wheel at a place: down, or up where `notches` is negative."""
        self.move(x, y)
        for _notch in range(abs(notches)):
            self.press(_WHEEL_DOWN if notches > 0 else _WHEEL_UP)
            self.release(_WHEEL_DOWN if notches > 0 else _WHEEL_UP)

    def type(self, text: str) -> None:
        """Press the keys of these characters; raises ValueError where the keyboard, a US one, has none."""
        for character in text:
            self._stroke(ord(character), character)

    def key(self, name: str, holding: str = "") -> None:
        """Press a key by name, or one of a single character, while `holding` another."""
        if holding:
            self._send(self._code(_KEYS[holding], holding), down=True)
        self._stroke(_KEYS.get(name) or ord(name), name)
        if holding:
            self._send(self._code(_KEYS[holding], holding), down=False)

    def picture(self, path: Path) -> None:
        """Save what is on the screen as a PNG."""
        data = self._frame_buffer.read_bytes()  # an XWD file: header, colours, pixels
        header = struct.unpack(">25I", data[:100])
        width, height, bytes_per_line = header[4], header[5], header[12]
        start = header[0] + 12 * header[19]
        image = QImage(data[start:], width, height, bytes_per_line, QImage.Format.Format_RGB32)
        if not image.save(str(path)):
            raise OSError(f"{path} can't be written")

    def close(self) -> None:
        """Let go of the screen."""
        self._x11.XCloseDisplay(self._display)

    def _stroke(self, keysym: int, name: str) -> None:
        code = self._code(keysym, name)
        shifted = self._x11.XkbKeycodeToKeysym(self._display, code, 0, 0) != keysym
        shift = self._code(_KEYS["Shift"], "Shift")
        if shifted:
            self._send(shift, down=True)
        self._send(code, down=True)
        self._send(code, down=False)
        if shifted:
            self._send(shift, down=False)

    def _code(self, keysym: int, name: str) -> int:
        code = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(keysym))
        if not code:
            raise ValueError(f"no key for {name!r}")
        return code

    def _send(self, code: int, down: bool) -> None:
        self._xtest.XTestFakeKeyEvent(self._display, code, int(down), ctypes.c_ulong(0))
        self._flush()

    def _flush(self) -> None:
        self._x11.XSync(self._display, 0)
        time.sleep(_PRESS)


@contextlib.contextmanager
def screen(width: int = WIDTH, height: int = HEIGHT) -> Generator[Screen]:
    """A screen of this size, as long as the context lasts."""
    lacking = missing()
    if lacking:
        raise OSError(f"{lacking} is missing")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "Xvfb",
            "-displayfd",
            "1",
            "-screen",
            "0",
            f"{width}x{height}x24",
            "-fbdir",
            folder,
            "-nolisten",
            "tcp",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            try:
                made = Screen(f":{server.stdout.readline().strip()}", Path(folder) / "Xvfb_screen0")
                try:
                    yield made
                finally:
                    made.close()
            finally:
                server.terminate()
