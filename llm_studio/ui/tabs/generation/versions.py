"""The list of versions of the model's last text, with the surprise of each."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.widgets.basics import label
from llm_studio.ui.widgets.tinted_text import bits
from llm_studio.workflows.generation.version_tree import Version, VersionTree

_MOST_ROWS, _MOST_LEVELS, _INDENT = 6, 5, "    "
_EDGES = 36
"""Pixels around the text of a row, horizontally."""


class _List(QListWidget):
    """A click on a row, or Return, chooses it."""

    chosen = Signal(int)
    """The index of a row."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemClicked.connect(self._on_clicked)

    @Slot(QListWidgetItem)
    def _on_clicked(self, item: QListWidgetItem) -> None:
        self.chosen.emit(self.row(item))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose the row on Return."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentRow() >= 0:
            self.chosen.emit(self.currentRow())
            event.accept()
            return
        super().keyPressEvent(event)


class VersionsCard(QWidget):
    """Hidden while there is only one version."""

    chosen = Signal(int)
    """The last node of a version."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._tree = VersionTree()
        self._versions: list[Version] = []
        self.list = _List(self)
        self.list.setAccessibleName(_("Versions"))
        self.list.chosen.connect(self._on_chosen)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 8, 0, 0)
        inside.setSpacing(4)
        inside.addWidget(label(_("Versions"), self, "heading"))
        explained = _("The fewer bits, the more probable the model finds the text.")
        inside.addWidget(label(explained, self, "caption", wrap=True))
        inside.addWidget(self.list)
        self.show_tree(VersionTree())

    def show_tree(self, tree: VersionTree) -> None:
        """Show the versions of a text; those that branch off another one are indented below it."""
        self._tree, self._versions = tree, tree.versions()
        self.setVisible(len(self._versions) > 1)
        self.list.clear()
        for version in self._versions if len(self._versions) > 1 else ():
            item = QListWidgetItem(self._shown(version))
            item.setToolTip("".join(token.text for token in tree.tokens(version.end)).strip())
            self.list.addItem(item)
            if version.end == tree.current:
                item.setFont(theme.font(bold=True))
                self.list.setCurrentItem(item)
        rows = min(self.list.count(), _MOST_ROWS)
        self.list.setFixedHeight(rows * max(1, self.list.sizeHintForRow(0)) + 4)

    def _shown(self, version: Version) -> str:
        """Two lines: the part that differs, and its surprise."""
        found, indent = self._tree.surprise(version.end), _INDENT * min(version.level, _MOST_LEVELS)
        own = indent + ("… " if version.level else "") + " ".join(self._tree.text(version).split())
        room = max(80, self.list.viewport().width() - _EDGES)
        own = self.list.fontMetrics().elidedText(own or "…", Qt.TextElideMode.ElideRight, room)
        each = _("{n} per token").format(n=number(found.per_token, 1))
        return f"{own}\n{indent}{bits(found.bits)} · {each}"

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        self.chosen.emit(self._versions[row].end)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Elide the texts for the new width."""
        super().resizeEvent(event)
        for row in range(self.list.count()):
            self.list.item(row).setText(self._shown(self._versions[row]))
