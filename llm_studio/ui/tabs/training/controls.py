"""The controls above the curves."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QGridLayout, QMenu, QSlider, QWidget

from llm_studio.i18n import _
from llm_studio.ui.glossary import tip
from llm_studio.ui.widgets.basics import Segmented, icon_button, label, row

LOSS_KEY, RATE_KEY, NORM_KEY, SPEED_KEY = "loss", "rate", "norm", "speed"
_GAP = 10
_SMOOTHING = 33
"""Initial position of the slider, 0 to 100: a window of about ten steps."""
_TERMS = {LOSS_KEY: "loss", RATE_KEY: "learning_rate", NORM_KEY: "gradient_norm", SPEED_KEY: "tokens_per_second"}


def weight_of(tick: int) -> float:
    """The weight of a moving average for the slider's position, 0 to 100: a window of 1 to 1,000 steps."""
    return 1.0 - 10 ** (-3 * tick / 100)


class CurveControls(QWidget):
    """Quantity, smoothing, scale, and two buttons; in two lines if there is little space."""

    changed = Signal()
    logarithmic_changed = Signal(bool)
    reset_requested = Signal()
    export_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        choices = {LOSS_KEY: _("Loss"), RATE_KEY: _("Learning rate"), NORM_KEY: _("Gradient norm"),
                   SPEED_KEY: _("Throughput")}  # fmt: skip
        self.quantity = Segmented(self, choices, _("What the curves show"))
        for key, term in _TERMS.items():
            self.quantity.enable(key, True, tip(term))
        self.quantity.chosen.connect(self.changed)
        self.smoothing = QSlider(Qt.Orientation.Horizontal, self)
        self.smoothing.setRange(0, 100)
        self.smoothing.setValue(_SMOOTHING)
        self.smoothing.setFixedWidth(80)
        self.smoothing.setAccessibleName(_("Smoothing"))
        self.smoothing.valueChanged.connect(self.changed)
        words = label(_("smoothing"), self, "muted")
        words.setBuddy(self.smoothing)
        self.logarithmic = QCheckBox(_("log scale"), self)
        self.logarithmic.toggled.connect(self.logarithmic_changed)
        whole = icon_button("arrows-out", _("Show all again (double click)"), self, self.reset_requested.emit)
        self._bar = QGridLayout(self)
        self._bar.setContentsMargins(0, 0, 0, 0)
        self._bar.setHorizontalSpacing(_GAP)
        self._bar.setVerticalSpacing(6)
        self._heading = label(_("Curves"), self, "heading")
        self._tools = QWidget(self)
        tools = row(words, self.smoothing, self.logarithmic, whole, self._export_button())
        self._tools.setLayout(tools)
        self._lines = 0
        self.arrange(0)

    def _export_button(self) -> QWidget:
        made = icon_button("download-simple", _("Export the curves"), self)
        menu = QMenu(made)
        self.png_action = menu.addAction(_("Picture (PNG)…"))
        self.png_action.triggered.connect(self._on_png)
        self.csv_action = menu.addAction(_("Figures (CSV)…"))
        self.csv_action.triggered.connect(self._on_csv)
        made.setMenu(menu)
        made.setPopupMode(made.ToolButtonPopupMode.InstantPopup)
        return made

    def arrange(self, room: int) -> None:
        """Arrange the controls for a width of `room` pixels: in one line, with the heading if it fits, or in two."""
        line = self.quantity.sizeHint().width() + self._tools.sizeHint().width() + 2 * _GAP
        lines = 2 if room < line else 1
        self._heading.setVisible(room >= line + self._heading.sizeHint().width() + _GAP)
        if lines == self._lines:
            return
        self._lines = lines
        self._bar.addWidget(self._heading, 0, 0)
        if lines == 2:
            self._bar.addWidget(self.quantity, 0, 0, 1, 2)
            self._bar.addWidget(self._tools, 1, 0, 1, 3, Qt.AlignmentFlag.AlignLeft)
        else:
            self._bar.addWidget(self.quantity, 0, 1)
            self._bar.addWidget(self._tools, 0, 3)
        self._bar.setColumnStretch(2, 1)

    def least_width(self) -> int:
        """Minimum width in pixels, with two lines."""
        return max(self.quantity.sizeHint().width(), self._tools.sizeHint().width())

    @property
    def weight(self) -> float:
        """The weight of the moving average."""
        return weight_of(self.smoothing.value())

    @Slot()
    def _on_png(self) -> None:
        self.export_requested.emit("png")

    @Slot()
    def _on_csv(self) -> None:
        self.export_requested.emit("csv")
