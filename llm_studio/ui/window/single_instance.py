"""One window for each user: a second start raises the one that is open."""

import getpass
import hashlib
import sys
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from llm_studio.paths import settings_folder

_TO_CONNECT, _TO_ANSWER, _TO_CLAIM = 500, 3000, 5000
"""Milliseconds of patience: with a window that is perhaps not there, with one that is, with another start."""
_ANSWER = b"ok\n"


class SingleInstance(QObject):
    """Listens for further starts as long as it lives."""

    raised = Signal(str)
    """Someone has started the program again: come to the front, and open this folder unless it is ""."""

    def __init__(self, server: QLocalServer) -> None:
        super().__init__()
        server.setParent(self)
        self._server = server
        server.newConnection.connect(self._on_connection)

    def end(self) -> None:
        """Listen no more: the next start is the first again."""
        self._server.close()

    @Slot()
    def _on_connection(self) -> None:
        while self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            socket.setParent(self)
            socket.readyRead.connect(self._on_words)
            socket.disconnected.connect(socket.deleteLater)
        self._on_words()  # what came together with the connection has no signal of its own

    @Slot()
    def _on_words(self) -> None:
        for socket in self.findChildren(QLocalSocket):
            if socket.canReadLine():
                folder = bytes(socket.readLine().data()).decode("utf-8", "replace").rstrip("\n")
                socket.write(_ANSWER)
                socket.flush()
                socket.disconnectFromServer()
                self.raised.emit(folder)


def claim(folder: str = "") -> SingleInstance | None:
    """Become the one window; None when another is open: it was raised, and told to open `folder`.

    A window that doesn't answer is passed over, and so is what a crashed one left behind: the program always starts.
    """
    lock = _lock()
    locked = lock is not None and lock.tryLock(_TO_CLAIM)
    try:
        if _raise_other(str(Path(folder).absolute()) if folder else ""):
            return None
        return SingleInstance(_listening())
    finally:
        if lock is not None and locked:
            lock.unlock()


def name() -> str:
    """Of the socket: one for each user and each folder of settings."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        user = ""
    return "llm-studio-" + hashlib.sha256(f"{user}\n{settings_folder()}".encode()).hexdigest()[:16]


def _lock() -> QLockFile | None:
    """Held while it is found out who is first, so that of two starts at the same moment one waits for the other."""
    try:
        settings_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return QLockFile(str(settings_folder() / "starting.lock"))


def _raise_other(folder: str) -> bool:
    """Whether there is another window that has answered."""
    socket = QLocalSocket()
    socket.connectToServer(name())
    if not socket.waitForConnected(_TO_CONNECT):
        return False
    if sys.platform == "win32":
        import ctypes

        # Windows lets only the program in front hand that place on: the one that the user has just started.
        ctypes.windll.user32.AllowSetForegroundWindow(ctypes.c_uint(0xFFFFFFFF))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  on Windows alone
    socket.write(folder.replace("\n", " ").encode("utf-8") + b"\n")
    socket.flush()
    answered = socket.bytesAvailable() > 0 or socket.waitForReadyRead(_TO_ANSWER)
    socket.abort()
    return answered


def _listening() -> QLocalServer:
    """A server under our name; what a crashed program left in its place is removed."""
    server = QLocalServer()
    server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
    if not server.listen(name()):
        QLocalServer.removeServer(name())
        server.listen(name())
    return server
