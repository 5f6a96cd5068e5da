"""Runs Python's garbage collector only in the UI thread, between two events.

By default, Python collects in whatever thread has just allocated enough. Widgets in reference cycles would then be
destroyed in a worker's thread, which Qt doesn't allow, or while Qt iterates over all widgets to restyle them.
"""

import gc
import sys

from PySide6.QtCore import QObject, QTimer, Slot

_PERIOD = 500
"""Milliseconds between two checks of the thresholds."""
_MANY = 100
"""Newly imported modules after which the existing objects are excluded again."""


class Collector(QObject):
    """Collects by Python's own thresholds, from `start` to `stop`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(_PERIOD)
        self._timer.timeout.connect(self._look)
        self._modules = len(sys.modules)

    def start(self) -> None:
        """Disable automatic collection."""
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        """Enable automatic collection again."""
        self._timer.stop()
        gc.enable()

    @Slot()
    def leave_out_what_is_there(self) -> None:
        """Exclude existing objects, mostly modules, from collection: they live to the end and needn't be scanned."""
        self._modules = len(sys.modules)
        gc.freeze()

    @Slot()
    def _look(self) -> None:
        if len(sys.modules) - self._modules > _MANY:  # scanning torch's takes a quarter of a second
            self.leave_out_what_is_there()
            return
        thresholds, counts = gc.get_threshold(), gc.get_count()
        for generation in (2, 1, 0):  # collecting a generation includes the younger ones
            if counts[generation] > thresholds[generation]:
                gc.collect(generation)
                return
