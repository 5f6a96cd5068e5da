"""One window per user: a second start raises the existing one."""

import getpass
import hashlib
import sys
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from llm_studio.paths import settings_folder

_TO_CONNECT, _TO_ANSWER, _TO_CLAIM = 500, 3000, 5000
"""Timeouts in milliseconds: to connect to a window, for its answer, and for another process that is starting."""
_ANSWER = b"ok\n"


class SingleInstance(QObject):
    """Listens for further starts while it exists."""

    raised = Signal(str)
    """The program was started again: come to the front, and open this folder unless it is ""."""

    def __init__(self, server: QLocalServer) -> None:
        super().__init__()
        server.setParent(self)
        self._server = server
        server.newConnection.connect(self._on_connection)

    def end(self) -> None:
        """Stop listening: the next start is the first one again."""
        self._server.close()

    @Slot()
    def _on_connection(self) -> None:
        while self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            socket.setParent(self)
            socket.readyRead.connect(self._on_words)
            socket.disconnected.connect(socket.deleteLater)
        self._on_words()  # data that arrived with the connection is not signalled

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
    """Become the only window; None if another is open: it was raised, and asked to open `folder`.

    A window that doesn't answer is ignored, as are remains of a crashed one: the program always starts.
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
    """The name of the socket: one per user and folder of settings."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        user = ""
    return "llm-studio-" + hashlib.sha256(f"{user}\n{settings_folder()}".encode()).hexdigest()[:16]


def _lock() -> QLockFile | None:
    """A lock while determining which process is first, so that simultaneous starts wait for each other."""
    try:
        settings_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return QLockFile(str(settings_folder() / "starting.lock"))


def _raise_other(folder: str) -> bool:
    """Whether another window exists and has answered."""
    socket = QLocalSocket()
    socket.connectToServer(name())
    if not socket.waitForConnected(_TO_CONNECT):
        return False
    if sys.platform == "win32":
        import ctypes

        # on Windows only the foreground program, which the user has just started, may pass that state on
        ctypes.windll.user32.AllowSetForegroundWindow(ctypes.c_uint(0xFFFFFFFF))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  on Windows alone
    socket.write(folder.replace("\n", " ").encode("utf-8") + b"\n")
    socket.flush()
    answered = socket.bytesAvailable() > 0 or socket.waitForReadyRead(_TO_ANSWER)
    socket.abort()
    return answered


def _listening() -> QLocalServer:
    """A server with our name; the remains of a crashed program's server are removed."""
    server = QLocalServer()
    server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
    if not server.listen(name()):
        QLocalServer.removeServer(name())
        server.listen(name())
    return server
