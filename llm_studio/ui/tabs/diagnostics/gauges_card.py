"""The card with the gauges: load and free space of this computer."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from llm_studio.i18n import _, percent, size
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gauges import Gpu, Reading

_FULL = 90
"""Percentage from which a bar warns."""


class GaugesCard(Card):
    """Processor, memory, graphics cards and the disk of one folder."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Right now"))
        self.processor = Gauge(self, _("Processor"))
        self.memory = Gauge(self, _("Memory"))
        self.disk = Gauge(self, _("Disk of the project"))
        self.gpus: list[tuple[Gauge, Gauge]] = []
        """Load and memory of each graphics card."""
        self._gpu_place = QVBoxLayout()
        self._gpu_place.setSpacing(8)
        self._caption = label(_("Measured every second while this tab is visible."), self, "caption", wrap=True)
        self.content.addWidget(self.processor)
        self.content.addWidget(self.memory)
        self.content.addLayout(self._gpu_place)
        self.content.addWidget(self.disk)
        self.content.addWidget(self._caption)

    def show_reading(self, reading: "Reading", project: Path | None) -> None:
        """Show a reading; its disk is that of the project's folder or, without a project, of the home folder."""
        if reading.processor_use is not None:
            self.processor.show_share(_use(reading.processor_use), reading.processor_use, may_be_full=True)
        _show_memory(self.memory, reading.memory_used, reading.memory_total)
        used = reading.disk_total - reading.disk_free
        free = _("{size} free").format(size=size(reading.disk_free))
        self.disk.name.setText(_("Disk of the project") if project else _("Disk of your home folder"))
        self.disk.show_share(free, 100 * used / max(1, reading.disk_total), str(project or Path.home()))
        if len(reading.gpus) != len(self.gpus):
            self._make_gpu_gauges(reading.gpus)
        for gpu, (use, memory) in zip(reading.gpus, self.gpus, strict=True):
            temperature = "" if gpu.temperature is None else _("{degrees}\u00a0°C").format(degrees=gpu.temperature)
            use.show_share(_use(gpu.use), gpu.use, temperature, may_be_full=True)
            _show_memory(memory, gpu.memory_used, gpu.memory_total)

    def show_problem(self, error: BaseException) -> None:
        """Show why there are no more readings."""
        self._caption.setText(_("The gauges can't be read: {reason}").format(reason=error))

    def _make_gpu_gauges(self, gpus: "tuple[Gpu, ...]") -> None:
        for pair in self.gpus:
            for gauge in pair:
                self._gpu_place.removeWidget(gauge)
                gauge.hide()
                gauge.deleteLater()
        self.gpus = [(Gauge(self, gpu.name), Gauge(self, _("Memory of the graphics card"))) for gpu in gpus]
        for pair in self.gpus:
            for gauge in pair:
                self._gpu_place.addWidget(gauge)


class Gauge(QWidget):
    """A name, a value and a bar."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.name = label(name, self)
        self.value = label("–", self, "value")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 100)
        self.bar.setAccessibleName(name)
        self.note = label("", self, "caption", wrap=True)
        self.note.hide()
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 2, 0, 4)
        inside.setSpacing(4)
        inside.addLayout(row(self.name, None, self.value))
        inside.addWidget(self.bar)
        inside.addWidget(self.note)

    def show_share(self, text: str, used: float | None, note: str = "", *, may_be_full: bool = False) -> None:
        """Show a value, and the fraction `used` of the bar, None if unknown."""
        self.value.setText(text)
        self.bar.setValue(round(used or 0))
        self.bar.setAccessibleDescription(text)
        set_role(self.bar, "warn" if used is not None and used >= _FULL and not may_be_full else "")
        self.note.setText(note)
        self.note.setVisible(bool(note))


def _use(value: float | None) -> str:
    return "–" if value is None else percent(value / 100)


def _show_memory(gauge: Gauge, used: int, total: int) -> None:
    text = _("{used} of {total}").format(used=size(used), total=size(total))
    gauge.show_share(text, 100 * used / max(1, total))
