"""Statistics of the texts, and the fraction of each source in training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from llm_studio.events import Progress
from llm_studio.i18n import _, number, percent, short_number
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, KeyValues, button, label, row
from llm_studio.ui.widgets.histogram import Histogram
from llm_studio.ui.widgets.table import Table

if TYPE_CHECKING:
    from llm_studio.workflows.data.statistics import Figures, Share, Statistics

_TICKS = 1000
_WORDS, _LANGUAGES = 100, 8


class StatisticsDialog(QDialog):
    """Shows the statistics of one source or of all; filled by `ui/tabs/data/figures.py`."""

    stop_requested = Signal()

    def __init__(self, parent: QWidget, titles: Mapping[str, str] | None = None) -> None:
        """`titles`: display names of sources, by name."""
        super().__init__(parent)
        self._titles = titles or {}
        self.setWindowTitle(_("Statistics"))
        self.resize(860, 620)
        self._found: Statistics | None = None
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 16, 20, 16)
        inside.setSpacing(GAP)
        self.which = QComboBox(self)
        self.which.setAccessibleName(_("Source"))
        self.which.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.which.addItem(_("counting…"))
        self.which.setEnabled(False)
        self.which.currentIndexChanged.connect(self._show)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName(_("Scanning the texts"))
        self.state = label("", self, "caption", wrap=True)
        inside.addLayout(row(label(_("Source (texts after cleaning):"), self), self.which, None))
        inside.addWidget(self.bar)
        inside.addWidget(self.state)
        both = QHBoxLayout()
        both.setSpacing(GAP)
        both.addWidget(self._make_figures(), 1)
        both.addWidget(self._make_words(), 1)
        inside.addLayout(both, 3)
        columns = (_("Source"), _("Weight"), _("Tokens"), _("Share of training"), _("Passes"))
        self.mixture = Table(self, _("The share of each source in training"), columns, right=(1, 2, 3, 4))
        self.mixture.verticalHeader().setDefaultSectionSize(26)
        inside.addWidget(label(_("The share of each source in training"), self, "heading"))
        inside.addWidget(self.mixture, 1)
        self.note = label("", self, "caption", wrap=True)
        close = button(_("Close"), self, self.accept, "primary")
        foot = row(self.note, close)
        foot.setStretch(0, 1)
        inside.addLayout(foot)

    def _make_figures(self) -> Card:
        card = Card(self, _("Figures"))
        self.figures = KeyValues(card)
        for key, name in {
            "documents": _("Documents"), "characters": _("Characters"), "words": _("Words"),
            "distinct": _("Distinct words"), "letters": _("Letters per word"), "sentence": _("Words per sentence"),
            "duplicates": _("Remaining near duplicates"), "languages": _("Languages"),
        }.items():  # fmt: skip
            self.figures.add(key, name)
        self.histogram = Histogram(card, _("Length of the documents"))
        self.lengths = label(_("counting…"), card, "caption", wrap=True)
        card.content.addWidget(self.figures)
        card.content.addWidget(self.histogram)
        card.content.addWidget(self.lengths)
        card.content.addStretch(1)
        return card

    def _make_words(self) -> Card:
        card = Card(self, _("Most frequent words"))
        self.words = Table(card, _("Most frequent words"), (_("Word"), _("Occurrences")), right=(1,))
        self.words.verticalHeader().setDefaultSectionSize(24)
        self.words.hide()
        self.counting = label(_("Counting the words…"), card, "muted", wrap=True)
        self.counting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        card.content.addWidget(self.counting, 1)
        card.content.addWidget(self.words, 1)
        return card

    def take(self, event: object) -> None:
        """Show the progress of counting."""
        if isinstance(event, Progress) and event.total:
            self.bar.setRange(0, _TICKS)
            self.bar.setValue(min(_TICKS, round(_TICKS * event.done / event.total)))

    def show_statistics(self, found: "Statistics") -> None:
        """Show the complete statistics."""
        self._found = found
        self.bar.hide()
        self.state.hide()
        self.counting.hide()
        self.words.show()
        self.which.blockSignals(True)
        self.which.clear()
        self.which.setEnabled(True)
        self.which.addItem(_("all sources"), "")
        for name in found.sources if len(found.sources) > 1 else ():
            self.which.addItem(self._titles.get(name, name), name)
        self.which.blockSignals(False)
        self._show()

    def show_problem(self, text: str) -> None:
        """Show why the texts can't be counted."""
        self.bar.hide()
        self.which.setItemText(0, "–")
        self.lengths.setText("")
        self.counting.setText("–")
        self.state.setText(text)

    def show_shares(self, shares: "Sequence[Share]") -> None:
        """Show the fractions of the sources in the mixture."""
        self.mixture.rows.show_rows([
            (self._titles.get(share.source, share.source),
             number(share.weight, 0 if share.weight == int(share.weight) else 2),
             "–" if share.tokens is None else ("" if share.exact else "≈ ") + short_number(share.tokens),
             percent(share.share, 1), "–" if share.passes is None else number(share.passes, 1))
            for share in shares
        ])  # fmt: skip
        estimated = _("Estimated from the characters until the tokens are prepared.")
        self.note.setText("" if any(share.exact for share in shares) else estimated)

    @Slot()
    def _show(self) -> None:
        if self._found is None:
            return
        shown: Figures = self._found.sources.get(str(self.which.currentData() or ""), self._found.corpus)
        about = "" if shown.distinct_exact else "≈ "
        for key, text in {
            "documents": number(shown.documents), "characters": number(shown.characters), "words": number(shown.words),
            "distinct": about + number(shown.distinct_words), "letters": number(shown.word_length, 1),
            "sentence": number(shown.sentence_length, 1),
            "duplicates": number(shown.duplicates + shown.near_duplicates), "languages": _languages(shown),
        }.items():  # fmt: skip
            self.figures.show_value(key, text)
        self.words.rows.show_rows([(word, number(count)) for word, count in shown.frequent[:_WORDS]])
        lengths = shown.lengths
        tips = [_("{name}: {value}").format(name=f"{number(low)} – {number(high - 1)}", value=number(count))
                for low, high, count
                in zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False)]  # fmt: skip
        words = _("Length of the documents, in characters: {shortest} to {longest}, half of them up to {median}.")
        words = words.format(
            shortest=number(lengths.shortest), longest=number(lengths.longest), median=number(lengths.median)
        )
        self.histogram.show_bars(lengths.counts, tips, words)
        self.lengths.setText(words)

    def done(self, result: int) -> None:
        """Delete the dialog when it is closed."""
        super().done(result)
        self.deleteLater()


def _languages(figures: "Figures") -> str:
    unsure = _("unsure")
    whole = max(figures.characters, 1)
    named = [f"{code or unsure} " + percent(part / whole) for code, part in figures.languages]
    return ", ".join(named[:_LANGUAGES])
