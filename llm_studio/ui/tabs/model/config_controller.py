"""The project's config.yaml: its text, pending changes, and presets, with undo."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.config import Settings
from llm_studio.config.presets import presets
from llm_studio.errors import ConfigError
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tabs.model.pending import PendingSettings
from llm_studio.ui.tasks import SETTINGS, Query, Task, Write
from llm_studio.workflows.projects import apply_preset, config_text, write_config_text

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project

TEXT, SAVE, PRESET, UNDO = "model/text", "model/save", "model/preset", "model/undo"


class ConfigController(Controller):
    """Reads the text with each overview; writes one text after the other, and single settings through the session."""

    text_read = Signal(str)
    """The text of the file."""
    unreadable = Signal(object)
    """A ConfigError: the file isn't text."""
    saved = Signal(str)
    """The text that was written."""
    free = Signal()
    """A text that arrived during another write can be written now."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self._pending = PendingSettings()
        self._saving = self._waiting = False
        context.listen(TEXT, succeeded=self.text_read.emit, failed=self._on_text_failed)
        context.listen(SAVE, succeeded=self.saved.emit, ended=self._on_save_ended)
        context.listen(PRESET, succeeded=self._on_preset_applied)
        context.listen(SETTINGS, started=self._on_settings_started, ended=self._pending.end_write)

    def open_project(self, project: "Project | None") -> None:
        """Forget pending changes and writes."""
        self._pending.forget()
        self._saving = self._waiting = False

    def show_overview(self, overview: "Overview") -> None:
        """Read the file's text."""
        project = overview.project
        self.context.request(Query(TEXT, lambda job: config_text(project), page_shows_errors=True))

    @Slot(dict)
    def change(self, changes: dict[str, object]) -> None:
        """Change settings, by dotted name."""
        self._pending.add(changes)
        self.context.settings_requested.emit(changes)

    def with_changes(self, settings: Settings) -> Settings:
        """These settings with the changes that aren't in the file yet."""
        return self._pending.applied_to(settings)

    @Slot(str, str)
    def save(self, text: str, before: str) -> None:
        """Write a text that was derived from `before`; during another write, wait for `free`."""
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

        self.context.request(Write(SAVE, work, changes_project=True))

    def apply_preset(self, name: str) -> None:
        """Apply all settings of a preset."""
        project = self.project
        if project is None:
            return

        def work(job: Job) -> "tuple[Project, str, str]":
            before = config_text(project)
            apply_preset(project, name)
            return project, name, before

        self.context.request(Write(PRESET, work, changes_project=True))

    def _on_text_failed(self, error: BaseException) -> None:
        if isinstance(error, ConfigError):
            self.unreadable.emit(error)

    def _on_save_ended(self) -> None:
        self._saving = False
        if self._waiting:
            self._waiting = False
            self.free.emit()

    def _on_preset_applied(self, result: "tuple[Project, str, str]") -> None:
        project, name, before = result
        text = _("All settings now match “{preset}”.").format(preset=_(presets()[name].title))
        undo = Write(UNDO, lambda job: write_config_text(project, before), changes_project=True)
        self.context.toast_requested.emit(Toast(text, undo))

    def _on_settings_started(self, _task: Task) -> None:
        self._pending.begin_write()
