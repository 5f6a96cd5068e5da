"""Files dropped on the window stay where they were."""

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from tests.ui.driver import Driver

_BOTH = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction


@pytest.mark.parametrize("key", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier])
def test_a_file_dropped_with_any_key_is_copied(opened: Driver, tmp_path: Path, key: Qt.KeyboardModifier) -> None:
    """A file manager deletes what is accepted as moved."""
    path = tmp_path / "mine.txt"
    path.write_text("My own text.", encoding="utf-8")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    page = opened.page("data")
    entering = QDragEnterEvent(QPoint(50, 50), _BOTH, data, Qt.MouseButton.LeftButton, key)
    dropped = QDropEvent(QPointF(50, 50), _BOTH, data, Qt.MouseButton.LeftButton, key)
    for event in (entering, dropped):
        QApplication.sendEvent(page, event)
        assert event.isAccepted() and event.dropAction() == Qt.DropAction.CopyAction
    opened.settle()
    assert path.exists()
