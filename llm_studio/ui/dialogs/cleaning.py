"""The changes that each cleaning rule would make, before it is applied, with examples."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDialog, QProgressBar, QVBoxLayout, QWidget

from llm_studio.events import Progress, RuleMeasured
from llm_studio.i18n import _, ngettext, number, short_number
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.changes import Change, Changes
from llm_studio.ui.widgets.table import Cell, Table
from llm_studio.workflows.data.cleaning import NAMES

if TYPE_CHECKING:
    from llm_studio.config import Settings

_TICKS = 1000
_SWITCHES = {name for name in NAMES if name not in ("min_characters", "max_characters", "languages")}


class CleaningDialog(QDialog):
    """The rules in order, and examples of the selected one. It is filled while the texts are scanned."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(_("What cleaning does"))
        self.resize(820, 680)
        self._measured: dict[str, RuleMeasured] = {}
        self._names = list(NAMES)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 16, 20, 16)
        inside.setSpacing(8)
        words = _(
            "The effect of each rule is counted after those above it. Your texts are not modified: a rule "
            "can be switched off again."
        )
        inside.addWidget(label(words, self, "muted", wrap=True))
        columns = (_("Rule"), _("On"), _("Documents"), _("Characters"))
        self.table = Table(self, _("Cleaning rules, in order"), columns, right=(2, 3))
        self.table.verticalHeader().setDefaultSectionSize(26)
        self.table.setMinimumHeight(36 + 26 * len(NAMES))
        self.table.selectionModel().currentRowChanged.connect(self._show_examples)
        inside.addWidget(self.table, 3)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName(_("Scanning the texts"))
        inside.addWidget(self.bar)
        self.heading = label("", self, "heading")
        self.switch = button("", self, self._on_switch, "small")
        inside.addLayout(row(self.heading, None, self.switch))
        self.examples = Changes(self, _("Examples"))
        inside.addWidget(self.examples, 2)
        self.state = label("", self, "caption", wrap=True)
        close = button(_("Close"), self, self.accept, "primary")
        foot = row(self.state, close)
        foot.setStretch(0, 1)
        inside.addLayout(foot)
        self._on: dict[str, bool] = {}
        self._fill()
        self.table.selectRow(0)

    def show_settings(self, settings: "Settings") -> None:
        """Show which rules are enabled."""
        data = settings.data
        self._on = {name: bool(getattr(data, name)) for name in self._names}
        self._fill()

    def show_rule(self, name: str) -> None:
        """Select a rule."""
        self.table.selectRow(self._names.index(name))

    def begin(self) -> None:
        """The scan of the texts starts."""
        self.bar.show()
        self.bar.setRange(0, 0)
        self.state.setText("")

    def take(self, event: object) -> None:
        """Handle an event of the scan."""
        if isinstance(event, Progress) and event.total:
            self.bar.setRange(0, _TICKS)
            self.bar.setValue(min(_TICKS, round(_TICKS * event.done / event.total)))
        elif isinstance(event, RuleMeasured):
            self._measured[event.rule] = event
            self._fill()

    def end(self, text: str) -> None:
        """The scan has ended."""
        self.bar.hide()
        self.state.setText(text)

    def _fill(self) -> None:
        rows: list[tuple[Cell, Cell, Cell, Cell]] = []
        for name in self._names:
            seen = self._measured.get(name)
            nothing = seen is not None and not seen.documents
            about = "≈ " if seen is not None and seen.estimated else ""
            documents = "" if seen is None else "–" if nothing else about + number(seen.documents)
            characters = "" if seen is None or nothing else about + _signed(seen.characters)
            on = self._on.get(name, False)
            color = "muted" if nothing else "warn" if on and seen is not None and seen.removes_documents else ""
            switched = Cell("✓", "ok") if on else Cell("–", "muted")
            title = Cell(_(NAMES[name]), "muted" if nothing else "")
            rows.append((title, switched, Cell(documents, color), Cell(characters, color)))
        self.table.show_rows(rows)
        self._show_examples()

    def _chosen(self) -> str:
        return self._names[max(0, self.table.chosen())]

    @Slot()
    def _show_examples(self) -> None:
        name = self._chosen()
        seen = self._measured.get(name)
        self.heading.setText(_(NAMES[name]))
        self.switch.setVisible(name in _SWITCHES)
        self.switch.setText(_("Switch off") if self._on.get(name) else _("Switch on"))
        if seen is None:
            self.examples.show_changes("")
            return
        if not seen.documents:
            self.examples.show_changes(_("It changes nothing here."))
            return
        self.examples.show_changes(
            _what(seen, self._on.get(name, False)),
            tuple(
                Change(e.source, _shown(name, e.before.strip("\n")), _shown(name, e.after.strip("\n")))
                for e in seen.examples
            ),
        )

    @Slot()
    def _on_switch(self) -> None:
        name = self._chosen()
        self._on[name] = not self._on.get(name)
        self.changed.emit({f"data.{name}": self._on[name]})
        self._fill()

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()


def _what(seen: RuleMeasured, on: bool) -> str:
    n = seen.documents
    if seen.removes_documents and on:
        words = ngettext("It removes {n} document.", "It removes {n} documents.", n)
    elif seen.removes_documents:
        words = ngettext("It would remove {n} document.", "It would remove {n} documents.", n)
    elif on:
        words = ngettext("It changes {n} document.", "It changes {n} documents.", n)
    else:
        words = ngettext("It would change {n} document.", "It would change {n} documents.", n)
    words = words.format(n=("≈ " if seen.estimated else "") + number(n))
    if seen.rule == "remove_near_duplicates":
        words += " " + _("“−” is removed, “+” is the one that is kept.")
    return words


def _shown(rule: str, text: str) -> str:
    """`text` with visible white space, if the rule is about white space."""
    return text.replace(" ", "·").replace("\t", "→") if rule == "tidy_spaces" else text


def _signed(characters: int) -> str:
    return ("−" if characters > 0 else "+" if characters < 0 else "") + short_number(abs(characters))
