"""The dialog for the location of a new project with a model that someone shared."""

from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDialog, QFileDialog, QLineEdit, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.dialogs.new_project import folder_name, free_name
from llm_studio.ui.preferences import Preferences, typed_path
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.fit_contents import FitContents


class OpenModelDialog(QDialog):
    """Shows the model to be opened and the location; `accepted_at` reports the folder of the new project."""

    accepted_at = Signal(Path, Path)
    """The model, and the folder to create."""

    def __init__(self, model: Path, name: str, preferences: Preferences, parent: QWidget) -> None:
        """`name`: default name of the project."""
        super().__init__(parent)
        self._model, self._folder = model, preferences.folder_for_projects()
        self.setWindowTitle(_("Open a model"))
        self.setMinimumWidth(480)
        FitContents(self)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.setSpacing(8)
        words = _("“{file}” becomes a project of its own: talk to the model, look inside, or begin a run with it. The "
                  "original stays as it is.")  # fmt: skip
        inside.addWidget(label(words.format(file=model.name), self, "muted", wrap=True))
        self.name = QLineEdit(free_name(self._folder, folder_name(name)), self)
        self.place = QLineEdit(str(self._folder), self)
        for text, field in ((_("Name"), self.name), (_("Location"), self.place)):
            title = label(text, self)
            title.setBuddy(field)
            field.setAccessibleName(text)
            inside.addWidget(title)
            inside.addLayout(
                row(field, button(_("Browse…"), self, self._browse)) if field is self.place else row(field)
            )
        self._path = label("", self, "caption", wrap=True)
        inside.addWidget(self._path)
        inside.addSpacing(8)
        self.open_button = button(_("Open the model"), self, self._accept, "primary")
        inside.addLayout(row(None, button(_("Cancel"), self, self.reject), self.open_button))
        self.name.textChanged.connect(self._show_path)
        self.place.textChanged.connect(self._show_path)
        self._show_path()

    def root(self) -> Path:
        """The folder of the new project."""
        return self._folder / typed_path(self.place.text()) / folder_name(self.name.text())

    @Slot()
    def _show_path(self) -> None:
        self._path.setText(_("The project will be created in {path}.").format(path=self.root()))
        self.open_button.setEnabled(bool(folder_name(self.name.text()) and self.place.text().strip()))

    @Slot()
    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, _("Location of the project"), self.place.text())
        if folder:
            self.place.setText(folder)

    @Slot()
    def _accept(self) -> None:
        self.accept()
        self.accepted_at.emit(self._model, self.root())
