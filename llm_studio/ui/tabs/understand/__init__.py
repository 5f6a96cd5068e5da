"""The tab Understand."""

from llm_studio.i18n import N_
from llm_studio.ui.tab import Tab

TAB = Tab(
    name="understand",
    title=N_("Understand"),
    icon="?",
    page="llm_studio.ui.tabs.understand.page:UnderstandPage",
    preload=("markdown_it",),
)
