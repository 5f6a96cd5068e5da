"""The user's files for the Data tab: selection, inspection in a dialog, and adding."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFileDialog

from llm_studio.errors import DamagedFileError, StudioError
from llm_studio.i18n import _, ngettext, number
from llm_studio.jobs import Job
from llm_studio.ui.controller import Controller
from llm_studio.ui.tasks import Query
from llm_studio.workflows.data import sources
from llm_studio.workflows.data.sources import FileChoice

if TYPE_CHECKING:
    from llm_studio.ui.dialogs.add_texts import AddTextsDialog
    from llm_studio.ui.page import Page
    from llm_studio.ui.tabs.data.adding_controller import AddingController
    from llm_studio.ui.tabs.data.sources import FileOptions
    from llm_studio.workflows.data.sources import Source

_LOOK = "data/look"
_PLAIN = (".txt", ".md")
"""Suffixes of files that are added without a dialog, unless they are chats."""
_MOST_CHECKED = 20
"""Maximum number of plain texts that are checked for being chats."""


class OwnFiles(Controller):
    """Opens the dialogs for files and folders, and adds what the user has selected or dropped, using `options`."""

    def __init__(self, page: "Page", options: "FileOptions", adding: "AddingController") -> None:
        super().__init__(page.context)
        self._page, self._options, self._adding = page, options, adding
        self._folder = ""
        self._dialog: AddTextsDialog | None = None
        self._paths: list[Path] = []
        self._waiting: list[tuple[Path, FileChoice]] = []
        self.context.listen(_LOOK, succeeded=self._show_look, failed=self._look_failed)

    # --- Choosing -------------------------------------------------------------------------------------------------

    @Slot()
    def choose_files(self) -> None:
        """Ask for files."""
        kinds = " ".join(f"*{kind}" for kind in sources.readable_suffixes())
        filters = [_("Texts ({kinds})").format(kinds=kinds), _("All files (*)")]
        self._choose(QFileDialog.FileMode.ExistingFiles, _("Add texts"), filters)

    @Slot()
    def choose_folder(self) -> None:
        """Ask for a folder."""
        self._choose(QFileDialog.FileMode.Directory, _("Add the texts of a folder"), [])

    def _choose(self, mode: QFileDialog.FileMode, title: str, filters: list[str]) -> None:
        chooser = QFileDialog(self._page, title, self._folder or str(Path.home()))
        chooser.setFileMode(mode)
        if filters:
            chooser.setNameFilters(filters)
        else:
            chooser.setOption(QFileDialog.Option.ShowDirsOnly)
        chooser.filesSelected.connect(self._on_selected)
        chooser.finished.connect(chooser.deleteLater)
        chooser.open()

    @Slot(list)
    def _on_selected(self, names: list[str]) -> None:
        paths = [Path(name) for name in names]
        if paths:
            self._folder = str(paths[0].parent)
        self.take(paths)

    @Slot(list)
    def take(self, paths: Sequence[Path]) -> None:
        """Add plain texts immediately; open a dialog for all others."""
        if self.project is None or not paths:
            return
        plain = all(path.suffix.lower() in _PLAIN for path in paths)
        if plain and not any(map(sources.is_chat, paths[:_MOST_CHECKED])):
            self._add(paths, {})
        else:
            self._show_dialog(paths)

    # --- Inspecting -----------------------------------------------------------------------------------------------

    def _show_dialog(self, paths: Sequence[Path]) -> None:
        from llm_studio.ui.dialogs.add_texts import AddTextsDialog

        self._paths = list(paths)
        self._waiting = [(path, FileChoice()) for path in paths]
        self._dialog = dialog = AddTextsDialog(paths, self._page)
        dialog.look_requested.connect(self._inspect_again)
        dialog.add_requested.connect(self._on_add)
        dialog.finished.connect(self._on_closed)
        dialog.open()
        self._inspect_next()

    @Slot()
    def _on_closed(self) -> None:
        self._dialog = None
        self._waiting.clear()
        self.context.stop_requested.emit(_LOOK)

    @Slot(object, object)
    def _inspect_again(self, path: Path, choice: FileChoice) -> None:
        idle = not self._waiting
        self._waiting.append((path, choice))
        if idle:
            self._inspect_next()

    def _inspect_next(self) -> None:
        if not self._waiting:
            return
        (path, choice), separator = self._waiting[0], self._options.separator()
        encoding = choice.encoding or self._options.encoding()
        language = self.overview.settings.project.language if self.overview else ""

        def work(job: Job) -> tuple[Path, Any]:
            try:
                return path, sources.look(path, job, separator=separator, text_field=choice.text_field or None,
                                          follow_links=choice.follow_links, encoding=encoding, language=language,
                                          reading=choice.reading)  # fmt: skip
            except StudioError as error:
                return path, error

        self.context.request(Query(_LOOK, work, page_shows_errors=True, outlives_project=True))

    def _show_look(self, answer: "tuple[Path, Any]") -> None:
        path, seen = answer
        if self._dialog is None or not self._waiting:
            return
        self._waiting.pop(0)
        if isinstance(seen, DamagedFileError):
            self._dialog.show_problem(path, seen.skipped if len(self._paths) > 1 else str(seen), seen.detail)
        elif isinstance(seen, StudioError):
            self._dialog.show_problem(path, str(seen))
        else:
            self._dialog.show_look(path, seen)
        self._inspect_next()

    def _look_failed(self, error: BaseException) -> None:
        """Show an unexpected error at its file, and inspect the next one."""
        if self._dialog is None or not self._waiting:
            return
        path = self._waiting.pop(0)[0]
        reason = str(error) or type(error).__name__
        self._dialog.show_problem(path, _("{path} can't be read: {reason}").format(path=path.name, reason=reason))
        self._inspect_next()

    # --- Adding ---------------------------------------------------------------------------------------------------

    @Slot(object)
    def _on_add(self, choices: "dict[Path, FileChoice]") -> None:
        self._add(self._paths, choices)

    def _add(self, paths: Sequence[Path], choices: Mapping[Path, FileChoice]) -> None:
        project = self.project
        if project is None:
            return
        separator, field, encoding = self._options.separator(), self._options.text_field(), self._options.encoding()
        several = ngettext("Adding {n} file", "Adding {n} files", len(paths)).format(n=number(len(paths)))
        title = several if len(paths) > 1 else _("Adding {name}").format(name=paths[0].name)

        def work(job: Job) -> "list[Source]":
            return sources.add_several(project, paths, job, separator=separator, text_field=field,
                                       encoding=encoding, choices=choices)  # fmt: skip

        self._adding.add(work, title)
