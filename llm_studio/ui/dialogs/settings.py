"""The settings of the program: each takes effect and is saved at once; there is nothing to confirm."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QFileDialog, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from llm_studio import i18n
from llm_studio.i18n import _, ngettext
from llm_studio.ui.preferences import Preferences, typed_path
from llm_studio.ui.widgets.basics import button, label, line, row
from llm_studio.ui.widgets.fit_contents import FitContents


class SettingsDialog(QDialog):
    """Changes the preferences. The window is created again for another language; the dialog stays, in that language."""

    language_chosen = Signal(str)
    theme_chosen = Signal(str)

    def __init__(self, preferences: Preferences, parent: QWidget) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self.setMinimumWidth(520)
        FitContents(self)
        self._outer = QVBoxLayout(self)
        self._outer.setContentsMargins(0, 0, 0, 0)
        self._inside: QWidget | None = None
        self._build()

    def _build(self) -> None:
        """Create all contents in the current language."""
        if self._inside is not None:
            self._outer.removeWidget(self._inside)
            self._inside.hide()
            self._inside.deleteLater()
        self.setWindowTitle(_("Settings"))
        inside = self._inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(8)
        self._add_look(column, inside)
        column.addWidget(line(inside))
        self._add_projects(column, inside)
        column.addWidget(line(inside))
        self._add_training(column, inside)
        column.addSpacing(6)
        column.addStretch(1)
        self.done_button = button(_("Close"), inside, self.accept, "primary")
        column.addLayout(row(None, self.done_button))
        self._outer.addWidget(inside)
        self.language.setFocus()

    def _add_look(self, column: QVBoxLayout, inside: QWidget) -> None:
        self.language = QComboBox(inside)
        self.language.addItem(_("Follow system"), "")
        for code, name in i18n.LANGUAGE_NAMES.items():
            self.language.addItem(name, code)
        self.language.setCurrentIndex(max(0, self.language.findData(self._preferences.language)))
        self.language.activated.connect(self._choose_language)
        self.theme = QComboBox(inside)
        for key, text in {"system": _("Follow system"), "light": _("Light"), "dark": _("Dark")}.items():
            self.theme.addItem(text, key)
        self.theme.setCurrentIndex(max(0, self.theme.findData(self._preferences.theme)))
        self.theme.activated.connect(self._choose_theme)
        _add_field(column, inside, _("Language"), self.language)
        _add_field(column, inside, _("Colours"), self.theme)

    def _add_projects(self, column: QVBoxLayout, inside: QWidget) -> None:
        self.folder = QLineEdit(self._preferences.projects_folder, inside)
        self.folder.setPlaceholderText(str(Preferences().folder_for_projects()))
        self.folder.setAccessibleName(_("Folder for new projects"))
        self.folder.editingFinished.connect(self._take_folder)
        title = label(_("Folder for new projects"), inside)
        title.setBuddy(self.folder)
        self.problem = label("", inside, "bad", wrap=True)
        self.problem.hide()
        self.browse = button(_("Browse…"), inside, self._browse)
        self.reopen = QCheckBox(_("Open the last project at startup"), inside)
        self.reopen.setChecked(self._preferences.reopen_last)
        self.reopen.toggled.connect(self._set_reopen)
        column.addWidget(title)
        column.addLayout(row(self.folder, self.browse))
        column.addWidget(self.problem)
        column.addWidget(self.reopen)

    def _add_training(self, column: QVBoxLayout, inside: QWidget) -> None:
        from llm_studio.workflows.machine.gauges import cores

        count = cores()
        self.threads = QSpinBox(inside)
        self.threads.setRange(0, count - 1)
        self.threads.setValue(min(self._preferences.spare_threads, count - 1))
        self.threads.setEnabled(count > 1)
        self.threads.setMinimumWidth(90)
        self.threads.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.threads.valueChanged.connect(self._set_threads)
        _add_field(column, inside, _("Processor cores left for the window and other programs"), self.threads)
        why = ngettext("Training uses the only core of this computer.",
                       "Training on the processor uses all {n} cores of this computer except these. 0 is fastest; 1 or "
                       "2 keeps other programs responsive. Applies to new runs.",
                       count).format(n=count)  # fmt: skip
        column.addWidget(label(why, inside, "caption", wrap=True))
        self.awake = QCheckBox(_("Keep the computer awake during training"), inside)
        self.awake.setChecked(self._preferences.keep_awake)
        self.awake.toggled.connect(self._set_awake)
        column.addWidget(self.awake)
        words = _("The screen may still turn off. If you close the lid or the battery runs out, training stops; it"
                  " can be resumed from the last checkpoint.")  # fmt: skip
        column.addWidget(label(words, inside, "caption", wrap=True))

    # --- Changes by the user ----------------------------------------------------------------------------------

    @Slot(int)
    def _choose_language(self, _index: int) -> None:
        code: str = self.language.currentData()
        if code == self._preferences.language:
            return
        self.language_chosen.emit(code or i18n.system_language())
        self._preferences.language = code  # the window has stored the resolved system language
        self._preferences.save()
        self._build()

    @Slot(int)
    def _choose_theme(self, _index: int) -> None:
        self.theme_chosen.emit(self.theme.currentData())

    @Slot()
    def _browse(self) -> None:
        dialog = QFileDialog(self, _("Folder for new projects"), str(self._preferences.folder_for_projects()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.folder.setText)
        dialog.fileSelected.connect(self._take_folder)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _take_folder(self) -> None:
        """Save the folder if it is valid; empty: the default."""
        text = self.folder.text().strip()
        path = typed_path(text) if text else None
        problem = _folder_problem(path) if path else ""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        if not problem:
            self._preferences.projects_folder = str(path) if path else ""
            self._preferences.save()

    @Slot(bool)
    def _set_reopen(self, checked: bool) -> None:
        self._preferences.reopen_last = checked
        self._preferences.save()

    @Slot(int)
    def _set_threads(self, value: int) -> None:
        from llm_studio.workflows.overview import leave_cores

        self._preferences.spare_threads = value
        self._preferences.save()
        leave_cores(value)

    @Slot(bool)
    def _set_awake(self, checked: bool) -> None:
        self._preferences.keep_awake = checked
        self._preferences.save()

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()


def _add_field(column: QVBoxLayout, parent: QWidget, name: str, field: QWidget) -> None:
    title = label(name, parent, wrap=True)
    title.setBuddy(field)
    field.setAccessibleName(name)
    made = row(title, field)
    made.setStretch(0, 1)
    column.addLayout(made)


def _folder_problem(path: Path) -> str:
    """Why a folder can't hold projects, "" if it can; a missing one is created with the first project."""
    try:
        if not path.is_absolute():
            return _("Enter the full path of the folder, including the drive.")
        if path.exists() and not path.is_dir():
            return _("{path} is a file.").format(path=path)
    except (OSError, ValueError):
        return _("The system rejects this path.")
    return ""
