"""The card with the report about this computer."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.dialogs.problem import details
from llm_studio.ui.widgets.basics import Card, as_plain_text, label, line, row

if TYPE_CHECKING:
    from llm_studio.workflows.machine.diagnosis import Finding

_NAME_WIDTH = 130


class ReportCard(Card):
    """A summary and the findings."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("This computer"))
        self._state = label("", self, "muted", wrap=True)
        self._list: FindingList | None = None
        self.content.addWidget(self._state)

    def begin(self) -> None:
        """The computer is being examined; the previous findings are shown meanwhile."""
        self._state.setText(_("Examining this computer…"))

    def show_findings(self, findings: "list[Finding]") -> None:
        """Show these instead of the previous findings."""
        bad = sum(not finding.ok for finding in findings)
        self._state.setText(_("Everything looks fine.") if not bad else _("A triangle marks what limits it."))
        if self._list is not None:
            self._list.hide()
            self._list.deleteLater()
        self._list = FindingList(self, findings)
        self.content.addWidget(self._list)

    def show_problem(self, error: BaseException) -> None:
        """Show why the computer could not be examined."""
        self._state.setText(_("This computer could not be examined: {reason}").format(reason=error))
        self.setToolTip(as_plain_text(details(error)))


class FindingList(QWidget):
    """The lines of the report: a symbol, a name, a value, and below it the solution if there is a problem."""

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
            if finding.cure and not finding.ok and finding.name != _("GPU"):  # the card above says what to do
                words.addWidget(label(finding.cure, self, "warn", wrap=True, selectable=True))
            for part in (sign, name):
                part.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            made = row(sign, name)
            made.addLayout(words, 1)
            inside.addLayout(made)
