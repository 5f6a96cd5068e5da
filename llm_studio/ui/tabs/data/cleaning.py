"""The right column of the Data tab: the cleaning rules, their effect, and the lengths of the documents."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QProgressBar, QWidget

from llm_studio.events import Progress
from llm_studio.i18n import _, ngettext, number, short_number
from llm_studio.ui.tabs.data.rules import Rules
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, icon_button, label, row
from llm_studio.ui.widgets.histogram import Histogram
from llm_studio.workflows.data.cleaning import left_out

if TYPE_CHECKING:
    from llm_studio.workflows.data.browsing import Cleaned, Lengths

_TICKS = 1000
_BUSY_DELAY = 300
"""Milliseconds before the progress bar is shown."""


class CleaningCard(Card):
    """The cleaning rules, and their effect on the corpus."""

    examples_requested = Signal(str)
    """The name of a rule of which to show examples; "" for all rules."""
    measure_requested = Signal()
    """The user wants all texts to be read, however many there are."""
    stop_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Cleaning"))
        self.rules = Rules(self)
        self.rules.examples_requested.connect(self.examples_requested)
        self.content.addWidget(self.rules)
        self.examples = button(_("What each rule does…"), self, self._on_examples, "small")
        self.examples.setToolTip(_("Your texts are not modified: each rule can be switched off again."))
        self.content.addLayout(row(self.examples, None))
        self._make_outcome()
        self._make_lengths()
        self.content.addStretch(1)

    @Slot()
    def _on_examples(self) -> None:
        self.examples_requested.emit("")

    def _make_outcome(self) -> None:
        self.outcome = label("", self, "muted", wrap=True)
        self.kept = label("", self, "caption", wrap=True)
        self.measure = button(_("Scan all texts"), self, None, "small")
        self.measure.clicked.connect(self.measure_requested)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Scanning the texts"))
        self.stop = icon_button("x", _("Stop scanning the texts"), self)
        self.stop.clicked.connect(self.stop_requested)
        self._busy_timer = QTimer(self, singleShot=True, interval=_BUSY_DELAY)
        self._busy_timer.timeout.connect(self._on_busy)
        for part in (self.outcome, self.kept):
            self.content.addWidget(part)
        self.content.addLayout(row(self.measure, self.bar, self.stop, None))
        self.end_measuring()
        self.offer(False)

    def _make_lengths(self) -> None:
        self.content.addSpacing(6)
        self.length_heading = label(_("Length of the documents"), self, "heading")
        self.histogram = Histogram(self, _("Length of the documents"))
        self.ends = label("", self, "caption")
        self.longest = label("", self, "caption")
        self.median = label("", self, "caption", wrap=True)
        for part in (self.length_heading, self.histogram):
            self.content.addWidget(part)
        self.content.addLayout(row(self.ends, None, self.longest))
        self.content.addWidget(self.median)
        self.show_lengths(None)

    # --- Effects --------------------------------------------------------------------------------------------------

    def show_outcome(self, cleaned: "Cleaned | None") -> None:
        """Show what cleaning leaves out, or nothing if `cleaned` is None."""
        set_role(self.outcome, "muted")
        if cleaned is None:
            self.outcome.setText("")
            self.kept.setText("")
        else:
            self.outcome.setText(_left_out(cleaned))
            set_role(self.outcome, "warn" if any(cleaned.left_out.values()) else "muted")
            self.kept.setText(_kept(cleaned))
        self.outcome.setVisible(bool(self.outcome.text()))
        self.kept.setVisible(bool(self.kept.text()))

    def show_problem(self, text: str) -> None:
        """Show why the texts could not be measured, e.g. because cleaning would leave no document."""
        self.show_outcome(None)
        set_role(self.outcome, "bad")
        self.outcome.setText(text)
        self.outcome.show()

    def offer(self, offered: bool) -> None:
        """Show or hide the button that scans all texts, for a corpus too large to be scanned automatically."""
        self.measure.setVisible(offered)

    def begin_measuring(self) -> None:
        """Show that the texts are being read, unless it ends soon."""
        self.measure.hide()
        self.bar.setRange(0, 0)
        self._busy_timer.start()

    @Slot()
    def _on_busy(self) -> None:
        self.bar.show()
        self.stop.show()

    def take(self, event: object) -> None:
        """Show the progress of the measurement."""
        if isinstance(event, Progress) and event.total:
            self.bar.setRange(0, _TICKS)
            self.bar.setValue(min(_TICKS, round(_TICKS * event.done / event.total)))

    def end_measuring(self) -> None:
        """Hide the progress of the measurement."""
        self._busy_timer.stop()
        self.bar.hide()
        self.stop.hide()

    def show_lengths(self, lengths: "Lengths | None") -> None:
        """Show the lengths of the documents, or nothing if `lengths` is None."""
        for part in (self.length_heading, self.histogram, self.ends, self.longest, self.median):
            part.setVisible(lengths is not None)
        if lengths is None:
            self.histogram.show_bars((), (), "")
            return
        median = _("median {n} characters").format(n=number(lengths.median))
        self.median.setText(median)
        self.ends.setText(number(lengths.shortest))
        self.longest.setText(number(lengths.longest) if lengths.longest > lengths.shortest else "")
        tips = [_bar_tip(low, high, count) for low, high, count
                in zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False)]  # fmt: skip
        whole = _("{documents} documents, from {shortest} to {longest} characters, {median}.").format(
            documents=number(lengths.documents), shortest=number(lengths.shortest), longest=number(lengths.longest),
            median=median,
        )  # fmt: skip
        self.histogram.show_bars(lengths.counts, tips, whole)


def _bar_tip(low: int, high: int, count: int) -> str:
    documents = ngettext("{n} document", "{n} documents", count).format(n=number(count))
    return _("{low} to {high} characters: {documents}").format(
        low=number(low), high=number(high - 1), documents=documents
    )


def _left_out(cleaned: "Cleaned") -> str:
    what = left_out(cleaned.left_out)
    return _("Left out: {what}").format(what=what) if what else _("Nothing is left out.")


def _kept(cleaned: "Cleaned") -> str:
    documents = ngettext("{n} document", "{n} documents", cleaned.documents).format(n=number(cleaned.documents))
    text = _("Kept: {documents}, {characters} characters, {validation} of them for validation.").format(
        documents=documents, characters=short_number(cleaned.characters),
        validation=short_number(cleaned.validation_characters),
    )  # fmt: skip
    if cleaned.cut:
        text += " " + _("Long texts are split at paragraphs for this.")
    return text
