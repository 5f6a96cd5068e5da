"""Editors for single settings, selected by their declared types. Invalid input is kept as it is."""

import math
import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from PySide6.QtCore import QLocale, QSize, Qt, Signal, Slot
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from llm_studio import i18n
from llm_studio.config.controls import Choices, Step
from llm_studio.config.yaml_file import scalar
from llm_studio.i18n import _, number
from llm_studio.ui.glossary import tip
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import label
from llm_studio.ui.widgets.decimal_box import with_its_point

_SPACES = re.compile(r"\s")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_EDITOR_WIDTH = 100
_ONE_LINE = 12
"""Length of a setting's name that fits on one line of the narrowest form; a longer one may need two lines."""


class WholeNumber(QAbstractSpinBox):
    """A whole number with arrow buttons. Any text can be typed; the buttons respect the limits. "" is None."""

    typed = Signal()
    finished = Signal()

    def __init__(self, parent: QWidget, name: str, info: FieldInfo, none: str = "") -> None:
        super().__init__(parent)
        self._grouped, self._optional = name != "seed", bool(none)
        self._step = next((found.step for found in info.metadata if isinstance(found, Step)), 0)
        self._low, self._high = _limits(info)
        self.lineEdit().setPlaceholderText(none)
        self.lineEdit().setAlignment(Qt.AlignmentFlag.AlignRight)
        self.lineEdit().textEdited.connect(self.typed)
        self.editingFinished.connect(self.finished)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def value(self) -> object:
        """The number; the text if it isn't one; None if the field is empty and may be."""
        text = _SPACES.sub("", self.lineEdit().text())
        if not text and self._optional:
            return None
        plain = text.replace(",", "") if i18n.language() == "en" and _GROUPED.fullmatch(text) else text
        try:
            return int(plain)
        except ValueError:
            return text

    def show_value(self, value: Any) -> None:
        """Show a number or None, or any text unchanged."""
        if isinstance(value, int):
            self.lineEdit().setText(number(value) if self._grouped else str(value))
        else:
            self.lineEdit().setText("" if value is None else str(value))

    def stepBy(self, steps: int) -> None:  # noqa: N802  Qt's
        """Step to the next round number."""
        value = self.value()
        if not isinstance(value, int):
            value = self._low
        step = self._step or 10 ** max(0, len(str(abs(value))) - 2)
        wanted = value // step * step + step * steps if steps > 0 else -(-value // step) * step + step * steps
        self.show_value(int(min(max(wanted, self._low), self._high)))
        self.typed.emit()

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:  # noqa: N802  Qt's
        """Both buttons are always enabled: at a limit they do nothing."""
        return QAbstractSpinBox.StepEnabledFlag.StepUpEnabled | QAbstractSpinBox.StepEnabledFlag.StepDownEnabled

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's
        """Ignore the wheel, which scrolls the form and must not change values."""
        event.ignore()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As wide as the other editors."""
        return QSize(_EDITOR_WIDTH, super().sizeHint().height())


def _limits(info: FieldInfo) -> tuple[int, int]:
    low, high = 0, 2**63 - 1
    for limit in info.metadata:
        low = getattr(limit, "ge", low)
        high = getattr(limit, "le", high)
    return low, high


class _TextEditor(QLineEdit):
    """A text on one line."""

    typed = Signal()
    finished = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.textEdited.connect(self.typed)
        self.editingFinished.connect(self.finished)

    def value(self) -> object:
        """The text."""
        return self.text()

    def show_value(self, value: Any) -> None:
        """Show a text."""
        self.setText(str(value))

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As wide as the other editors."""
        return QSize(_EDITOR_WIDTH, super().sizeHint().height())


class FreeNumber(_TextEditor):
    """A number in any usual notation: 0.1, 0,1 in French, 3e-4."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)

    def value(self) -> object:
        """The number, or the text if it isn't one."""
        text, locale = _SPACES.sub("", self.text()), QLocale(i18n.language())
        try:
            found = float(with_its_point(text, locale).replace(locale.decimalPoint(), "."))
        except ValueError:
            return text
        return found if math.isfinite(found) else text

    def show_value(self, value: Any) -> None:
        """Show a number in its shortest form."""
        text = scalar(value).removesuffix(".0") if isinstance(value, float) else str(value)
        self.setText(text.replace(".", ",") if i18n.language() == "fr" else text)


class Choice(QComboBox):
    """One of several values."""

    typed = Signal()
    finished = Signal()

    def __init__(self, parent: QWidget, info: FieldInfo) -> None:
        super().__init__(parent)
        names: dict[str, str] = next((found.names for found in info.metadata if isinstance(found, Choices)), {})
        for choice in get_args(info.annotation):
            self.addItem(_(names[choice]) if choice in names else choice, choice)
        self.activated.connect(self._on_activated)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)

    @Slot()
    def _on_activated(self) -> None:
        self.typed.emit()
        self.finished.emit()

    def value(self) -> object:
        """The selected value, as in the file."""
        return self.currentData()

    def show_value(self, value: Any) -> None:
        """Select a value."""
        self.setCurrentIndex(self.findData(value))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's
        """Ignore the wheel, which scrolls the form and must not change values."""
        event.ignore()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As wide as the other editors."""
        return QSize(_EDITOR_WIDTH, super().sizeHint().height())


class YesNo(QCheckBox):
    """On or off."""

    typed = Signal()
    finished = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.clicked.connect(self._on_clicked)

    @Slot()
    def _on_clicked(self) -> None:
        self.typed.emit()
        self.finished.emit()

    def value(self) -> object:
        """Whether it is on."""
        return self.isChecked()

    def show_value(self, value: Any) -> None:
        """Show on or off."""
        self.setChecked(bool(value))


class Lines(QPlainTextEdit):
    """Several texts, one per line."""

    typed = Signal()
    finished = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._quiet = False
        self.setTabChangesFocus(True)
        self.setFixedHeight(72)
        self.setPlaceholderText(_("one per line"))
        self.textChanged.connect(self._on_changed)

    @Slot()
    def _on_changed(self) -> None:
        if not self._quiet:
            self.typed.emit()

    def value(self) -> object:
        """The lines that aren't empty."""
        return [line for line in self.toPlainText().splitlines() if line.strip()]

    def show_value(self, value: Any) -> None:
        """Show texts, one per line."""
        self._quiet = True
        self.setPlainText("\n".join(value))
        self._quiet = False


Editor = WholeNumber | FreeNumber | Choice | YesNo | Lines | _TextEditor


def _make(parent: QWidget, name: str, info: FieldInfo) -> Editor:
    kind = info.annotation
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return Choice(parent, info)
    if kind is bool:
        return YesNo(parent)
    if kind is float:
        return FreeNumber(parent)
    if kind is int:
        return WholeNumber(parent, name, info)
    if origin in (types.UnionType, Union) and int in parts:
        return WholeNumber(parent, name, info, none=_("none"))
    if origin is tuple:
        return Lines(parent)
    return _TextEditor(parent)


class SettingField(QWidget):
    """A setting in the form: its name, its help, its editor, and below them a problem, if any."""

    typed = Signal(str)
    """The user is editing; with the setting's dotted name."""
    finished = Signal(str)
    """The user has left the field or has selected a value."""

    def __init__(self, parent: QWidget, section: str, name: str, info: FieldInfo) -> None:
        super().__init__(parent)
        self.path = f"{section}.{name}"
        self._shown: object = None
        human = _(info.title) if info.title else name
        breakable = name.replace("_", "_\N{ZERO WIDTH SPACE}" if len(name) > _ONE_LINE else "_")
        self.title = label(f"{human} ({breakable})" if human != name else breakable, self, wrap=True)
        self._help = _(info.description) if info.description else ""
        self.caption = label(self._help, self, "caption", wrap=True)
        self.message = label("", self, "bad", wrap=True)
        self.message.hide()
        self.editor = _make(self, name, info)
        self.title.setBuddy(self.editor)
        self.editor.setAccessibleName(human)
        self.editor.setAccessibleDescription(self._help)
        self.setToolTip(tip(name))
        self.editor.setToolTip(tip(name) or self._help)
        self.editor.typed.connect(self._on_typed)
        self.editor.finished.connect(self._on_finished)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.title)
        words.addWidget(self.caption)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        if isinstance(self.editor, Lines):
            whole.addLayout(words)
            whole.addWidget(self.editor)
        else:
            line = QHBoxLayout()
            line.setSpacing(10)
            line.addLayout(words, 1)
            line.addWidget(self.editor, 0, Qt.AlignmentFlag.AlignVCenter)
            if not isinstance(self.editor, YesNo):
                self.editor.setFixedWidth(_EDITOR_WIDTH)
            whole.addLayout(line)
        whole.addWidget(self.message)

    def value(self) -> object:
        """The editor's value."""
        return self.editor.value()

    def show_value(self, value: object) -> None:
        """Show a value; text that the user has just typed in another notation is kept until the field is left."""
        plain: object = list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]  of texts
        if self.editor.hasFocus() and self.value() == plain:
            return
        if plain != self._shown or self.value() != plain or not self.editor.hasFocus():
            self._shown = plain
            self.editor.show_value(value)

    def explain(self, text: str) -> None:
        """Show another help text, "" for the usual one."""
        self.caption.setText(text or self._help)

    def mark(self, message: str) -> None:
        """Mark the setting as invalid with a reason, or as valid with ""."""
        self.message.setText(message)
        self.message.setVisible(bool(message))
        set_role(self.editor, "wrong" if message else "")
        self.editor.setAccessibleDescription(message or self._help)

    @Slot()
    def _on_typed(self) -> None:
        self.typed.emit(self.path)

    @Slot()
    def _on_finished(self) -> None:
        self.finished.emit(self.path)
