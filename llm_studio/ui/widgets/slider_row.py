"""A number that can be set by a slider or typed."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QSlider, QVBoxLayout, QWidget

from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import label, row
from llm_studio.ui.widgets.decimal_box import DecimalBox

_TICKS = 1000


class SliderRow(QWidget):
    """A name, an input for a number, and a slider below; the slider may cover only a part of the input's range.

    `curve` above 1 enlarges the range of small values on the slider: value = low + (high - low) * (position ** curve).
    """

    changed = Signal(float)
    """The value, changed by the user: while the slider moves, and when a number was typed."""

    def __init__(
        self, parent: QWidget, name: str, low: float, high: float, *, most: float | None = None,
        least: float | None = None, decimals: int = 2, step: float = 0.01, curve: float = 1.0, tip: str = "",
        zero: str = "", grain: float = 0.0,
    ) -> None:  # fmt: skip
        """`most`, `least`: limits of the input, by default those of the slider. `zero`: text shown for the minimum.

        `grain`: the slider has multiples of it; any number can be typed.
        """
        super().__init__(parent)
        self._grain = grain
        self._low, self._high, self._curve = low, high, curve
        self._name = label(name, self)
        self._name.setToolTip(tip)
        self._box = DecimalBox(self)
        self._box.setRange(low if least is None else least, high if most is None else most)
        self._box.setDecimals(decimals)
        self._box.setSingleStep(step)
        self._box.setGroupSeparatorShown(True)
        # NoButtons would leave the text of a styled box only one pixel: the stylesheet makes the buttons 0 wide instead
        set_role(self._box, "inline")
        self._box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._box.setFixedWidth(82)
        self._box.setKeyboardTracking(False)
        self._box.setSpecialValueText(zero)
        self._box.setAccessibleName(name)
        self._box.setToolTip(tip)
        self._name.setBuddy(self._box)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _TICKS)
        self._slider.setPageStep(_TICKS // 10)
        self._slider.setSingleStep(_TICKS // 100)
        self._slider.setAccessibleName(name)
        self._slider.setToolTip(tip)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(2)
        inside.addLayout(row(self._name, None, self._box))
        inside.addWidget(self._slider)
        self._box.valueChanged.connect(self._typed)
        self._slider.valueChanged.connect(self._slid)

    def value(self) -> float:
        """The displayed number."""
        return self._box.value()

    def set_value(self, value: float) -> None:
        """Show a number without emitting a signal."""
        self._box.blockSignals(True)
        self._box.setValue(value)
        self._box.blockSignals(False)
        self._follow()

    def _follow(self) -> None:
        way = (self._box.value() - self._low) / (self._high - self._low)
        self._slider.blockSignals(True)
        self._slider.setValue(round(_TICKS * min(1.0, max(0.0, way)) ** (1 / self._curve)))
        self._slider.blockSignals(False)

    @Slot(float)
    def _typed(self, value: float) -> None:
        self._follow()
        self.changed.emit(value)

    @Slot(int)
    def _slid(self, tick: int) -> None:
        value = self._low + (self._high - self._low) * (tick / _TICKS) ** self._curve
        if self._grain:
            value = round(value / self._grain) * self._grain
        self._box.blockSignals(True)
        self._box.setValue(value)
        self._box.blockSignals(False)
        self.changed.emit(self._box.value())
