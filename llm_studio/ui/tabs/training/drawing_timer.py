"""Draws live curves about ten times a second, less often if drawing is slow, and not at all if nothing is new."""

from collections.abc import Callable

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QWidget

PERIOD, _SLOWEST = 100, 500
"""Milliseconds between two drawings."""
_FRACTION = 40
"""Drawing takes at most one fortieth of the time of one core."""


class DrawingTimer(QTimer):
    """Calls `draw` while a widget is visible. Events only change arrays; call `wake` after adding to them."""

    def __init__(self, widget: QWidget, draw: Callable[[int], bool]) -> None:
        """`draw` is called with the number of the drawing and returns whether there is more to draw."""
        super().__init__(widget)
        self.setInterval(PERIOD)
        self._widget, self._draw = widget, draw
        self._count = 0
        self.timeout.connect(self._tick)

    @property
    def is_slow(self) -> bool:
        """Whether drawings are so rare that each should draw everything."""
        return self.interval() > 3 * PERIOD

    def wake(self) -> None:
        """There is new data."""
        if self._widget.isVisible() and not self.isActive():
            self.start()

    def set_cost(self, seconds: float) -> None:
        """Set the period for drawings that take this many seconds."""
        self.setInterval(min(_SLOWEST, max(PERIOD, round(1000 * _FRACTION * seconds))))

    @Slot()
    def _tick(self) -> None:
        if not self._widget.isVisible() or self._widget.window().isMinimized():
            self.stop()
            return
        self._count += 1
        if not self._draw(self._count):
            self.stop()
