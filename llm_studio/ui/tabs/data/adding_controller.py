"""The jobs that add sources to the project, and the messages when they have ended."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.i18n import _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tasks import BackgroundJob
from llm_studio.workflows.data import download
from llm_studio.workflows.data.sources import DEFAULT_STORIES, title_of

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import Source

ADD = "data/add"


class AddingController(Controller):
    """Requests the jobs that add sources of any origin; only one runs at a time."""

    started = Signal(str)
    """The title of the job."""
    reported = Signal(object)
    """An Event of the job."""
    added = Signal(str)
    """The name of the added source, or of the first one of several; it will be in the next overview."""
    ended = Signal()

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        context.listen(
            ADD,
            started=self._on_started,
            reported=self.reported.emit,
            succeeded=self._on_added,
            ended=self.ended.emit,
        )

    def add(self, work: "Callable[[Job], list[Source]]", title: str, *, keep_awake: bool = False) -> None:
        """Request a job. `work` adds at least one source and returns the added ones."""
        self.context.request(BackgroundJob(ADD, work, title, "data", changes_project=True, keep_awake=keep_awake))

    @Slot(str, int)
    def add_stories(self, language: str, count: int) -> None:
        """Add `count` built-in stories."""
        project = self.project
        if project is None:
            return
        from llm_studio.workflows.data import sources

        self.add(lambda job: [sources.add_stories(project, language, count, job)], _("Adding the built-in stories"))

    @Slot()
    def add_default_stories(self) -> None:
        """Add the default number of built-in stories, in the project's language."""
        language = self.overview.settings.project.language if self.overview else "en"
        self.add_stories(language, DEFAULT_STORIES)

    @Slot()
    def stop(self) -> None:
        """Stop the job; a download keeps the documents that it has."""
        self.context.stop_requested.emit(ADD)

    def _on_started(self, task: BackgroundJob) -> None:
        self.started.emit(task.title)

    def _on_added(self, sources: "list[Source]") -> None:
        self.added.emit(sources[0].name)
        self.context.toast_requested.emit(Toast(_summary(sources)))


def _summary(sources: "list[Source]") -> str:
    """A sentence about what a job has added."""
    first = sources[0]
    documents = number(first.documents)
    if download.is_incomplete(first):
        text = _("Stopped. “{name}” has {n} documents so far; they can be used, and the download can be resumed.")
        return text.format(name=title_of(first), n=documents)
    if len(sources) > 1:
        return ngettext("{n} source added.", "{n} sources added.", len(sources)).format(n=number(len(sources)))
    counted = ngettext("{n} document", "{n} documents", first.documents).format(n=documents)
    return _("“{name}” added: {documents}.").format(name=title_of(first), documents=counted)
