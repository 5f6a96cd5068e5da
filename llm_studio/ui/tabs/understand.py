"""The tab Understand."""

from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _
from llm_studio.ui.page import Page


class UnderstandPage(Page):
    """..."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Understand"), "", parent)
        self.body.addStretch(1)
