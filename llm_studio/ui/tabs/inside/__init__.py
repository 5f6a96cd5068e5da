"""The tab Inside."""

from dataclasses import dataclass

from llm_studio.i18n import N_
from llm_studio.ui.tab import Tab


@dataclass(frozen=True)
class MomentTarget:
    """A target of the page (see `Page.show_target`): the moment of a run that is nearest to a step."""

    run: str
    step: int


TAB = Tab(
    name="inside",
    title=N_("Inside"),
    icon="◉",
    page="llm_studio.ui.tabs.inside.page:InsidePage",
    lesson="inside",
    needs_project=True,
    preload=(
        "numpy", "llm_studio.workflows.generation.generate", "llm_studio.workflows.inside.session",
        "llm_studio.workflows.training.moments",
    ),
)  # fmt: skip
