"""The settings of the model and of its training as a form, generated from their declarations."""

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from llm_studio.config import SECTIONS, Settings
from llm_studio.errors import ConfigError
from llm_studio.i18n import _, number
from llm_studio.ui.tabs.model.fields import SettingField
from llm_studio.ui.tabs.model.labels import HEADINGS, NEXT, SIMPLE
from llm_studio.ui.widgets.basics import button, label, line, row
from llm_studio.ui.widgets.column import Column

_PAUSE = 700
"""Milliseconds without a key press after which the text of a field is used."""


class _MoreSettings(QWidget):
    """Settings that few people change, behind a button."""

    toggled = Signal(bool)
    """The user has shown or hidden them."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._button = button("", self, self._toggle, "link")
        self.inside = QWidget(self)
        self.inside.hide()
        self.content = QVBoxLayout(self.inside)
        self.content.setContentsMargins(0, 4, 0, 0)
        self.content.setSpacing(10)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(row(self._button, None))
        whole.addWidget(self.inside)
        self.set_open(False)

    def is_open(self) -> bool:
        """Whether its settings are shown."""
        return not self.inside.isHidden()

    def set_open(self, is_open: bool) -> None:
        """Show or hide its settings."""
        self.inside.setVisible(is_open)
        name = _("More settings")
        self._button.setText(f"{name} {'▴' if is_open else '▾'}")

    def _toggle(self) -> None:
        self.set_open(not self.is_open())
        self.toggled.emit(self.is_open())


class SettingsForm(Column):
    """Shows settings and reports the user's changes. Invalid input is marked and stays in the form."""

    previewed = Signal(object)
    """Valid settings, while the user is still typing."""
    changed = Signal(dict)
    """The user's valid changes by dotted name."""
    marked = Signal()
    """Fields were marked as invalid or valid."""
    unfolded = Signal(bool)
    """The user has shown or hidden the settings that few people change."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, 10)
        self.fields: dict[str, SettingField] = {}
        self._settings = Settings()
        self._touched: set[str] = set()
        self._vocab_size = 0
        self._to_show: SettingField | None = None
        self._timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._timer.timeout.connect(self.take)
        for section in SIMPLE:
            self._add_section(self.inside, self.content, section, SIMPLE[section])
        self.content.addWidget(line(self.inside))
        self.more = _MoreSettings(self.inside)
        self.more.toggled.connect(self.unfolded)
        for section in SIMPLE:
            names = (*NEXT[section], *(name for name in SECTIONS[section].model_fields if name not in NEXT[section]))
            self._add_section(self.more.inside, self.more.content, section, names)
        self.content.addWidget(self.more)
        self.content.addStretch(1)

    def _add_section(self, inside: QWidget, column: QVBoxLayout, section: str, names: Iterable[str]) -> None:
        """Add a heading, and fields for the settings that have none yet."""
        if column.count():
            column.addWidget(line(inside))
        column.addWidget(label(_(HEADINGS[section]), inside, "heading"))
        for name in names:
            if f"{section}.{name}" in self.fields:
                continue
            made = SettingField(inside, section, name, SECTIONS[section].model_fields[name])
            made.typed.connect(self._on_typed)
            made.finished.connect(self.take)
            self.fields[made.path] = made
            column.addWidget(made)

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_settings(self, settings: Settings, vocab_size: int | None = None) -> None:
        """Show settings; the user's current input is kept. `vocab_size`: the tokenizer's, 0 for none."""
        self._settings = settings
        self._vocab_size = self._vocab_size if vocab_size is None else vocab_size
        for path, made in self.fields.items():
            if path not in self._touched:
                made.show_value(_value(settings, path))
        self._mark(self._problems(self._edits()) if self._touched else {})
        self._explain(settings)

    def reveal(self, path: str) -> None:
        """Make a setting visible, by its dotted name: it may be among the folded ones."""
        made = self.fields.get(path)
        if made is None:
            return
        if self.more.isAncestorOf(made):
            self.more.set_open(True)
        self._to_show = made
        QTimer.singleShot(0, self._scroll_to_it)

    @Slot()
    def _scroll_to_it(self) -> None:
        """Scroll after the layout is up to date."""
        if self._to_show is not None:
            self.ensureWidgetVisible(self._to_show)

    def forget(self) -> None:
        """Discard pending input."""
        self._timer.stop()
        self._touched.clear()
        self._mark({})

    @property
    def has_wrong(self) -> bool:
        """Whether there is invalid input."""
        return any(made.message.text() for made in self.fields.values())

    def _explain(self, settings: Settings) -> None:
        """Show help texts that depend on other settings."""
        model = settings.model
        heads = _("{width} / {heads} = {each} wide each").format(
            width=number(model.d_model), heads=number(model.n_heads), each=number(model.head_width)
        )
        self.fields["model.n_heads"].explain(heads)
        ratio = _("{ratio} × the width").format(ratio=number(model.d_ff / model.d_model, 1))
        self.fields["model.d_ff"].explain(ratio)
        known = _("the tokenizer has {n}").format(n=number(self._vocab_size))
        self.fields["model.vocab_size"].explain(known if self._vocab_size else "")

    def _mark(self, wrong: Mapping[str, str]) -> None:
        for path, made in self.fields.items():
            made.mark(wrong.get(path, ""))
            if path in wrong and self.more.isAncestorOf(made):
                self.more.set_open(True)
        self.marked.emit()

    # --- Input ------------------------------------------------------------------------------------------------

    def _edits(self) -> dict[str, object]:
        """The input in edited fields that differs from the settings."""
        return {
            path: value
            for path in self._touched
            if (value := self.fields[path].value()) != _plain(_value(self._settings, path))
        }

    def _problems(self, edits: Mapping[str, object]) -> dict[str, str]:
        """The problems of these changes by dotted name."""
        try:
            self._settings.replaced(edits)
        except ConfigError as error:
            return {problem.path: problem.message for problem in error.problems}
        return {}

    @Slot(str)
    def _on_typed(self, path: str) -> None:
        self._touched.add(path)
        self._timer.start()
        edits = self._edits()
        if not self._problems(edits):
            self._mark({})
            settings = self._settings.replaced(edits)
            self._explain(settings)
            self.previewed.emit(settings)

    @Slot()
    def take(self) -> None:
        """Use the input: send valid changes, mark invalid ones."""
        self._timer.stop()
        if not self._touched:
            return
        edits = self._edits()
        wrong = self._problems(edits)
        self._mark(wrong)
        right = {path: value for path, value in edits.items() if path not in wrong}
        if wrong and self._problems(right):  # they aren't valid without the invalid ones
            return
        self._touched = set(edits).difference(right)
        if right:
            self._settings = self._settings.replaced(right)
            self.changed.emit(right)
        for path in self.fields.keys() - self._touched:
            self.fields[path].show_value(_value(self._settings, path))
        if not self._touched:
            self._explain(self._settings)
            self.previewed.emit(self._settings)


def _value(settings: Settings, path: str) -> object:
    section, _dot, name = path.partition(".")
    return getattr(getattr(settings, section), name)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]  of texts
