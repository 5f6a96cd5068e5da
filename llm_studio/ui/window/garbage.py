"""When Python's garbage is collected: in the UI thread alone, between two events.

By itself Python collects wherever it happens to be when enough was allocated. Widgets that hold each other would then
end in a worker's thread, where none may, or while Qt goes through all widgets to give them another style.
"""

import gc
import sys

from PySide6.QtCore import QObject, QTimer, Slot

_PERIOD = 500
"""Milliseconds between two looks at whether there is enough."""
_MANY = 100
"""New modules after which everything in memory is left out of later collections."""


class Collector(QObject):
    """Collects by Python's own thresholds, from `start` to `stop`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(_PERIOD)
        self._timer.timeout.connect(self._look)
        self._modules = len(sys.modules)

    def start(self) -> None:
        """From now on nothing is collected elsewhere."""
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()

    @Slot()
    def leave_out_what_is_there(self) -> None:
        """What is there now, the modules above all, stays to the end and needn't be gone through each time."""
        self._modules = len(sys.modules)
        gc.freeze()

    @Slot()
    def _look(self) -> None:
        if len(sys.modules) - self._modules > _MANY:  # to go through those of torch once takes a quarter of a second
            self.leave_out_what_is_there()
            return
        thresholds, counts = gc.get_threshold(), gc.get_count()
        for generation in (2, 1, 0):  # the oldest that is due takes the younger ones with it
            if counts[generation] > thresholds[generation]:
                gc.collect(generation)
                return
