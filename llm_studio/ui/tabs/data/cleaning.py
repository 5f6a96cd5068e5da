"""The right side of the Data tab: how texts are cleaned, what that leaves out, and how long they are."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QProgressBar, QSpinBox, QWidget

from llm_studio.events import Progress
from llm_studio.i18n import _, ngettext, number, short_number
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, icon_button, label, row
from llm_studio.ui.widgets.histogram import Histogram

if TYPE_CHECKING:
    from llm_studio.config import Settings
    from llm_studio.workflows.browsing import Cleaned, Lengths

_MOST_CHARACTERS = 1_000_000
_TICKS = 1000
_SIGN_AFTER = 300
"""Milliseconds after which a wait gets a sign of life."""


class _Percent(QDoubleSpinBox):
    """Per cent without useless noughts."""

    def textFromValue(self, value: float) -> str:  # noqa: N802  Qt's
        """5 for 5.00."""
        digits = next((d for d in (0, 1) if round(value, d) == round(value, 2)), 2)
        return self.locale().toString(value, "f", digits)


class CleaningCard(Card):
    """The settings, each sent as it is changed, and what they do to this corpus."""

    changed = Signal(dict)
    measure_asked = Signal()
    """Read all texts, however many there are."""
    stop_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Cleaning"))
        self._sent: dict[str, object] = {}
        self._make_settings()
        self._make_outcome()
        self._make_lengths()
        self.content.addStretch(1)

    def _make_settings(self) -> None:
        self.unicode = QCheckBox(_("Normalise Unicode (NFC)"), self)
        self.unicode.setToolTip(_("Each accented letter is written in one way."))
        self.duplicates = QCheckBox(_("Remove exact duplicates"), self)
        self.least = QSpinBox(self)
        self.least.setRange(0, _MOST_CHARACTERS)
        self.least.setSingleStep(10)
        self.least.setGroupSeparatorShown(True)
        self.share = _Percent(self)
        self.share.setRange(0.01, 50)
        self.share.setDecimals(2)
        self.share.setSuffix(_(" %"))
        self.share.setToolTip(_("Share of the texts kept aside to measure what the model has learned."))
        least = label(_("Ignore texts shorter than, in characters"), self, wrap=True)
        share = label(_("Validation"), self)
        for name, box in ((least, self.least), (share, self.share)):
            name.setBuddy(box)
            box.setAccessibleName(name.text())
            box.setKeyboardTracking(False)
            box.setAlignment(Qt.AlignmentFlag.AlignRight)
            box.setFixedWidth(88)
        for part in (self.unicode, self.duplicates):
            self.content.addWidget(part)
        for name, box in ((least, self.least), (share, self.share)):
            made = row(name, box)
            made.setStretch(0, 1)
            self.content.addLayout(made)
        self.unicode.toggled.connect(self._on_unicode)
        self.duplicates.toggled.connect(self._on_duplicates)
        self.least.valueChanged.connect(self._on_least)
        self.share.valueChanged.connect(self._on_share)

    def _make_outcome(self) -> None:
        self.outcome = label("", self, "muted", wrap=True)
        self.kept = label("", self, "caption", wrap=True)
        self.measure = button(_("Look through all texts"), self, None, "small")
        self.measure.clicked.connect(self.measure_asked)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Looking through the texts"))
        self.stop = icon_button("x", _("Stop looking through the texts"), self)
        self.stop.clicked.connect(self.stop_asked)
        self._late = QTimer(self, singleShot=True, interval=_SIGN_AFTER)
        self._late.timeout.connect(self._on_late)
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

    # --- Settings -------------------------------------------------------------------------------------------------

    def show_settings(self, settings: "Settings", usable: bool) -> None:
        """Show the project's settings, except where the user has changed one that isn't written yet."""
        data = settings.data
        values: dict[str, object] = {
            "data.normalize_unicode": data.normalize_unicode, "data.remove_duplicates": data.remove_duplicates,
            "data.min_characters": data.min_characters, "data.validation_share": data.validation_share,
        }  # fmt: skip
        for name, value in values.items():
            if name in self._sent:
                if self._sent[name] == value:
                    del self._sent[name]
            else:
                self._put(name, value)
        for part in (self.unicode, self.duplicates, self.least, self.share):
            part.setEnabled(usable)

    def forget_changes(self) -> None:
        """What was changed could not be written: the project's settings hold."""
        self._sent.clear()

    def _put(self, name: str, value: object) -> None:
        part = {"data.normalize_unicode": self.unicode, "data.remove_duplicates": self.duplicates,
                "data.min_characters": self.least, "data.validation_share": self.share}[name]  # fmt: skip
        part.blockSignals(True)
        if isinstance(part, QCheckBox):
            part.setChecked(bool(value))
        elif isinstance(part, QSpinBox) and isinstance(value, int):
            if part.value() != value:  # what is being typed is left alone
                part.setValue(value)
        elif isinstance(part, QDoubleSpinBox) and isinstance(value, float) and round(part.value() / 100, 6) != value:
            part.setValue(100 * value)
        part.blockSignals(False)

    def _send(self, name: str, value: object) -> None:
        self._sent[name] = value
        self.changed.emit({name: value})

    @Slot(bool)
    def _on_unicode(self, checked: bool) -> None:
        self._send("data.normalize_unicode", checked)

    @Slot(bool)
    def _on_duplicates(self, checked: bool) -> None:
        self._send("data.remove_duplicates", checked)

    @Slot(int)
    def _on_least(self, characters: int) -> None:
        self._send("data.min_characters", characters)

    @Slot(float)
    def _on_share(self, percent: float) -> None:
        self._send("data.validation_share", round(percent / 100, 6))

    # --- What they do ---------------------------------------------------------------------------------------------

    def show_outcome(self, cleaned: "Cleaned | None") -> None:
        """Say what cleaning leaves out; nothing where it isn't known."""
        set_role(self.outcome, "muted")
        if cleaned is None:
            self.outcome.setText("")
            self.kept.setText("")
        else:
            self.outcome.setText(_left_out(cleaned))
            set_role(self.outcome, "warn" if cleaned.duplicates or cleaned.too_short else "muted")
            self.kept.setText(_kept(cleaned))
        self.outcome.setVisible(bool(self.outcome.text()))
        self.kept.setVisible(bool(self.kept.text()))

    def show_problem(self, text: str) -> None:
        """Say why nothing would be left."""
        self.show_outcome(None)
        set_role(self.outcome, "bad")
        self.outcome.setText(text)
        self.outcome.show()

    def offer(self, offered: bool) -> None:
        """Offer to look through all texts, where there are too many to do it unasked."""
        self.measure.setVisible(offered)

    def begin_measuring(self) -> None:
        """Texts are being read through."""
        self.measure.hide()
        self.bar.setRange(0, 0)
        self._late.start()

    @Slot()
    def _on_late(self) -> None:
        self.bar.show()
        self.stop.show()

    def take(self, event: object) -> None:
        """The reading tells how far it is."""
        if isinstance(event, Progress) and event.total:
            self.bar.setRange(0, _TICKS)
            self.bar.setValue(min(_TICKS, round(_TICKS * event.done / event.total)))

    def end_measuring(self) -> None:
        """Nothing is being read any more."""
        self._late.stop()
        self.bar.hide()
        self.stop.hide()

    def show_lengths(self, lengths: "Lengths | None") -> None:
        """Show how long the documents are; nothing where it isn't known."""
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
    parts: list[str] = []
    if cleaned.duplicates:
        parts.append(
            ngettext("{n} duplicate", "{n} duplicates", cleaned.duplicates).format(n=number(cleaned.duplicates))
        )
    if cleaned.too_short:
        parts.append(ngettext("{n} too short", "{n} too short", cleaned.too_short).format(n=number(cleaned.too_short)))
    if not parts:
        return _("Nothing is left out.")
    return _("{what} left out").format(what=", ".join(parts))


def _kept(cleaned: "Cleaned") -> str:
    documents = ngettext("{n} document", "{n} documents", cleaned.documents).format(n=number(cleaned.documents))
    text = _("Kept: {documents}, {characters} characters, of which {validation} for validation.").format(
        documents=documents, characters=short_number(cleaned.characters),
        validation=short_number(cleaned.validation_characters),
    )  # fmt: skip
    if cleaned.cut:
        text += " " + _("Long texts are cut at paragraphs for that.")
    return text
