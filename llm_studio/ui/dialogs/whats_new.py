"""The change log, in the language of the window."""

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.paths import resource
from llm_studio.ui import theme
from llm_studio.ui.widgets import markdown
from llm_studio.ui.widgets.basics import button, row


class WhatsNewDialog(QDialog):
    """Shows `resources/docs/<language>/changes.md`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("What's new"))
        self.resize(680, 620)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        self.browser = QTextBrowser(self)
        self.browser.setAccessibleName(_("What's new"))
        self.browser.setOpenExternalLinks(True)
        self.browser.setTabChangesFocus(True)
        theme.set_role(self.browser, "plain")
        inside.addWidget(self.browser, 1)
        close = button(_("Close"), self, self.accept, "primary")
        inside.addLayout(row(None, close))
        theme.notifier().changed.connect(self._show)
        self._show()
        close.setFocus()

    @Slot()
    def _show(self) -> None:
        text = resource("docs", i18n.language(), "changes.md").read_text(encoding="utf-8")
        markdown.show(markdown.render(text), self.browser)

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()
