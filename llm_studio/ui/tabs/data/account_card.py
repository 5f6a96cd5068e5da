"""The card about what was left out of the selected source when it was added."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.data import accounts
from llm_studio.workflows.data.sources import title_of

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import Source


class AccountCard(Card):
    """A line such as “3 of 128 files left out”, and a button that lists them. Hidden if nothing was left out."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-warn")
        self._source: Source | None = None
        self.summary = label("", self, wrap=True)
        self.show_list = button(_("Show what was left out"), self, self._on_list, "small")
        line = row(self.summary, self.show_list)
        line.setStretch(0, 1)
        self.content.setContentsMargins(12, 6, 8, 6)
        self.content.addLayout(line)
        self.hide()

    def show_source(self, source: "Source | None") -> None:
        """Show the account of this source, as a warning unless only expected omissions occurred."""
        self._source = source
        account = source.account if source else None
        text = accounts.summary(account)
        self.summary.setText(text)
        set_role(self, "card" if account is None or accounts.is_expected(account) else "card-warn")
        self.setVisible(bool(text))

    @Slot()
    def _on_list(self) -> None:
        from llm_studio.ui.dialogs.notes import NotesDialog

        if self._source is not None and self._source.account is not None:
            title = _("“{name}”: what was left out").format(name=title_of(self._source))
            NotesDialog(title, accounts.paragraphs(self._source.account), self).open()
