"""The settings of the tokenizer's training, and figures about its quality."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QCheckBox, QSpinBox, QVBoxLayout, QWidget

from llm_studio.config import SMALLEST_VOCABULARY, SPECIAL_TOKENS
from llm_studio.i18n import _, number, percent, short_number
from llm_studio.ui.glossary import tip
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, KeyValues, label, row
from llm_studio.ui.widgets.size_curve import SizeCurve
from llm_studio.ui.widgets.slider_row import SliderRow

if TYPE_CHECKING:
    from llm_studio.config import Settings
    from llm_studio.workflows.tokenizer.figures import Counts, Figures

SIZE, FREQUENCY, DIGITS = "model.vocab_size", "tokenizer.min_frequency", "tokenizer.split_digits"


class SettingsCard(Card):
    """The settings for training the tokenizer."""

    changed = Signal(dict)
    """A setting by its dotted name, changed by the user."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Settings"))
        self._waiting: dict[str, object] = {}
        self.vocabulary = SliderRow(
            self, _("Size of the vocabulary"), 512, 64_000, least=SMALLEST_VOCABULARY, most=1_000_000, decimals=0,
            step=64, curve=2.5, grain=64,
            tip=_("Number of tokens to learn. More tokens make texts shorter and the model larger."),
        )  # fmt: skip
        self.frequency = QSpinBox(self)
        self.frequency.setRange(1, 1_000_000)
        self.frequency.setKeyboardTracking(False)
        self.frequency.setFixedWidth(82)
        set_role(self.frequency, "inline")
        self.frequency.setAlignment(Qt.AlignmentFlag.AlignRight)
        frequency = label(_("Minimum frequency"), self)
        frequency.setBuddy(self.frequency)
        self.frequency.setAccessibleName(frequency.text())
        for part in (frequency, self.frequency):
            part.setToolTip(_("Neighbouring pairs seen less often than this are never merged."))
        self.digits = QCheckBox(_("Split numbers into digits"), self)
        self.digits.setToolTip(_("Each digit is a separate token: the model learns to count more easily."))
        names = label(_("end of text, user, assistant"), self, "caption")
        names.setToolTip("\n".join(SPECIAL_TOKENS))
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(label(_("Special tokens"), self))
        words.addWidget(names)
        self.content.addWidget(self.vocabulary)
        self.content.addLayout(row(frequency, None, self.frequency))
        self.content.addWidget(self.digits)
        self.content.addLayout(row(words, None, label(number(len(SPECIAL_TOKENS)), self, "value")))
        self.vocabulary.changed.connect(self._on_size)
        self.frequency.valueChanged.connect(self._on_frequency)
        self.digits.toggled.connect(self._on_digits)

    def forget(self) -> None:
        """Discard pending changes."""
        self._waiting = {}

    def show_settings(self, settings: "Settings") -> None:
        """Show the project's settings; the user's pending changes are kept."""
        now = {SIZE: settings.model.vocab_size, FREQUENCY: settings.tokenizer.min_frequency,
               DIGITS: settings.tokenizer.split_digits}  # fmt: skip
        self._waiting = {name: value for name, value in self._waiting.items() if now[name] != value}
        if SIZE not in self._waiting and self.vocabulary.value() != now[SIZE]:
            self.vocabulary.set_value(settings.model.vocab_size)
        self.frequency.blockSignals(True)
        self.digits.blockSignals(True)
        if FREQUENCY not in self._waiting:
            self.frequency.setValue(settings.tokenizer.min_frequency)
        if DIGITS not in self._waiting:
            self.digits.setChecked(settings.tokenizer.split_digits)
        self.frequency.blockSignals(False)
        self.digits.blockSignals(False)

    def waiting(self) -> dict[str, object]:
        """The user's changes that the project doesn't have yet."""
        return dict(self._waiting)

    def _change(self, name: str, value: object) -> None:
        self._waiting[name] = value
        self.changed.emit({name: value})

    @Slot(float)
    def _on_size(self, value: float) -> None:
        self._change(SIZE, round(value))

    @Slot(int)
    def _on_frequency(self, value: int) -> None:
        self._change(FREQUENCY, value)

    @Slot(bool)
    def _on_digits(self, on: bool) -> None:
        self._change(DIGITS, on)


class QualityCard(Card):
    """How well the tokenizer encodes the project's texts."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Quality on your texts"))
        self.values = KeyValues(self)
        aside = _("Measured on texts that the tokenizer was not trained on.")
        self.values.add("characters", _("Characters per token"), tip("tokens", note=aside))
        self.values.add("words", _("Tokens per word"), aside)
        self.values.add("used", _("Vocabulary used"), _("Fraction of the tokens that occur in the prepared texts."))
        self.values.add("tokens", _("Tokens of the corpus"), _("Training and validation together, once prepared."))
        self.values.add("exact", _("Exact round trip"), _("Fraction of the texts that decode to the same bytes."))
        self.said = label("", self, "caption", wrap=True)
        self.content.addWidget(self.values)
        self.content.addWidget(self.said)
        self.show_figures(None)
        self.show_counts(None)
        self.say("")

    def show_figures(self, figures: "Figures | None") -> None:
        """Show the measurement on validation text."""
        if figures is None:
            for key in ("characters", "words", "exact"):
                self.values.show_value(key, "–")
            return
        self.values.show_value("characters", number(figures.characters_per_token, 2))
        self.values.show_value("words", number(figures.tokens_per_word, 2))
        exact = figures.exact == figures.texts
        share = percent(figures.exact / max(1, figures.texts), 0 if exact else 2)
        self.values.show_value("exact", share, "ok" if exact else "bad")

    def show_counts(self, counts: "Counts | None") -> None:
        """Show the counts in the prepared tokens."""
        if counts is None:
            self.values.show_value("used", "–")
            self.values.show_value("tokens", "–")
            return
        self.values.show_value("used", percent(counts.used, 1))
        self.values.show_value("tokens", short_number(counts.corpus_tokens))

    def say(self, text: str) -> None:
        """Show the progress or the failure of a measurement; "" for nothing."""
        self.said.setText(text)
        self.said.setVisible(bool(text))


class CurveCard(Card):
    """Characters per token for smaller vocabularies of the same training."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Vocabulary and compression"))
        self.heading.setToolTip(
            _("Characters per token with only the first merges of this tokenizer, measured on validation texts.")
        )
        self.curve = SizeCurve(self)
        self.content.addWidget(self.curve, 1)
