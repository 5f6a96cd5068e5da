"""The tab Diagnostics."""

from llm_studio.i18n import N_
from llm_studio.ui.tab import Tab

TAB = Tab(
    name="diagnostics",
    title=N_("Diagnostics"),
    icon="⚙",
    page="llm_studio.ui.tabs.diagnostics.page:DiagnosticsPage",
    lesson="diagnostics",
)
