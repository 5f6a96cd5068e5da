"""The table row of a source that is being added: its progress, and a stop button."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from llm_studio.i18n import _
from llm_studio.ui.widgets.basics import icon_button, label

_TICKS = 1000


class AddingRow(QWidget):
    """A progress bar, a caption and a stop button."""

    stop_pressed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 0)
        self._bar.setFixedWidth(110)
        self._text = label("", self, "caption")
        self._text.setMinimumWidth(20)
        self._stop = icon_button("x", _("Stop adding"), self)
        self._stop.clicked.connect(self.stop_pressed)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(8, 0, 4, 0)
        inside.setSpacing(8)
        inside.addWidget(self._bar)
        inside.addWidget(self._text)
        inside.addWidget(self._stop)
        inside.addStretch(1)

    def show_progress(self, share: float | None, text: str, stopping: bool) -> None:
        """Show the progress. `share`: the fraction done; None if the total is unknown."""
        self._bar.setRange(0, 0 if share is None else _TICKS)
        if share is not None:
            self._bar.setValue(round(_TICKS * share))
        self._bar.setAccessibleName(text)
        self._text.setText(_("stopping…") if stopping else text)
        self._stop.setEnabled(not stopping)
