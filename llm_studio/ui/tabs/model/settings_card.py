"""The settings on the Model tab, as a form or as a file."""

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QStackedWidget, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.model.form import SettingsForm
from llm_studio.ui.tabs.model.yaml import YamlEditor
from llm_studio.ui.widgets.basics import Card, Segmented, row

_FORM, _FILE = "form", "file"


class SettingsCard(Card):
    """Shows the form or the file. The input in one is used before the other is shown."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setMinimumWidth(268)
        self.content.setContentsMargins(16, 14, 8, 10)
        self.views = Segmented(self, {_FORM: _("Form"), _FILE: "config.yaml"}, _("Show the settings as"))
        self.views.chosen.connect(self._on_view_chosen)
        self._stack = QStackedWidget(self)
        self.form, self.file = SettingsForm(self._stack), YamlEditor(self._stack)
        self._stack.addWidget(self.form)
        self._stack.addWidget(self.file)
        self.content.addLayout(row(self.views, None))
        self.content.addWidget(self._stack, 1)

    def show_form(self) -> None:
        """Show the form instead of the file."""
        self.views.choose(_FORM)
        self._stack.setCurrentWidget(self.form)

    def show_file(self) -> None:
        """Show the file instead of the form."""
        self.views.choose(_FILE)
        self._stack.setCurrentWidget(self.file)

    def enable_form(self, enabled: bool, tip: str) -> None:
        """Whether the form can be shown; `tip` says why not."""
        self.views.enable(_FORM, enabled, tip)

    def take(self) -> None:
        """Use the valid input in both."""
        self.form.take()
        self.file.save()

    def forget(self) -> None:
        """Another project was opened: discard input, and show the form."""
        self.form.forget()
        self.file.forget()
        self.show_form()

    @Slot(str)
    def _on_view_chosen(self, view: str) -> None:
        if view == _FILE:
            self.form.take()
            self.show_file()
        else:
            self.file.save()
            self._stack.setCurrentWidget(self.form)
