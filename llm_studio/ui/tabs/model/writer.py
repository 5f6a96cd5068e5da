"""Writing config.yaml from the Model tab: one text after the other, and presets, with a way back."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from llm_studio.config.presets import presets
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.page_context import Toast
from llm_studio.ui.tasks import Query, Write
from llm_studio.workflows.projects import apply_preset, config_text, write_config_text

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project

TEXT, SAVE, PRESET, UNDO = "model/text", "model/save", "model/preset", "model/undo"


class ConfigWriter(QObject):
    """Asks for what is to be read and written, in order."""

    task_requested = Signal(object)
    """A Task."""
    toast_requested = Signal(object)
    """A Toast."""
    free = Signal()
    """A text that came while another was being written can be written now."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self._saving = self._waiting = False

    def open_project(self, project: "Project | None") -> None:
        """Another project."""
        self.project, self._saving, self._waiting = project, False, False

    def read(self, project: "Project") -> None:
        """Read the file's text."""
        self.task_requested.emit(Query(TEXT, lambda job: config_text(project), page_shows_errors=True))

    @Slot(str, str)
    def save(self, text: str, before: str) -> None:
        """Write a text that was made from `before`."""
        project = self.project
        if project is None:
            return
        if self._saving:
            self._waiting = True
            return
        self._saving = True

        def work(job: Job) -> str:
            write_config_text(project, text, before)
            return text

        self.task_requested.emit(Write(SAVE, work, changes_project=True))

    def save_ended(self) -> None:
        """The text is written, or could not be."""
        self._saving = False
        if self._waiting:
            self._waiting = False
            self.free.emit()

    def apply_preset(self, name: str) -> None:
        """Take all settings of a preset."""
        project = self.project
        if project is None:
            return

        def work(job: Job) -> "tuple[Project, str, str]":
            before = config_text(project)
            apply_preset(project, name)
            return project, name, before

        self.task_requested.emit(Write(PRESET, work, changes_project=True))

    def preset_applied(self, result: "tuple[Project, str, str]") -> None:
        """Tell it, with a way back to the file as it was."""
        project, name, before = result
        text = _("All settings now match “{preset}”.").format(preset=_(presets()[name].title))
        undo = Write(UNDO, lambda job: write_config_text(project, before), changes_project=True)
        self.toast_requested.emit(Toast(text, undo))
