"""The base of the live views: a sentence that says what one sees, and what is seen, dimmed while it is out of date."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QBoxLayout, QGraphicsOpacityEffect, QVBoxLayout, QWidget

from llm_studio.ui import theme
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import label
from llm_studio.ui.widgets.token_view import TINTS

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import ModelFacts, TextWindow

_UNLIMITED = 16_777_215
"""Qt's QWIDGETSIZE_MAX."""
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


@dataclass(frozen=True)
class TokenChoice:
    """A token that the user has chosen: its number, and its label for a model of another tokenizer."""

    id: int
    label: str


@dataclass(frozen=True, eq=False)
class Content:
    """What a view shows: a result of `workflows/inside`, with what is needed to write it."""

    result: Any
    names: TokenNames
    facts: "ModelFacts"
    starts: tuple[int, ...]
    """Of each token of the text, the one that begins it included: its first character."""


class View(QWidget):
    """A view with its sentence above. Subclasses put what they show into `content`, a layout of `ground`.

    Two views of one kind can be side by side: what the user chooses in one (`chosen`) the other one follows.
    """

    chosen = Signal()
    """The user has chosen something: a position, a part of what is shown, or something else to be shown."""
    scope: Literal["text", "window", "position", "model"] = "text"
    """What is shown is that of a whole text, of a window of it, of one position, or of the model alone."""

    def __init__(self, parent: QWidget, name: str, sentence: str) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        set_role(self, "plain")
        self.position = -1
        """The position in the text that the user has chosen; -1: none."""
        self.window_shown: TextWindow | None = None
        """Of the text, where only a window of it is shown."""
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
        self._beside: tuple[QBoxLayout, QWidget, int] | None = None
        self._dimmed = QGraphicsOpacityEffect(self.ground)
        self._dimmed.setOpacity(_DIMMED)
        self._dimmed.setEnabled(False)
        self.ground.setGraphicsEffect(self._dimmed)
        self._patience = QTimer(self, interval=_PATIENCE, singleShot=True)
        self._patience.timeout.connect(self._dim)

    # --- What is shown ------------------------------------------------------------------------------------------

    def request(self) -> Any:
        """What is asked of the model besides the text: something that can be compared."""
        return None

    def further(self) -> str:
        """What is asked besides, once `request` has its answer; "" for nothing."""
        return ""

    def show_content(self, content: Content) -> None:
        """Show the answer to `request`, at `position`."""
        raise NotImplementedError

    def show_further(self, content: Content) -> None:
        """Show the answer to `further`."""

    def shown_position(self) -> int:
        """The position that is shown, be it chosen or not."""
        return self.position

    def look_at(self, position: int) -> None:
        """Show this position, as far as it belongs to what is shown."""
        self.position = position

    def follow(self, other: Any) -> None:
        """Show what was chosen in another view of this kind, but for its position."""

    def limits(self) -> tuple[float, float] | None:
        """The least and the largest value that are drawn; None where there is no such scale."""
        return None

    def show_limits(self, low: float, high: float) -> None:
        """Draw on this scale: that of two views together, so that they can be compared."""

    def forget(self) -> None:
        """Another project: nothing is chosen."""
        self.position, self.window_shown = -1, None

    def give_up(self) -> None:
        """No answer will come."""
        self.set_waiting(False)

    # --- Two parts ----------------------------------------------------------------------------------------------

    def place_beside(self, first: QWidget, second: QWidget, width: int) -> None:
        """Put the two parts of the view side by side, the second so wide, 0: half of the width. `set_narrow` puts it
        below the first.
        """
        both = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        both.setSpacing(GAP)
        both.addWidget(first, 1)
        both.addWidget(second, 0 if width else 1)
        self.content.addLayout(both, 1)
        self._beside = both, second, width
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Put the two parts of the view one below the other, or side by side."""
        if self._beside is not None:
            both, second, width = self._beside
            both.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
            second.setMinimumWidth(0 if narrow else width)
            second.setMaximumWidth(_UNLIMITED if narrow or not width else width)
            self.forget_sizes()

    def forget_sizes(self) -> None:
        """Parts have moved: Qt measures the view again only where it is visible."""
        self.content.invalidate()
        self.ground.updateGeometry()

    # --- Waiting ------------------------------------------------------------------------------------------------

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
