"""The entry point of the window: the application, its log, its hooks."""

import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, cast

from PySide6.QtCore import (
    QEvent,
    QMessageLogContext,
    QObject,
    QProcess,
    Qt,
    QTimer,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QWidget

from llm_studio import i18n
from llm_studio.errors import RecordError
from llm_studio.paths import log_folder, packaged, resource
from llm_studio.ui import theme
from llm_studio.ui.language import set_language
from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window import self_test
from llm_studio.ui.window.garbage import Collector
from llm_studio.ui.window.main_window import MainWindow
from llm_studio.ui.window.session import Session
from llm_studio.ui.window.shell import expect_project
from llm_studio.ui.window.single_instance import claim

logger = logging.getLogger("llm_studio")
_LOG_BYTES, _LOG_FILES = 1_000_000, 3
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO, QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR, QtMsgType.QtFatalMsg: logging.CRITICAL,
}  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """Open the window, with the project in the given folder, if any; returns when it is closed.

    `--self-test OUT [PROJECTS]`: the window then operates itself, see `ui/window/self_test.py`.
    """
    testing = arguments[:1] == ["--self-test"] and len(arguments) > 1
    if testing:
        self_test.prepare(Path(arguments[1]))
    _start_log()
    folder = "" if testing or not arguments else arguments[0]
    app = make_application()
    instance = claim(folder)
    if instance is None:  # another window is open: it was raised
        return 0
    i18n.activate(i18n.system_language())  # for messages about damaged files
    damage: list[RecordError] = []
    preferences = Preferences.load(damage.append)
    set_language(preferences.language or i18n.system_language())
    theme.set_theme(preferences.theme)
    window = MainWindow(preferences)
    instance.raised.connect(window.come_to_front)
    app.commitDataRequest.connect(window.closing.log_off, Qt.ConnectionType.DirectConnection)
    install_hooks(window, window.session)
    collector = Collector(app)
    collector.start()
    window.pages_made.connect(collector.leave_out_what_is_there, Qt.ConnectionType.SingleShotConnection)
    wanted = folder or (preferences.recent[0] if preferences.reopen_last and preferences.recent else "")
    if wanted:
        expect_project(window.shell, Path(wanted).name)
    window.show()
    test = self_test.SelfTest(window, *map(Path, arguments[1:])) if testing else None
    painted = _Painted(window)
    painted.first.connect(lambda: _start(window, wanted, damage))
    status = app.exec()
    collector.stop()
    instance.end()
    if window.closing.will_restart:
        _start_again()
    status = status if test is None else test.status
    if not window.session.wait(0):
        _end_at_once(status)
    return status


def _end_at_once(status: int) -> NoReturn:
    """Exit without cleaning up: Qt aborts the process if a running thread is destroyed."""
    logger.warning("ended while something was still under way")
    logging.shutdown()
    os._exit(status)


def _start_again() -> None:
    """Start the program again, after this process has released everything."""
    command = [sys.executable] if packaged() else [sys.executable, "-m", "llm_studio"]
    QProcess.startDetached(command[0], command[1:])


class _Painted(QObject):
    """Signals when the window has been painted for the first time: large imports wait for it."""

    first = Signal()

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        window.shell.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Wait for the end of the first paint event."""
        if event.type() == QEvent.Type.Paint:
            self._window.shell.removeEventFilter(self)
            QTimer.singleShot(0, self.first.emit)
        return super().eventFilter(watched, event)


def _start(window: MainWindow, wanted: str, damage: Sequence[RecordError]) -> None:
    logger.info("ready")
    window.start(wanted)
    for problem in damage:
        window.session.problem.emit(problem)


def make_application() -> QApplication:
    """The only QApplication, in the Fusion style."""
    app = cast("QApplication | None", QApplication.instance()) or QApplication(sys.argv[:1])
    app.setApplicationName("LLM Studio")
    app.setStyle("Fusion")
    app.setWindowIcon(QIcon(str(resource("icons", "app.ico"))))
    _take_place_in_taskbar()
    app.styleHints().colorSchemeChanged.connect(theme.on_system_theme_changed)
    return app


def _take_place_in_taskbar() -> None:
    """When run by python.exe, set an application id for a taskbar button of our own on Windows. The packaged program
    has one by its .exe: an id other than that of its shortcut would give it two buttons."""
    if sys.platform == "win32" and not packaged():
        import ctypes

        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("LLM-Studio")


def _start_log() -> None:
    """Write a log of limited size."""
    try:
        log_folder().mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            log_folder() / "llm-studio.log", maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8"
        )
    except OSError:  # a read-only folder: the program works without a log
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def install_hooks(window: QWidget, session: Session) -> None:
    """Log every unexpected error in a slot or thread and show it once, and keep the program running."""

    def handle(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        logger.error("unexpected", exc_info=(kind, error, trace))
        session.problem.emit(error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            handle(args.exc_type, args.exc_value, args.exc_traceback)

    def from_qt(level: QtMsgType, _context: QMessageLogContext, message: str) -> None:
        logging.getLogger("qt").log(_LEVELS.get(level, logging.WARNING), "%s", message)

    sys.excepthook = handle
    threading.excepthook = in_thread
    if "LLM_STUDIO_QT_MESSAGES" not in os.environ:
        qInstallMessageHandler(from_qt)
