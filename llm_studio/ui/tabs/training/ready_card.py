"""The card at the end of a run: the model is ready, how well it writes, and what to do next."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from llm_studio.i18n import _, bits_per_byte, duration, number, percent
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, icon_button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.generation.writing_quality import Sample, WritingQuality
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.runs import Run

MORE_MINUTES = 5.0
_SAMPLES = 2
_CHARACTERS, _LINES = 260, 4
"""Maximum size of a sample."""
_WORDS = 8
"""A sample with fewer words is shown only if there is no other."""


@dataclass(frozen=True)
class Ready:
    """The content of the card. `progress` of the measurement of `quality`, 0 to 1; None if none is running."""

    run: "Run"
    quality: "WritingQuality | None"
    progress: float | None
    baselines: "Baselines | None"


class ReadyCard(Card):
    """Shown at once, and filled in when the model has been measured."""

    write_requested = Signal()
    more_requested = Signal()
    export_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-chosen")
        self._shown: Ready | None = None
        self._title = label(_("Your model is ready"), self, "moment", wrap=True)
        self._verdict = label("", self, wrap=True)
        self._facts = label("", self, "muted", wrap=True)
        self._figures = label("", self, "muted", wrap=True)
        tip = _("Trains the same run for five more minutes; the learning rate rises again first")
        self._more = button(_("5 more minutes"), self, self.more_requested.emit, tip=tip)
        self._write = button(_("Let it write"), self, self.write_requested.emit, "primary")
        self._export = button(_("Export"), self, self.export_requested.emit, "link")
        self._details = button(_("Details"), self, self._on_details, "link")
        self._samples = [_SampleBox(self) for _place in range(_SAMPLES)]
        self._lay_out()
        self._figures.hide()
        self.hide()

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._title)
        words.addWidget(self._verdict)
        close = icon_button("x", _("Close"), self, self.closed.emit)
        head = row(words, self._details, self._export, self._more, self._write, close, spacing=10)
        head.setStretch(0, 1)
        samples = QHBoxLayout()
        samples.setSpacing(10)
        for box in self._samples:
            samples.addWidget(box, 1)
        self.content.setContentsMargins(16, 12, 16, 12)
        self.content.addLayout(head)
        self.content.addWidget(self._facts)
        self.content.addLayout(samples)
        self.content.addWidget(self._figures)

    def show_ready(self, ready: Ready | None) -> None:
        """Show what is known of a model, or hide."""
        if ready == self._shown:
            return
        self._shown = ready
        self.setVisible(ready is not None)
        if ready is None:
            return
        self._verdict.setText(_verdict(ready))
        self._facts.setText(_facts(ready))
        quality = ready.quality
        self._details.setVisible(quality is not None)
        self._figures.setText(_figures(quality) if quality else "")
        self._figures.setVisible(quality is not None and not self._figures.isHidden())
        samples = _best(quality.samples) if quality else ()
        for place, box in enumerate(self._samples):
            box.show_sample(samples[place] if place < len(samples) else None)

    def _on_details(self) -> None:
        self._figures.setVisible(self._figures.isHidden())


class _SampleBox(QFrame):
    """The model's text, after the given beginning in bold."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "sunken")
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setWordWrap(True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(10, 8, 10, 8)
        inside.addWidget(self._text)
        self.hide()

    def show_sample(self, sample: "Sample | None") -> None:
        """Show a sample, or hide."""
        self.setVisible(sample is not None)
        if sample is not None:
            prompt = sample.prompt.lstrip()
            text = shortened(sample.text, max(0, _CHARACTERS - len(prompt)))
            self._text.setText(f"<b>{_markup(prompt)}</b>{_markup(text)}")


def shortened(text: str, characters: int) -> str:
    """The beginning of a text, with “…” if it was cut: at a space, and after a few lines."""
    lines = text.rstrip().split("\n")
    short = "\n".join(lines[:_LINES])
    if len(short) > characters:
        short = short[:characters].rsplit(maxsplit=1)[0] if " " in short[:characters] else short[:characters]
    return short if len(short) == len(text.rstrip()) else short.rstrip() + "…"


def _markup(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _best(samples: "tuple[Sample, ...]") -> "tuple[Sample, ...]":
    long = tuple(sample for sample in samples if len(sample.text.split()) >= _WORDS)
    return (long or samples)[:_SAMPLES]


def _verdict(ready: Ready) -> str:
    from llm_studio.workflows.generation.verdict import sentences

    if ready.quality is not None:
        return sentences(ready.quality.verdict, ready.quality.copies)
    if ready.progress is None:
        return _("Let it write, to see what it has learned.")
    return _("It is writing a few texts, to see what it has learned… {part}").format(part=percent(ready.progress))


def _facts(ready: Ready) -> str:
    run, baselines = ready.run, ready.baselines
    text = _("“{run}” trained for {time}.").format(run=run.name, time=duration(run.seconds))
    bits = run.best_bits_per_byte
    if bits is None:
        return text
    bigram = baselines.bits_per_byte(baselines.bigram) if baselines is not None else None
    if bigram is None:
        return text + " " + _("It predicts unseen text at {bits}.").format(bits=bits_per_byte(bits))
    meaning = _("It predicts unseen text at {bits}; only counting which token follows which gives {bigram}.")
    return text + " " + meaning.format(bits=bits_per_byte(bits), bigram=number(bigram, 3))


def _figures(quality: "WritingQuality") -> str:
    own, held_out = quality.own, quality.held_out
    parts = (
        (_("real words: {own} (unseen texts: {held_out})"), own.real_words, held_out.real_words),
        (_("known pairs of words: {own} ({held_out})"), own.pairs, held_out.pairs),
        (_("copied word for word: {own} ({held_out})"), own.copied, held_out.copied),
        (_("repeated: {own} ({held_out})"), own.repeated, held_out.repeated),
    )
    texts = [text.format(own=percent(one, 1), held_out=percent(other, 1)) for text, one, other in parts]
    return _("Of {n} words that it wrote:").format(n=number(own.words)) + " " + " · ".join(texts)
