"""The settings on the Model tab, as a form or as a file, and what becomes of a file's text that can't be saved."""

from PySide6.QtWidgets import QStackedWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.model.form import SettingsForm
from llm_studio.ui.tabs.model.yaml import YamlEditor
from llm_studio.ui.widgets.basics import Card, Segmented, row

FORM, FILE = "form", "file"


class FilePage(Page):
    """A page with form and file. The file's text outlives another language, and isn't lost unasked."""

    def _settings_card(self) -> Card:
        card = Card(self)
        card.setMinimumWidth(268)
        card.content.setContentsMargins(16, 14, 8, 10)
        self.views = Segmented(card, {FORM: _("Form"), FILE: "config.yaml"}, _("Show the settings as"))
        card.content.addLayout(row(self.views, None))
        self.stack = QStackedWidget(card)
        self.form, self.file = SettingsForm(self.stack), YamlEditor(self.stack)
        self.stack.addWidget(self.form)
        self.stack.addWidget(self.file)
        card.content.addWidget(self.stack, 1)
        return card

    def show_file_view(self) -> None:
        """Show the file in place of the form."""
        self.views.choose(FILE)
        self.stack.setCurrentWidget(self.file)

    def unsaved(self) -> str:
        """Why config.yaml as it is written here can't be saved."""
        return self.file.why_stuck() if self.project is not None else ""

    def discard_unsaved(self) -> None:
        """Back to what the file holds."""
        self.file.discard()

    def draft(self) -> object:
        """The text of config.yaml that isn't saved."""
        return self.file.draft()

    def take_draft(self, draft: "tuple[str, str | None] | None") -> None:
        """Continue with that text."""
        if draft is not None:
            self.show_file_view()
            self.file.take_draft(*draft)
