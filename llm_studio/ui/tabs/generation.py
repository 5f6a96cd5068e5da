"""The tab Generation."""

from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page


class GenerationPage(Page):
    """..."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Generation"), "", parent)
        self.body.addStretch(1)
