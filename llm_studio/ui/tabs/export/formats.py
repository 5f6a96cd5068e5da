"""The cards of the tab Export for formats: their choice, the content of the export, and its options."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from llm_studio.i18n import _, size
from llm_studio.ui.widgets.basics import Card, KeyValues, button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.export import Candidate, Format, Option


_INDENT = 26
"""Pixels from the edge of a radio button to its text."""


class FormatsCard(Card):
    """A choice of formats: each with its name and its purpose."""

    changed = Signal()

    def __init__(self, parent: QWidget, formats: "Iterable[Format]", warning: str) -> None:
        super().__init__(parent, _("For what"))
        self._group = QButtonGroup(self)
        self.choices: dict[str, QRadioButton] = {}
        for form in formats:
            choice = self.choices[form.name] = QRadioButton(_(form.title), self)
            choice.setAccessibleDescription(_(form.summary))
            self._group.addButton(choice)
            summary = label(_(form.summary), self, "caption", wrap=True)
            summary.setIndent(_INDENT)
            summary.setBuddy(choice)
            both = QVBoxLayout()
            both.setSpacing(0)
            both.addWidget(choice)
            both.addWidget(summary)
            self.content.addLayout(both)
        next(iter(self.choices.values())).setChecked(True)
        self.content.addWidget(label(warning, self, "muted", wrap=True))
        self._group.buttonToggled.connect(self._on_toggled)

    def chosen(self) -> str:
        """The name of the selected format."""
        return next(name for name, choice in self.choices.items() if choice.isChecked())

    def choose(self, name: str) -> None:
        """Choose a format."""
        self.choices[name].setChecked(True)

    @Slot(QRadioButton, bool)
    def _on_toggled(self, _choice: QRadioButton, checked: bool) -> None:
        if checked:
            self.changed.emit()


class FormatPanel(QWidget):
    """The files in an export of one format, and the options of the format."""

    changed = Signal()
    """An option was changed."""
    destination_chosen = Signal()

    def __init__(self, parent: QWidget, form: "Format") -> None:
        super().__init__(parent)
        self.form = form
        self.files = KeyValues(self)
        for name, title in form.files.items():
            self.files.add(name, _(title), name)
        self.files.add("total", _("Size of the export"))
        self.destination: QPushButton | None = None
        self.switches: dict[str, QCheckBox] = {}
        self.choices: dict[str, QComboBox] = {}
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.files)
        inside.addSpacing(4)
        for option in form.options:
            inside.addLayout(self._choice(option) if option.choices else row(self._switch(option), None))
        inside.addWidget(label(_(form.note), self, "caption", wrap=True))
        if form.destination is not None:
            self.destination = button(_(form.destination.title), self, self._on_destination)
            inside.addLayout(row(self.destination, None))

    def _switch(self, option: "Option") -> QCheckBox:
        made = self.switches[option.name] = QCheckBox(_(option.title), self)
        made.setToolTip(_(option.help))
        made.toggled.connect(self.changed)
        return made

    def _choice(self, option: "Option") -> QHBoxLayout:
        title, made = label(_(option.title), self), QComboBox(self)
        self.choices[option.name] = made
        for choice in option.choices:
            made.addItem(_(option.labels.get(choice, choice)), choice)
        made.setToolTip(_(option.help))
        made.setAccessibleName(_(option.title))
        title.setBuddy(made)
        made.currentIndexChanged.connect(self.changed)
        return row(title, made, None)

    def _on_destination(self) -> None:
        self.destination_chosen.emit()

    def show_destination(self, there: bool) -> None:
        """Offer the other program's folder only if that program is on this computer."""
        if self.destination is not None:
            self.destination.setVisible(there)

    def options(self) -> dict[str, bool | str]:
        """The selected values by name."""
        switches = {name: switch.isChecked() for name, switch in self.switches.items()}
        return {**switches, **{name: str(choice.currentData()) for name, choice in self.choices.items()}}

    def show_content(self, candidate: "Candidate | None") -> None:
        """Show the files of a checkpoint, and the size of the export."""
        included = self.form.sizes(candidate.model, self.options()) if candidate else {}
        for name in self.form.files:
            absent = _("left out") if candidate else "–"
            self.files.show_value(name, size(included[name]) if name in included else absent,
                                  "value" if name in included else "muted")  # fmt: skip
        total = _("about {size}").format(size=size(sum(included.values())))
        self.files.show_value("total", total if candidate else "–")


class ContentCard(Card):
    """Shows the content of an export in the selected format, and the options of the format."""

    changed = Signal()
    destination_chosen = Signal()
    """The export should be written to the folder of the program that the format declares."""

    def __init__(self, parent: QWidget, formats: "Iterable[Format]") -> None:
        super().__init__(parent, _("In the export"))
        self.panels = {form.name: FormatPanel(self, form) for form in formats}
        self.obstacle = label("", self, "warn", wrap=True)
        self.obstacle.setAccessibleName(_("Why this format isn’t possible"))
        self.content.addWidget(self.obstacle)
        for panel in self.panels.values():
            panel.changed.connect(self.changed)
            panel.destination_chosen.connect(self.destination_chosen)
            self.content.addWidget(panel)
        self.show_format(next(iter(self.panels)))

    def show_format(self, name: str) -> None:
        """Show another format."""
        self.panel = self.panels[name]
        for panel in self.panels.values():
            panel.setVisible(panel is self.panel)

    def show_content(self, candidate: "Candidate | None", obstacle: str, enabled: bool) -> None:
        """Show the files of a checkpoint in the selected format, or the `obstacle` that prevents the export."""
        self.obstacle.setText(obstacle)
        self.obstacle.setVisible(bool(obstacle))
        self.panel.show_content(None if obstacle else candidate)
        if self.panel.destination is not None:
            self.panel.destination.setEnabled(enabled)
