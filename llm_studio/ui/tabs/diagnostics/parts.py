"""Parts of the tab: a gauge, and the lines of the report."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import label, line, row

if TYPE_CHECKING:
    from llm_studio.workflows.machine.diagnosis import Finding

_FULL = 90
"""Percent from which a bar warns."""
_NAME_WIDTH = 130


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

    def show_share(self, text: str, percent: float | None, note: str = "", *, may_be_full: bool = False) -> None:
        """Show a value, and how full the bar is; None: not known."""
        self.value.setText(text)
        self.bar.setValue(round(percent or 0))
        self.bar.setAccessibleDescription(text)
        set_role(self.bar, "warn" if percent is not None and percent >= _FULL and not may_be_full else "")
        self.note.setText(note)
        self.note.setVisible(bool(note))


class FindingList(QWidget):
    """The lines of the report: a sign, a name, a value, and below it the cure where one is needed."""

    def __init__(self, parent: QWidget, findings: "list[Finding]") -> None:
        super().__init__(parent)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(7)
        for number_, finding in enumerate(findings):
            if number_:
                inside.addWidget(line(self))
            sign = label("✓" if finding.ok else "▲", self, "ok" if finding.ok else "warn")
            sign.setFixedWidth(16)
            sign.setAccessibleName(_("OK") if finding.ok else _("limits training"))
            name = label(finding.name, self, "muted")
            name.setFixedWidth(_NAME_WIDTH)
            name.setWordWrap(True)
            value = label(finding.value, self, wrap=True, selectable=True)
            value.setAccessibleName(_("{name}: {value}").format(name=finding.name, value=finding.value))
            value.setMinimumWidth(120)
            words = QVBoxLayout()
            words.setSpacing(2)
            words.addWidget(value)
            if not finding.ok:
                words.addWidget(label(finding.cure, self, "warn", wrap=True, selectable=True))
            for part in (sign, name):
                part.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            made = row(sign, name)
            made.addLayout(words, 1)
            inside.addLayout(made)
