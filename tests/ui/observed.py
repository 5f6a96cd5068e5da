"""The program as it is, with a socket that says what is on its screen: `python -m tests.ui.observed SOCKET MINUTES`.

Whoever drives it with a real mouse asks here where a button is, and whether a text is shown. Nothing can be pressed
through the socket. MINUTES, where it isn't 0, is how long the example trains, and *5 more minutes*.
"""

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QRect, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from llm_studio.ui.preferences import Preferences
from llm_studio.ui.window import app
from llm_studio.ui.window.main_window import MainWindow


class Observer(QLocalServer):
    """Answers a line of JSON, `{"text": ..., "kind": ..., "part": ...}`, with a line that lists what matches.

    `text`: what is shown, or the accessible name, or Qt's name of the object; "" for any. `part`: whether it may be a
    part of that. `kind`: the name of a class of Qt, or of one of ours.
    """

    def __init__(self, path: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.newConnection.connect(self._on_connection)
        if not self.listen(path):
            raise OSError(f"can't listen at {path}")

    @Slot()
    def _on_connection(self) -> None:
        while self.hasPendingConnections():
            socket = self.nextPendingConnection()
            socket.readyRead.connect(self._on_question)
            socket.disconnected.connect(socket.deleteLater)

    @Slot()
    def _on_question(self) -> None:
        for socket in self.findChildren(QLocalSocket):
            while socket.canReadLine():
                question = json.loads(bytes(socket.readLine().data()))
                found = [thing for thing in _things(question["kind"]) if _matches(thing, question)]
                socket.write(json.dumps(found).encode() + b"\n")
                socket.flush()


def _matches(thing: dict[str, Any], question: dict[str, Any]) -> bool:
    wanted: str = question["text"]
    texts = (thing["text"], thing["name"])
    return any(wanted in text for text in texts) if question["part"] or not wanted else wanted in texts


def _things(kind: str) -> Iterator[dict[str, Any]]:
    """All visible widgets of a kind, and the entries of open menus, which are of the kind "QAction"."""
    for widget in QApplication.allWidgets():
        if not widget.isVisible():
            continue
        if isinstance(widget, QMenu) and kind == "QAction":
            for action in widget.actions():
                text = action.text().replace("&", "")
                yield _described(widget, widget.actionGeometry(action), "QAction", text, action.isEnabled())
        elif any(base.__name__ == kind for base in type(widget).__mro__):
            seen = widget.visibleRegion().boundingRect()
            yield _described(widget, seen, type(widget).__name__, _text(widget), widget.isEnabled())


def _text(widget: Any) -> str:
    for name in ("toPlainText", "text", "currentText", "title"):
        if hasattr(widget, name):
            return str(getattr(widget, name)()).replace("&&", "&")
    return str(widget.windowTitle())


def _described(widget: QWidget, place: QRect, kind: str, text: str, enabled: bool) -> dict[str, Any]:
    """`place` is the part of the widget that can be seen. `reachable`: nothing lies over its middle."""
    corner, middle = widget.mapToGlobal(place.topLeft()), widget.mapToGlobal(place.center())
    name = widget.accessibleName() or widget.objectName()
    return {"kind": kind, "text": text, "name": name, "enabled": enabled, "focused": widget.hasFocus(),
            "x": corner.x(), "y": corner.y(), "width": place.width(), "height": place.height(),
            "reachable": not place.isEmpty() and _is_on_top(widget, middle)}  # fmt: skip


def _is_on_top(widget: QWidget, middle: QPoint) -> bool:
    modal = QApplication.activeModalWidget()
    if modal is not None and widget.window() is not modal and QApplication.activePopupWidget() is None:
        return False
    there = QApplication.widgetAt(middle)
    return there is widget or (there is not None and widget.isAncestorOf(there))


class ObservedWindow(MainWindow):
    """The main window, observed."""

    def __init__(self, socket: str, preferences: Preferences) -> None:
        super().__init__(preferences)
        self._observer = Observer(socket, self)


def main(socket: str, minutes: float) -> None:
    """Run the program without arguments."""
    from llm_studio import __main__ as program

    if minutes:
        from llm_studio.ui.tabs.training import ready_card
        from llm_studio.workflows import quickstart

        quickstart.MINUTES = ready_card.MORE_MINUTES = minutes
    app.MainWindow = partial(ObservedWindow, socket)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]
    sys.argv = ["llm-studio"]
    program.main()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
