"""The cards beside the form: the cost of the model, the distribution of its parameters, and advice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from llm_studio.config import Settings
from llm_studio.i18n import _, duration, number, short_number, size, time_limit
from llm_studio.ui.glossary import tip
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import Card, KeyValues, button, label, line, row
from llm_studio.ui.widgets.column import Column
from llm_studio.ui.widgets.share_bar import Share, ShareBar
from llm_studio.workflows.model_advice import Advice, Plan, advice
from llm_studio.workflows.projects import Cost

if TYPE_CHECKING:
    from llm_studio.workflows.training.forecast import Forecast

_FULL = 0.9
"""Fraction of the memory above which the bar warns."""
_EXPORTED_BYTES = 2
"""Bytes per parameter in an exported file, in half precision."""


class CostCard(Card):
    """Parameters, memory, compute, time and size of the model in the form."""

    measure_pressed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Estimated cost"))
        self.values = KeyValues(self)
        self.values.add("parameters", _("Parameters"), tip("parameters"))
        self.values.add("memory", _("Training memory"), _("At the peak, in addition to the program itself"))
        self.values.add("compute", _("Compute per token"), _("Forward and backward passes, in training"))
        self.values.add("time", _("Time"))
        self.values.add("file", _("Exported file (fp16)"), _("Two bytes for each parameter"))
        self.content.addWidget(self.values)
        self._note = label("", self, "caption", wrap=True)
        self._measure = button(_("Measure"), self, self._on_measure, "small",
                               _("Runs a few real steps on a temporary model"))  # fmt: skip
        measuring = row(self._note, self._measure)
        measuring.setStretch(0, 1)
        self.content.addLayout(measuring)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 100)
        self._bar.setAccessibleName(_("Training memory"))
        self._under = label("", self, "caption", wrap=True)
        self.content.addSpacing(4)
        self.content.addWidget(self._bar)
        self.content.addWidget(self._under)

    def show_cost(self, settings: Settings, cost: Cost, memory: int | None, has_gpu: bool) -> None:
        """Show the cost. `memory`: what a training run may use on this computer, None if not known yet."""
        show = self.values.show_value
        show("parameters", short_number(cost.parts.total))
        needed = size(cost.training_bytes, short=True)
        fits = memory is None or cost.training_bytes <= memory
        summary = needed
        if memory is not None:
            figure, _space, unit = needed.partition("\u00a0")
            free = size(memory, short=True)
            summary = _("{needed} of {free}").format(
                needed=figure if free.endswith(f"\u00a0{unit}") else needed, free=free
            )
        show("memory", summary, "value" if fits else "bad")
        show("compute", f"{short_number(cost.flops_per_token)}FLOP")
        show("file", size(_EXPORTED_BYTES * cost.parts.total))
        training = settings.training
        batch = _("batch {batch} × {context}").format(
            batch=number(training.batch_size), context=number(settings.model.max_seq_len)
        )
        self._bar.setVisible(memory is not None)
        if memory is None:
            self._under.setText(batch)
            return
        share = cost.training_bytes / max(1, memory)
        self._bar.setValue(min(100, round(100 * share)))
        set_role(self._bar, "warn" if share > _FULL else "")
        name = _("memory of the card: {share}\u00a0%") if has_gpu else _("free memory: {share}\u00a0%")
        self._under.setText(f"{name.format(share=number(max(1, 100 * share)))} · {batch}")

    def show_time(self, settings: Settings, forecast: "Forecast | None", note: str, may_measure: bool) -> None:
        """Show the time for all steps, or the time limit; `note` says why there is none, or only an estimate."""
        steps, minutes = settings.training.max_steps, settings.training.minutes
        self.values.rename("time", _("Time") if minutes else _("Time for {steps} steps").format(steps=number(steps)))
        measured = forecast is not None and forecast.measured
        seconds = forecast.seconds_per_step * steps if forecast else 0.0
        estimate = f"≈ {duration(max(1.0, seconds))}" if forecast else "–"
        self.values.show_value("time", time_limit(minutes) if minutes else estimate)
        self._note.setText(note)
        self._note.setVisible(bool(note) and not measured)
        self._measure.setVisible(may_measure and not measured)

    @Slot()
    def _on_measure(self) -> None:
        self.measure_pressed.emit()


class SharesCard(Card):
    """The distribution of the parameters."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Where the parameters are"))
        self.bar = ShareBar(self, _("Where the parameters are"))
        self.content.addWidget(self.bar)

    def show_cost(self, cost: Cost) -> None:
        """Show the fractions of a model's parameters."""
        parts = cost.parts
        shares = (
            (_("embedding"), parts.embedding, "validation"), (_("attention"), parts.attention, "ok"),
            (_("feed-forward"), parts.feed_forward, "accent"),
            (_("others"), parts.positions + parts.norms + parts.head, "muted"),
        )  # fmt: skip
        self.bar.show_shares([Share(name, count, color, short_number(count)) for name, count, color in shares])


class AdviceCard(Card):
    """Pieces of advice, each with a button that applies it."""

    taken = Signal(object)
    """The Advice whose button was pressed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Good to know"), "card-warn")
        self._shown: list[Advice] | None = None
        self._inside = QWidget(self)
        self._column = QVBoxLayout(self._inside)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.content.addWidget(self._inside)

    def show_advice(self, pieces: Sequence[Advice]) -> None:
        """Show these; unchanged buttons are kept, so that the keyboard focus isn't lost."""
        if self._shown == list(pieces):
            return
        self._shown = list(pieces)
        while (item := self._column.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        set_role(self, "card-warn" if pieces else "card")
        set_role(self.heading, "warn-heading" if pieces else "heading")
        if not pieces:
            text = _("These settings suit each other, your texts and this machine.")
            self._column.addWidget(label(text, self._inside, "muted", wrap=True))
        for piece in pieces:
            self._column.addWidget(_Piece(self._inside, piece, self, first=piece is pieces[0]))

    def take(self, piece: Advice) -> None:
        """A button was pressed."""
        self.taken.emit(piece)


class FactsColumn(Column):
    """The three cards, one below the other."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, GAP)
        self.cost, self.shares, self.advice = CostCard(self.inside), SharesCard(self.inside), AdviceCard(self.inside)
        for card in (self.cost, self.shares, self.advice):
            self.content.addWidget(card)
        self.content.addStretch(1)

    def show_plan(self, plan: Plan, *, has_gpu: bool) -> None:
        """Show the plan, and advice about it."""
        self.cost.show_cost(plan.settings, plan.cost, plan.memory, has_gpu)
        self.shares.show_cost(plan.cost)
        self.advice.show_advice(advice(plan))


class _Piece(QWidget):
    """One piece of advice."""

    def __init__(self, parent: QWidget, piece: Advice, card: AdviceCard, *, first: bool) -> None:
        super().__init__(parent)
        self._piece, self._card = piece, card
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        if not first:
            column.addWidget(line(self))
        column.addWidget(label(piece.text, self, wrap=True))
        made = button(piece.action, self, self._press, "small")
        made.setAccessibleDescription(piece.text)
        column.addLayout(row(made, None))

    def _press(self) -> None:
        self._card.take(self._piece)
