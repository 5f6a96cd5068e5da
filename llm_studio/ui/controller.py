"""The invisible half of a page: its knowledge of the project, and the tasks it requests."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from llm_studio.ui.page_context import PageContext

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


class Controller(QObject):
    """Holds the state of a page or of one concern of it; see `ui/page.py` for how the two work together.

    It is notified of projects and overviews before its page. It registers its listeners with `context.listen` in its
    constructor and reports changes with its own signals.
    """

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.context = context
        context.project_opened.connect(self.open_project)
        context.project_closing.connect(self.leave_project)
        context.overview_changed.connect(self.show_overview)

    @property
    def project(self) -> "Project | None":
        """The open project."""
        return self.context.project

    @property
    def overview(self) -> "Overview | None":
        """The open project's last overview."""
        return self.context.overview

    def open_project(self, project: "Project | None") -> None:
        """Another project was opened, or none: forget everything about the previous one."""

    def leave_project(self) -> None:
        """The project is about to be closed: request writing all pending changes."""

    def show_overview(self, overview: "Overview") -> None:
        """Show a new overview: called after opening a project and after every change."""
