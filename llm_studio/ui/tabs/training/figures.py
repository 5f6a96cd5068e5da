"""The row of figures above the curves: losses, speed, memory, remaining time."""

import time
from typing import TYPE_CHECKING

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from llm_studio.i18n import _, bits_per_byte, duration, energy, number, short_number, size
from llm_studio.ui.glossary import tip
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import FigureCard

if TYPE_CHECKING:
    from llm_studio.workflows.training.curves import Curves

_NARROW = 860
_SPANS = (500, 200, 100, 50, 20, 10)
"""Steps over which a trend is computed: the largest of these that fits twice into the steps done."""
_CALM = 0.9
_MEMORY_PERIOD = 1.0
"""Seconds between two readings of the memory."""


class Figures(QWidget):
    """Five figures with their trends, in one row, or in two if there is little space."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._train = FigureCard(self, _("Loss (training)"), tip("loss"))
        self._validation = FigureCard(
            self, _("Loss (validation)"), tip("validation_loss", "bits_per_byte", "perplexity")
        )
        self._speed = FigureCard(self, _("Tokens per second"), tip("tokens_per_second"))
        self._memory = FigureCard(self, _("Memory"), tip("memory"))
        self._left = FigureCard(self, _("Time left"), tip("time_left"))
        self._cards = (self._train, self._validation, self._speed, self._memory, self._left)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._columns = 0
        self._looked = 0.0
        self._energy_of, self._joules, self._energy_text = "", 0.0, ""
        self._arrange(5)

    def _arrange(self, columns: int) -> None:
        """Arrange all in one row, or in rows of three and two: with a grid of thirty columns both fill the width."""
        if columns == self._columns:
            return
        self._columns = columns
        for index, card in enumerate(self._cards):
            row, place, wide = (0, index, 6) if columns == 5 else (*divmod(index, 3), (10, 15)[index // 3])
            self._grid.addWidget(card, row, place * wide, 1, wide)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Use two rows if there is little space."""
        self._arrange(3 if self.width() < _NARROW else 5)
        super().resizeEvent(event)

    def show_nothing(self) -> None:
        """Show that nothing was trained yet."""
        for card in self._cards:
            card.show_figure("–")

    def show_curves(self, curves: "Curves", running: bool, state: str) -> None:
        """Show the progress of a run. `state`: the text for a run that isn't running."""
        from llm_studio.workflows.training.curves import LOSS, SPEED

        if not len(curves.steps):
            self.show_nothing()
        else:
            self._show_train(curves)
            speed = float(curves.steps.column(SPEED)[-1])
            self._speed.show_figure(short_number(round(speed)), _step_time(curves, speed))
        losses = curves.evaluations.column(LOSS)
        if len(losses) and curves.best_loss is not None:
            last, best = float(losses[-1]), curves.best_loss
            perplexity = _("perplexity {n}").format(n=_perplexity(best))
            what = _("the best") if last <= best else _("best {loss}").format(loss=number(best, 2))
            bits = curves.last_bits_per_byte
            note = f"{what} · {perplexity}" if bits is None else f"{bits_per_byte(bits)} · {what}"
            self._validation.show_figure(number(last, 2), note, note if bits is None else f"{note} · {perplexity}")
        else:
            self._validation.show_figure("–")
        if running:
            self._show_memory(curves)
            self._show_left(curves.seconds_left)
        else:
            self._memory.show_figure("–")
            self._left.show_figure("–", state)

    def _show_train(self, curves: "Curves") -> None:
        from llm_studio.workflows.training.curves import LOSS

        calm = curves.smoothed(LOSS, _CALM)
        span = next((span for span in _SPANS if 2 * span <= len(calm)), 0)
        note = ""
        if span:
            change = float(calm[-1] - calm[-1 - span])
            sign = "▼" if change < 0 else "▲"
            note = _("{sign} {change} in {n} steps").format(sign=sign, change=number(abs(change), 2), n=number(span))
        self._train.show_figure(number(float(calm[-1]), 2), note)

    def _show_memory(self, curves: "Curves") -> None:
        from llm_studio.workflows.training.footprint import footprint

        if time.monotonic() - self._looked < _MEMORY_PERIOD:
            return
        self._looked = time.monotonic()
        taken = footprint(curves.device)
        of = _("of {total} on the GPU") if taken.on_gpu else _("of {total} · peak {peak}")
        self._show_energy(curves.run, taken.joules)
        self._memory.show_figure(size(taken.used), of.format(total=size(taken.total), peak=size(taken.peak)))

    def _show_energy(self, run: str, joules: float | None) -> None:
        """Show the energy used by the graphics cards since this window started to follow the run."""
        if joules is None:
            self._energy_text = ""
            return
        if run != self._energy_of:
            self._energy_of, self._joules = run, joules
        self._energy_text = " · " + energy(joules - self._joules)

    def _show_left(self, seconds: float | None) -> None:
        if seconds is None:
            self._left.show_figure("–", _("measuring"))
            return
        end = time.localtime(time.time() + seconds)
        clock = _("{hour}:{minute}").format(hour=end.tm_hour, minute=f"{end.tm_min:02d}")
        self._left.show_figure(_about(seconds), _("ends at about {time}").format(time=clock) + self._energy_text)


def _step_time(curves: "Curves", speed: float) -> str:
    from llm_studio.workflows.training.curves import TOKENS

    tokens = curves.steps.column(TOKENS)
    if len(tokens) < 2 or speed <= 0:
        return ""
    seconds = float(tokens[-1] - tokens[-2]) / speed
    shown = f"{number(seconds * 1000)}\u00a0ms" if seconds < 10 else f"{number(seconds, 1)}\u00a0s"
    return _("{time} per step").format(time=shown)


def _about(seconds: float) -> str:
    """A remaining time, rounded to its precision."""
    minutes = round(seconds / 60)
    return duration(seconds) if seconds < 600 or minutes >= 60 else f"{minutes}\u00a0min"


def _perplexity(loss: float) -> str:
    value = 2.718281828 ** min(loss, 30.0)
    return number(value, 1 if value < 100 else 0) if value < 1000 else short_number(value)
