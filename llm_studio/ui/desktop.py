"""Opening folders in the system's file manager."""

import contextlib
from pathlib import Path

from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices

from llm_studio.paths import log_folder


def open_folder(path: str | Path) -> None:
    """Open a folder in the file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


@Slot()
def open_log_folder() -> None:
    """Open the folder of the program's log."""
    with contextlib.suppress(OSError):  # it can't be created: there is nothing to show
        log_folder().mkdir(parents=True, exist_ok=True)
    open_folder(log_folder())
