"""The card with the end of the program's log."""

from collections.abc import Sequence

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from llm_studio.i18n import _
from llm_studio.ui.desktop import open_log_folder
from llm_studio.ui.theme import font, set_role
from llm_studio.ui.widgets.basics import Card, button, row

_HEIGHT = 180


class LogCard(Card):
    """The last lines, the newest below; the whole log is in its folder."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("The program's log"))
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setAccessibleName(_("The last lines of the log"))
        self.text.setPlaceholderText(_("Nothing was logged yet."))
        self.text.setFont(font(11, fixed=True))
        self.text.setMinimumHeight(_HEIGHT)
        set_role(self.text, "sunken")
        self.content.addWidget(self.text)
        self.content.addLayout(row(button(_("Open the log's folder"), self, open_log_folder, "small"), None))

    @Slot(object)
    def show_lines(self, lines: Sequence[str]) -> None:
        """Show these lines, scrolled to the last one."""
        self.text.setPlainText("\n".join(lines))
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())
