"""The tab Export."""

from llm_studio.i18n import N_
from llm_studio.ui.tab import Tab

TAB = Tab(
    name="export",
    title=N_("Export"),
    icon="↗",
    page="llm_studio.ui.tabs.export.page:ExportPage",
    lesson="export",
    needs_project=True,
)
