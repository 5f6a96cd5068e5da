"""The dialog about the program and its libraries, with their licences."""

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from llm_studio import __version__
from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, label, line, row
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.machine import licences


class AboutDialog(QDialog):
    """A list of libraries, with the licence of the selected one below. Initially the program's own is shown."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("About LLM Studio"))
        self.resize(760, 680)
        self._libraries = licences.libraries()
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.setSpacing(8)
        inside.addWidget(label("LLM Studio", self, "title"))
        inside.addWidget(label(_("Version {version}").format(version=__version__), self, "muted", selectable=True))
        words = _("Builds a small language model from scratch: collect texts, train a tokenizer on them, train a "
                  "Transformer, let it write. Free software under the MIT licence.")  # fmt: skip
        inside.addWidget(label(words, self, wrap=True))
        inside.addWidget(line(self))
        inside.addWidget(label(_("Built on the work of others"), self, "heading"))
        self.table = Table(self, _("Libraries"), (_("Library"), _("Version"), _("Licence")), stretch=2)
        self.table.verticalHeader().setDefaultSectionSize(26)
        rows = [(lib.name, lib.version or "–", Cell(lib.licence, tip=lib.licence)) for lib in self._libraries]
        self.table.show_rows(rows)
        self.table.selectionModel().currentRowChanged.connect(self._show_licence)
        inside.addWidget(self.table, 3)
        self.heading = label("", self, "heading")
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(_("Text of the licence"))
        set_role(self.text, "sunken")
        own = button(_("Licence of LLM Studio"), self, self._show_own, "link")
        inside.addLayout(row(self.heading, None, own))
        inside.addWidget(self.text, 2)
        close = button(_("Close"), self, self.accept, "primary")
        inside.addLayout(row(None, close))
        self._show_own()
        close.setFocus()

    @Slot()
    def _show_licence(self) -> None:
        index = self.table.chosen()
        if index >= 0:
            name = self._libraries[index].name
            self._show(name, licences.licence_text(name))

    @Slot()
    def _show_own(self) -> None:
        self.table.clearSelection()
        self._show("LLM Studio", licences.own_licence())

    def _show(self, name: str, text: str) -> None:
        self.heading.setText(_("Licence: {name}").format(name=name))
        self.text.setPlainText(text)

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()
