"""Labels, buttons, cards and similar widgets, with their roles in the stylesheet."""

import html
import math
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QGuiApplication, QMouseEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from llm_studio.ui.theme import GAP, font, set_role


def label(text: str, parent: QWidget, role: str = "", *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """A text with a role of the stylesheet: "title", "heading", "muted", "caption", "figure", "value" ..."""
    made = QLabel(text, parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        set_role(made, role)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return made


class PushButton(QPushButton):
    """A button that handles the second press of a double click only if it received the first one.

    Many buttons change the page, so that another button appears under the mouse: a double click on *Start* would also
    press *Stop*.
    """

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._pressed_at = -math.inf
        """Milliseconds, by the clock of the events."""

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Remember the time of the press."""
        self._pressed_at = event.timestamp()
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Treat it as a second press, or ignore it if the first one was on another button."""
        if event.timestamp() - self._pressed_at <= QGuiApplication.styleHints().mouseDoubleClickInterval():
            super().mouseDoubleClickEvent(event)  # calls mousePressEvent


def as_plain_text(text: str) -> str:
    """`text` escaped for Qt's tooltips and dialogs: for texts and names from elsewhere.

    Qt interprets text that looks like HTML as HTML, and would even load an image from another computer.
    """
    escaped = html.escape(text).replace("\n", "<br>")
    return f"<span>{escaped}</span>" if "<" in text else text


def button(text: str, parent: QWidget, pressed: Callable[[], object] | None = None, role: str = "",
           tip: str = "") -> QPushButton:  # fmt: skip
    """A button; `role` "primary" (one per page), "danger", "small" or "link". `pressed` is a bound method.

    In a dialog, Enter presses the button with the focus, otherwise the primary one.
    """
    made = PushButton(text, parent)
    is_in_dialog = isinstance(parent.window(), QDialog)
    made.setAutoDefault(is_in_dialog)
    made.setDefault(is_in_dialog and role == "primary")
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if role:
        set_role(made, role)
    if tip:
        made.setToolTip(tip)
    _connect(made, pressed)
    return made


def _connect(made: QAbstractButton, pressed: Callable[[], object] | None) -> None:
    """Call `pressed` without Qt's `checked` argument."""

    def press(_checked: bool) -> None:
        if pressed is not None:
            pressed()

    made.clicked.connect(press)


def icon_button(icon: str, name: str, parent: QWidget, pressed: Callable[[], object] | None = None) -> QToolButton:
    """A small button with only an icon; `name` is its action, for its tooltip and for screen readers."""
    from llm_studio.ui.icons import put_icon

    made = QToolButton(parent)
    put_icon(made, icon, "muted")
    made.setToolTip(name)
    made.setAccessibleName(name)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    made.setIconSize(QSize(16, 16))
    set_role(made, "icon")
    _connect(made, pressed)
    return made


def line(parent: QWidget) -> QFrame:
    """A thin horizontal line."""
    made = QFrame(parent)
    set_role(made, "line")
    return made


def row(*items: QWidget | QLayout | None, spacing: int = 8) -> QHBoxLayout:
    """A layout of widgets side by side; None is a stretch."""
    made = QHBoxLayout()
    made.setContentsMargins(0, 0, 0, 0)
    made.setSpacing(spacing)
    for item in items:
        if item is None:
            made.addStretch(1)
        elif isinstance(item, QLayout):
            made.addLayout(item)
        else:
            made.addWidget(item)
    return made


def let_shrink(widget: QWidget, least: int) -> None:
    """Let a widget's height shrink to `least` pixels and use the available space.

    A scroll area gives a page its preferred height, not its minimum height.
    """
    widget.setMinimumHeight(least)
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)


class Card(QFrame):
    """A white surface with rounded corners. Add widgets to `content`."""

    def __init__(self, parent: QWidget, title: str = "", role: str = "card") -> None:
        super().__init__(parent)
        set_role(self, role)
        self.content = QVBoxLayout(self)
        self.content.setContentsMargins(16, 14, 16, 14)
        self.content.setSpacing(8)
        self.head = QHBoxLayout()
        """The line of the title; further widgets may follow it."""
        if title:
            self.heading = label(title, self, "heading")
            self.heading.setAccessibleName(title)
            self.head.addWidget(self.heading)
            self.head.addStretch(1)
            self.content.addLayout(self.head)


class FigureCard(Card):
    """A card with one large figure: a title, the figure, and a line of explanation."""

    def __init__(self, parent: QWidget, name: str, tip: str = "") -> None:
        super().__init__(parent)
        self.setToolTip(tip)
        self.content.setSpacing(1)
        self.content.setContentsMargins(14, 10, 14, 10)
        self._name = label(name, self, "caption")
        self._figure = label("–", self, "figure")
        self._note = label("", self, "caption")
        for part in (self._name, self._figure, self._note):
            part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            part.setMinimumWidth(60)
            self.content.addWidget(part)

    def show_figure(self, figure: str, note: str = "", tip: str = "") -> None:
        """Show a figure with a note below it; the tooltip is `tip`, or the note."""
        self._figure.setText(figure)
        self._note.setText(note)
        self._note.setToolTip(tip or note)


class KeyValues(QWidget):
    """A small table of names and values, with thin lines between."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._values: dict[str, QLabel] = {}
        self._names: dict[str, QLabel] = {}

    def add(self, key: str, name: str, tip: str = "") -> None:
        """Add a line, to be filled in by `show_value`."""
        if self._values:
            self._layout.addWidget(line(self))
        title, value = label(name, self, wrap=True), label("–", self, "value")
        value.setAlignment(Qt.AlignmentFlag.AlignRight)
        title.setToolTip(tip)
        value.setAccessibleName(name)
        self._values[key], self._names[key] = value, title
        made = row(title, value)
        made.setStretch(0, 1)
        self._layout.addLayout(made)

    def rename(self, key: str, name: str) -> None:
        """Rename a line."""
        self._names[key].setText(name)
        self._values[key].setAccessibleName(name)

    def value(self, key: str) -> str:
        """The value of a line."""
        return self._values[key].text()

    def show_value(self, key: str, text: str, role: str = "value") -> None:
        """Show the value of a line."""
        self._values[key].setText(text)
        set_role(self._values[key], role)


_SEGMENT_EDGES = 20
"""Pixels of padding and border around the text of a choice, horizontally, as in style.qss."""


class Segmented(QFrame):
    """A choice between options side by side. `chosen` reports the key."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget, choices: dict[str, str], name: str) -> None:
        super().__init__(parent)
        set_role(self, "segmented")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(1, 1, 1, 1)
        inside.setSpacing(2)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        for key, text in choices.items():
            made = button(text, self)
            made.setCheckable(True)
            made.setAccessibleName(text)
            # the selected text is bold and wider: reserve its width from the start
            made.setMinimumWidth(QFontMetrics(font(bold=True)).horizontalAdvance(text) + _SEGMENT_EDGES)
            self._group.addButton(made)
            self._buttons[key] = made
            inside.addWidget(made)
        self._group.buttonClicked.connect(self._on_click)
        if choices:
            self.choose(next(iter(choices)))

    def choose(self, key: str) -> None:
        """Select an option without emitting a signal; an unknown key selects none."""
        if key in self._buttons:
            self._buttons[key].setChecked(True)
            return
        self._group.setExclusive(False)
        for made in self._buttons.values():
            made.setChecked(False)
        self._group.setExclusive(True)

    def current(self) -> str:
        """The key of the selected option, "" if there is none."""
        return next((key for key, made in self._buttons.items() if made.isChecked()), "")

    def enable(self, key: str, enabled: bool, tip: str = "") -> None:
        """Enable or disable an option, with the reason as its tooltip."""
        self._buttons[key].setEnabled(enabled)
        self._buttons[key].setToolTip(tip)

    def show_choice(self, key: str, shown: bool) -> None:
        """Show or hide an option."""
        self._buttons[key].setVisible(shown)

    def _on_click(self, clicked: QPushButton) -> None:
        self.chosen.emit(next(key for key, made in self._buttons.items() if made is clicked))


class EmptyState(QWidget):
    """The placeholder of an empty area: what it is for, and a button to fill it."""

    pressed = Signal()

    def __init__(self, parent: QWidget, title: str, text: str, action: str = "") -> None:
        super().__init__(parent)
        inside = QVBoxLayout(self)
        inside.setSpacing(GAP // 2)
        inside.addStretch(1)
        self._title = label(title, self, "heading")
        self._text = label(text, self, "muted", wrap=True)
        for part in (self._title, self._text):
            part.setAlignment(Qt.AlignmentFlag.AlignCenter)
            inside.addWidget(part)
        self._button = button(action, self)
        self._button.clicked.connect(self.pressed)
        self._button.setVisible(bool(action))
        inside.addLayout(row(None, self._button, None))
        inside.addStretch(1)

    def say(self, title: str, text: str, action: str = "") -> None:
        """Change the texts."""
        self._title.setText(title)
        self._text.setText(text)
        self._button.setText(action)
        self._button.setVisible(bool(action))
