"""The base class of the live views: an explanatory sentence above the content, which is dimmed while out of date."""

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
_DIM_DELAY = 200
"""Milliseconds to wait for a new result before the old one is dimmed."""


class TokenNames(Protocol):
    """Converts the token IDs of a model to text."""

    def label(self, token: int) -> str:
        """The token's text for display."""
        ...

    def text(self, token: int) -> str | None:
        """The token's text as input; None for a special token, or if its bytes aren't valid UTF-8 by themselves."""
        ...


@dataclass(frozen=True)
class TokenChoice:
    """A token that the user has chosen: its ID, and its label to find it again in a model with another tokenizer."""

    id: int
    label: str


@dataclass(frozen=True, eq=False)
class Content:
    """The content of a view: a result of `workflows/inside`, with the data needed to display it."""

    result: Any
    names: TokenNames
    facts: "ModelFacts"
    starts: tuple[int, ...]
    """Index of the first character of each token of the text, the start-of-document token included."""


class View(QWidget):
    """A view with an explanatory sentence at the top. Subclasses add their widgets to `content`, a layout of `ground`.

    When two views of the same class are side by side, each one follows what the user chooses in the other: see
    `chosen` and `follow`.
    """

    chosen = Signal()
    """The user has chosen a position, an element of the view, or other content."""
    scope: Literal["text", "window", "position", "model"] = "text"
    """What the content depends on: the whole text, a window of it, a single position, or only the model."""

    def __init__(self, parent: QWidget, name: str, sentence: str) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        set_role(self, "plain")
        self.position = -1
        """The token position that the user has chosen; -1 for none."""
        self.window_shown: TextWindow | None = None
        """The window of the text that is shown; None if there is no content yet or it isn't limited to a window."""
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
        self._dim_timer = QTimer(self, interval=_DIM_DELAY, singleShot=True)
        self._dim_timer.timeout.connect(self._dim)

    # --- Content ------------------------------------------------------------------------------------------------

    def request(self) -> Any:
        """The options of this view's query, besides text and position. Compared with `==` to detect changes."""
        return None

    def further(self) -> str:
        """The name of a second query, to be made after `request` is answered; "" for none."""
        return ""

    def show_content(self, content: Content) -> None:
        """Show the answer to `request` at `position`."""
        raise NotImplementedError

    def show_further(self, content: Content) -> None:
        """Show the answer to `further`."""

    def shown_position(self) -> int:
        """The position that is shown, whether the user has chosen it or not."""
        return self.position

    def look_at(self, position: int) -> None:
        """Show this position if it is part of the content."""
        self.position = position

    def follow(self, other: Any) -> None:
        """Adopt what was chosen in `other`, a view of the same class, except for its position."""

    def limits(self) -> tuple[float, float] | None:
        """The smallest and the largest value of the view's scale; None if it has no scale."""
        return None

    def show_limits(self, low: float, high: float) -> None:
        """Use this scale, which two views share so that they can be compared."""

    def forget(self) -> None:
        """Reset what was chosen: another project has been opened."""
        self.position, self.window_shown = -1, None

    def give_up(self) -> None:
        """Stop waiting: there will be no answer."""
        self.set_waiting(False)

    # --- Two parts ----------------------------------------------------------------------------------------------

    def place_beside(self, first: QWidget, second: QWidget, width: int) -> None:
        """Put the two parts of the view side by side. `width`: of the second one in pixels; 0 for half of the view.
        `set_narrow` can move it below the first one.
        """
        both = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        both.setSpacing(GAP)
        both.addWidget(first, 1)
        both.addWidget(second, 0 if width else 1)
        self.content.addLayout(both, 1)
        self._beside = both, second, width
        self.set_narrow(False)

    def set_narrow(self, narrow: bool) -> None:
        """Stack the two parts of the view vertically if `narrow`, otherwise put them side by side."""
        if self._beside is not None:
            both, second, width = self._beside
            both.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
            second.setMinimumWidth(0 if narrow else width)
            second.setMaximumWidth(_UNLIMITED if narrow or not width else width)
            self.forget_sizes()

    def forget_sizes(self) -> None:
        """Invalidate the cached size hints after parts have moved: Qt does so only for visible widgets."""
        self.content.invalidate()
        self.ground.updateGeometry()

    # --- Waiting ------------------------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether the content is out of date."""
        return self._dim_timer.isActive() or self._dimmed.isEnabled()

    def set_waiting(self, waiting: bool) -> None:
        """Mark the content as being recomputed, or as up to date."""
        if not waiting:
            self._dim_timer.stop()
            self._dimmed.setEnabled(False)
        elif not self.is_waiting:
            self._dim_timer.start()

    @Slot()
    def _dim(self) -> None:
        self._dimmed.setEnabled(True)


def tint(step: int, name: str = "validation") -> QColor:
    """A theme colour with the opacity `TINTS[step]`, for backgrounds."""
    return theme.color(name, TINTS[step])


def blend(name: str, strength: float) -> QColor:
    """The theme colour `name` mixed with the panel's: `strength` 0 is the panel, 1 the colour. Opaque, so that it can
    be used in images.
    """
    back, front = theme.color("panel"), theme.color(name)
    pairs = ((back.red(), front.red()), (back.green(), front.green()), (back.blue(), front.blue()))
    return QColor(*(round(old + (new - old) * strength) for old, new in pairs))
