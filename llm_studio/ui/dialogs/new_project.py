"""The dialog for name, location and language of a new project."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QDialog, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from llm_studio import i18n
from llm_studio.errors import StudioError
from llm_studio.i18n import _
from llm_studio.ui.preferences import Preferences, typed_path
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.fit_contents import FitContents

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project

_UNFIT = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""Characters that aren't allowed in a folder's name on Windows."""


class NewProjectDialog(QDialog):
    """Creates the project when its button is pressed. Problems are shown in the dialog, and the input is kept."""

    made = Signal(object)
    """The new project."""
    found = Signal(object)
    """The existing project in the folder, to be opened."""

    def __init__(
        self, preferences: Preferences, ask_to_leave: Callable[[Callable[[], None]], None], parent: QWidget
    ) -> None:
        """`ask_to_leave` calls its argument once the user agrees to leave the open project."""
        super().__init__(parent)
        self._ask_to_leave = ask_to_leave
        self.setWindowTitle(_("New project"))
        self.setMinimumWidth(480)
        self._folder = preferences.folder_for_projects()
        FitContents(self)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.setSpacing(8)
        self.name = QLineEdit(free_name(preferences.folder_for_projects(), _("my-llm")), self)
        self.place = QLineEdit(str(preferences.folder_for_projects()), self)
        self.language = QComboBox(self)
        for code, name in i18n.LANGUAGE_NAMES.items():
            self.language.addItem(name, code)
        self.language.setCurrentIndex(self.language.findData(i18n.language()))
        self._path = label("", self, "caption", wrap=True)
        self._problem = label("", self, "bad", wrap=True)
        self._problem.hide()
        fields = {_("Name"): self.name, _("Location"): self.place, _("Language of the texts"): self.language}
        for text, field in fields.items():
            title = label(text, self)
            title.setBuddy(field)
            field.setAccessibleName(text)
            inside.addWidget(title)
            if field is self.place:
                inside.addLayout(row(field, button(_("Browse…"), self, self._browse)))
            else:
                inside.addWidget(field)
        inside.addWidget(self._path)
        inside.addWidget(self._problem)
        self.open_existing = button(_("Open this project"), self, self._open_existing)
        self.open_existing.hide()
        inside.addLayout(row(self.open_existing, None))
        inside.addSpacing(8)
        self.make = button(_("Create the project"), self, self._create, "primary")
        inside.addLayout(row(None, button(_("Cancel"), self, self.reject), self.make))
        self.name.textChanged.connect(self._show_path)
        self.place.textChanged.connect(self._show_path)
        self.name.selectAll()
        self._show_path()

    def root(self) -> Path:
        """The folder of the new project."""
        place = self._folder / typed_path(self.place.text())  # an absolute path replaces the folder
        return place / folder_name(self.name.text())

    @Slot()
    def _show_path(self) -> None:
        self._path.setText(_("The project will be created in {path}.").format(path=self.root()))
        self._problem.hide()
        self.open_existing.hide()
        self.make.setEnabled(bool(self.name.text().strip() and self.place.text().strip()))

    @Slot()
    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, _("Location of the project"), self.place.text())
        if folder:
            self.place.setText(folder)

    @Slot()
    def _create(self) -> None:
        """Ask about running jobs before anything is created: a user who then stays leaves nothing behind."""
        self._ask_to_leave(self._make)

    def _make(self) -> None:
        from llm_studio.workflows.projects import new_project

        try:
            project = new_project(self.root(), language=self.language.currentData(), name=self.name.text().strip())
        except StudioError as error:
            self._problem.setText(str(error))
            self._problem.show()
            self.open_existing.setVisible(self._existing() is not None)
            return
        self.accept()
        self.made.emit(project)

    def _existing(self) -> "Project | None":
        """The existing project in the folder, or None."""
        from llm_studio.workflows.overview import open_project

        with contextlib.suppress(StudioError):
            return open_project(self.root())
        return None

    @Slot()
    def _open_existing(self) -> None:
        project = self._existing()
        if project is None:  # removed meanwhile
            self._show_path()
            return
        self.accept()
        self.found.emit(project)


def folder_name(text: str) -> str:
    """The typed name, converted to a folder name that every system accepts."""
    return _UNFIT.sub("-", text.strip()).rstrip(". ")


def free_name(folder: Path, wanted: str) -> str:
    """A name that isn't used in `folder`, if the folder can be read: its disk may be disconnected."""
    name, number = wanted, 2
    with contextlib.suppress(OSError):
        while (folder / name).exists():
            name, number = f"{wanted}-{number}", number + 1
    return name
