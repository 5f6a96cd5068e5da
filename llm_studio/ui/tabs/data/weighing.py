"""The input field for the weight with which the chosen source is sampled in training."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.widgets.basics import label
from llm_studio.ui.widgets.decimal_box import DecimalBox


class SourceWeight(QWidget):
    """A number with a label; `changed` is emitted when the user has changed it. Hidden initially."""

    changed = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.weight = DecimalBox(self)
        self.weight.setRange(0, 1000)
        self.weight.setDecimals(2)
        self.weight.setSingleStep(0.5)
        self.weight.setKeyboardTracking(False)
        self.weight.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.weight.setFixedWidth(80)
        name = label(_("Weight"), self, "caption")
        name.setBuddy(self.weight)
        self.weight.setAccessibleName(_("Weight of the selected source in training"))
        self.weight.setToolTip(_("Multiplies this source’s share of training (2 = twice as often, 0 = ignored)"))
        self.weight.valueChanged.connect(self.changed)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(6)
        for part in (name, self.weight):
            inside.addWidget(part)
        self.hide()

    def show_weight(self, weight: float) -> None:
        """Show a source's weight."""
        self.weight.blockSignals(True)
        self.weight.setValue(weight)
        self.weight.blockSignals(False)
