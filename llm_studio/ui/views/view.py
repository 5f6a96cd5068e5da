"""The base of the live views: a sentence that says what one sees, and what is seen, dimmed while it is out of date."""

from typing import Protocol

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGraphicsOpacityEffect, QVBoxLayout, QWidget

from llm_studio.ui import theme
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import label
from llm_studio.ui.widgets.token_view import TINTS

_DIMMED = 0.45
_PATIENCE = 200
"""Milliseconds that a new result may take before the old one is dimmed."""


class TokenNames(Protocol):
    """Names the tokens of a model."""

    def label(self, token: int) -> str:
        """A token for display."""
        ...

    def text(self, token: int) -> str | None:
        """A token as a piece of text; None for a marker, or if its bytes are no whole characters."""
        ...


class View(QWidget):
    """A view with its sentence above. Subclasses put what they show into `content`, a layout of `ground`."""

    def __init__(self, parent: QWidget, name: str, sentence: str) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        set_role(self, "plain")
        self.sentence = label(sentence, self, "muted", wrap=True)
        self.ground = QWidget(self)
        self.content = QVBoxLayout(self.ground)
        self.content.setContentsMargins(0, 0, 0, 0)
        self.content.setSpacing(GAP)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        inside.addWidget(self.sentence)
        inside.addWidget(self.ground, 1)
        self._dimmed = QGraphicsOpacityEffect(self.ground)
        self._dimmed.setOpacity(_DIMMED)
        self._dimmed.setEnabled(False)
        self.ground.setGraphicsEffect(self._dimmed)
        self._patience = QTimer(self, interval=_PATIENCE, singleShot=True)
        self._patience.timeout.connect(self._dim)

    @property
    def is_waiting(self) -> bool:
        """Whether what is shown is out of date."""
        return self._patience.isActive() or self._dimmed.isEnabled()

    def set_waiting(self, waiting: bool) -> None:
        """What is shown is being computed again, or is up to date."""
        if not waiting:
            self._patience.stop()
            self._dimmed.setEnabled(False)
        elif not self.is_waiting:
            self._patience.start()

    @Slot()
    def _dim(self) -> None:
        self._dimmed.setEnabled(True)


def tint(step: int, name: str = "validation") -> QColor:
    """A colour of the theme as a background, by its place in `TINTS`."""
    return theme.color(name, TINTS[step])


def blend(name: str, strength: float) -> QColor:
    """The panel's colour mixed with one of the theme: 0 is the panel, 1 that colour. Opaque, for pictures too."""
    back, front = theme.color("panel"), theme.color(name)
    pairs = ((back.red(), front.red()), (back.green(), front.green()), (back.blue(), front.blue()))
    return QColor(*(round(old + (new - old) * strength) for old, new in pairs))
