"""A tab of one file, as a contributor would begin one."""

from PySide6.QtWidgets import QLabel, QWidget

from llm_studio.ui.page import Page
from llm_studio.ui.tab import Tab


class FakePage(Page):
    """Shows the last target and the name of the project."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Fake", "", parent)
        self.target: object = None
        self.body.addWidget(QLabel("A page", self))

    def show_target(self, target: object) -> None:
        """Keep it."""
        self.target = target


TAB = Tab(name="fake", title="Fake tab", icon="F", page="tests.ui.fake_tab:FakePage", lesson="data", needs_project=True)
