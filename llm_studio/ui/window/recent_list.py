"""The list of recent projects on the start page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLocale, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QInputDialog, QListWidget, QListWidgetItem, QMenu, QWidget

from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import as_plain_text

if TYPE_CHECKING:
    from llm_studio.workflows.recent import RecentProject


class RecentList(QListWidget):
    """Projects with their states. A click or Enter opens one; its menu renames, duplicates or removes it."""

    open_requested = Signal(str)
    """The folder of a project, also for the signals below."""
    rename_requested = Signal(str, str)
    duplicate_requested = Signal(str)
    remove_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._known: Mapping[str, RecentProject] = {}
        self.setAccessibleName(_("Recent projects"))
        self.setMinimumHeight(240)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._show_menu)
        self.itemActivated.connect(self._on_item)
        self.itemClicked.connect(self._on_item)

    def show_projects(self, paths: Sequence[str], known: "Mapping[str, RecentProject]") -> None:
        """Show these projects with the known facts."""
        self._known = known
        chosen = self._path()
        self.clear()
        for path in paths:
            item = QListWidgetItem(_words(path, known.get(path)), self)
            item.setData(Qt.ItemDataRole.UserRole, path)
            item.setToolTip(as_plain_text(path))
            if path in known and known[path].changed is None:
                item.setForeground(theme.color("muted"))
            if path == chosen:
                self.setCurrentItem(item)

    def menu(self) -> QMenu:
        """The menu of the current project."""
        made, path = QMenu(self), self._path()
        made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        is_there = path in self._known and self._known[path].changed is not None
        made.addAction(_("Open")).triggered.connect(lambda: self.open_requested.emit(path))
        for text, pressed in ((_("Rename…"), self._ask_name), (_("Duplicate"), self._duplicate)):
            action = made.addAction(text)
            action.triggered.connect(pressed)
            action.setEnabled(is_there)
        made.addSeparator()
        made.addAction(_("Remove from the list")).triggered.connect(self._remove)
        return made

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Delete removes a project from the list."""
        if event.key() == Qt.Key.Key_Delete and self._path():
            self._remove()
            return
        super().keyPressEvent(event)

    def _path(self) -> str:
        return str(self.currentIndex().data(Qt.ItemDataRole.UserRole) or "")

    @Slot(QPoint)
    def _show_menu(self, place: QPoint) -> None:
        index = self.indexAt(place)
        if index.isValid():
            self.setCurrentIndex(index)
        if self._path():
            self.menu().popup(self.viewport().mapToGlobal(place))

    @Slot(QListWidgetItem)
    def _on_item(self, item: QListWidgetItem) -> None:
        self.open_requested.emit(item.data(Qt.ItemDataRole.UserRole))

    @Slot()
    def _ask_name(self) -> None:
        path = self._path()
        dialog = QInputDialog(self)
        dialog.setWindowTitle(_("Rename the project"))
        dialog.setLabelText(_("New name; the folder keeps its own:"))
        dialog.setTextValue(self._known[path].name if path in self._known else Path(path).name)
        dialog.setOkButtonText(_("Rename"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def go(name: str) -> None:
            if name.strip():
                self.rename_requested.emit(path, name.strip())

        dialog.textValueSelected.connect(go)
        dialog.open()

    @Slot()
    def _duplicate(self) -> None:
        self.duplicate_requested.emit(self._path())

    @Slot()
    def _remove(self) -> None:
        self.remove_requested.emit(self._path())


def _words(path: str, known: "RecentProject | None") -> str:
    """Name, date, state and path, if known."""
    if known is None:
        return f"{Path(path).name}\n{path}"
    if known.changed is None:
        return "\n".join((known.name, _("The folder is gone, or its drive is away."), path))
    date = QLocale(i18n.language()).toString(QDateTime.fromSecsSinceEpoch(round(known.changed)).date(), "d MMMM yyyy")
    return f"{known.name}\n{date} · {known.state}\n{path}"
