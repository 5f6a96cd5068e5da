"""A duration: chosen by a slider with a few common ones, or typed."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QSlider, QVBoxLayout, QWidget

from llm_studio.i18n import _, time_limit
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import label, row
from llm_studio.ui.widgets.decimal_box import DecimalBox

STOPS = (5.0, 30.0, 120.0, 480.0)
"""In minutes."""
_SHORTEST, _LONGEST = 0.02, 100_000.0
_HANDLE = 16
"""Width of the slider's handle in pixels, as in style.qss."""


class MinutesBox(DecimalBox):
    """Minutes without needless zeros: 30 min, 0.5 min."""

    def textFromValue(self, value: float) -> str:  # noqa: N802  Qt's
        """The number with only as many decimals as needed."""
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text


class TimeChoice(QWidget):
    """A slider with stops, their labels below it, and an input for any number of minutes."""

    changed = Signal(float)
    """Minutes, chosen by the user."""

    def __init__(self, parent: QWidget, name: str, minutes: float) -> None:
        super().__init__(parent)
        title = label(name, self, "heading")
        self.box = MinutesBox(self)
        self.box.setRange(_SHORTEST, _LONGEST)
        self.box.setDecimals(2)
        self.box.setGroupSeparatorShown(True)
        self.box.setKeyboardTracking(False)
        self.box.setSuffix("\u00a0min")
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        set_role(self.box, "inline")
        self.box.setFixedWidth(110)
        self.box.setAccessibleName(_("Minutes of training"))
        title.setBuddy(self.box)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, len(STOPS) - 1)
        self.slider.setPageStep(1)
        self.slider.setAccessibleName(name)
        self._names = _StopNames(self)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(4)
        inside.addLayout(row(title, None, self.box))
        inside.addWidget(self.slider)
        inside.addWidget(self._names)
        self.set_minutes(minutes)
        self.box.valueChanged.connect(self._on_typed)
        self.slider.valueChanged.connect(self._on_slid)
        self.slider.sliderReleased.connect(self._on_released)

    @property
    def minutes(self) -> float:
        """The displayed time."""
        return self.box.value()

    @property
    def shorter(self) -> float | None:
        """The stop below the displayed time, if there is one."""
        return max((stop for stop in STOPS if stop < self.minutes), default=None)

    def choose(self, minutes: float) -> None:
        """Set a time as if the user had typed it."""
        self.set_minutes(minutes)
        self.changed.emit(minutes)

    def set_minutes(self, minutes: float) -> None:
        """Show a time without emitting a signal."""
        self.box.blockSignals(True)
        self.box.setValue(minutes)
        self.box.blockSignals(False)
        self._follow()

    def _follow(self) -> None:
        """Move the slider to the stop nearest to the typed time."""
        nearest = min(range(len(STOPS)), key=lambda stop: abs(STOPS[stop] - self.minutes))
        self.slider.blockSignals(True)
        self.slider.setValue(nearest)
        self.slider.blockSignals(False)
        self._names.mark(nearest if STOPS[nearest] == self.minutes else -1)

    @Slot(float)
    def _on_typed(self, minutes: float) -> None:
        self._follow()
        self.changed.emit(minutes)

    @Slot(int)
    def _on_slid(self, stop: int) -> None:
        self.set_minutes(STOPS[stop])
        self.changed.emit(STOPS[stop])

    @Slot()
    def _on_released(self) -> None:
        """Use the stop even if the handle was already there, as the nearest to another time."""
        if STOPS[self.slider.value()] != self.minutes:
            self._on_slid(self.slider.value())


class _StopNames(QWidget):
    """The labels of the stops, each below its position on the slider."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        names = [time_limit(minutes) for minutes in STOPS]
        names[-1] = _("a night ({time})").format(time=names[-1])
        self._labels: list[QLabel] = [label(name, self, "caption") for name in names]
        self.setFixedHeight(self._labels[0].sizeHint().height() + 2)

    def mark(self, chosen: int) -> None:
        """Highlight one label."""
        for stop, name in enumerate(self._labels):
            set_role(name, "value" if stop == chosen else "caption")
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Position the labels."""
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        way = self.width() - _HANDLE
        for stop, name in enumerate(self._labels):
            name.adjustSize()
            middle = _HANDLE // 2 + way * stop // (len(self._labels) - 1)
            left = min(max(0, middle - name.width() // 2), self.width() - name.width())
            name.move(left, self.height() - name.height())
