"""The card with the curves: quantity, smoothing, the crosshair with its values, export."""

import math
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QStackedLayout, QWidget

from llm_studio.i18n import _, bits_per_byte, number, short_number
from llm_studio.ui import theme
from llm_studio.ui.tabs.training.controls import LOSS_KEY, NORM_KEY, RATE_KEY, SPEED_KEY, CurveControls
from llm_studio.ui.tabs.training.curve_files import CurveFiles
from llm_studio.ui.tabs.training.plan import passes_text
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, EmptyState, let_shrink

if TYPE_CHECKING:
    from llm_studio.ui.widgets.plot import Line, Plot
    from llm_studio.ui.widgets.plot_clicks import Place
    from llm_studio.workflows.overview import TokenFacts
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.curves import Curves

_ROOM = 1.6
"""Length of the axis relative to the steps done, while a run trains."""
_COLUMNS = {LOSS_KEY: 1, RATE_KEY: 2, NORM_KEY: 3, SPEED_KEY: 4}


class CurvesCard(Card):
    """Draws a run, and others over it; `draw` is called by the page."""

    export_requested = Signal(str, str)
    """The kind ("png" or "csv") and the path."""
    stepped = Signal(float)
    """The step under the crosshair, NaN for none."""
    inside_requested = Signal(str, int)
    """The user wants to look inside the model of a run at a step."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.curves: Curves | None = None
        self.overlays: list[tuple[Curves, str]] = []
        self.baselines: Baselines | None = None
        self.texts: TokenFacts | None = None
        """The tokens of the project."""
        self.plot: Plot | None = None
        self.running = False
        """Whether the displayed run is training now."""
        self._cross = math.nan
        self._quantity = LOSS_KEY
        self._drawn: object = None
        self.controls = CurveControls(self)
        self.controls.changed.connect(self._on_change)
        self.controls.logarithmic_changed.connect(self._on_logarithmic)
        self.controls.reset_requested.connect(self._on_whole)
        self.controls.export_requested.connect(self._ask_file)
        self._files = CurveFiles(self)
        self._files.chosen.connect(self.export_requested)
        self.content.addWidget(self.controls)
        self._place = QWidget(self)
        let_shrink(self._place, 160)
        self._stack = QStackedLayout(self._place)
        self._empty = EmptyState(self._place, "", "")
        self.say_starting(False)
        self._stack.addWidget(self._empty)
        self.content.addWidget(self._place, 1)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The controls may use two lines."""
        margins = self.content.contentsMargins()
        width = self.controls.least_width() + margins.left() + margins.right() + 2
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Arrange the controls."""
        self.controls.arrange(self.width() - 36)
        super().resizeEvent(event)
        self._place_box()

    def make_plot(self) -> None:
        """Create the plot. The first call imports pyqtgraph, whose other dependencies `known.read` has imported."""
        if self.plot is not None:
            return
        from llm_studio.ui.widgets.plot import Plot
        from llm_studio.ui.widgets.plot_clicks import PlotClicks

        self.plot = Plot(self._place)
        self.plot.setAccessibleName(_("Curves of the run"))
        self.plot.setToolTip("")
        self.plot.pointed.connect(self.point)
        self._clicks = PlotClicks(self.plot, self._offer)
        self._clicks.opened.connect(self._on_opened)
        self._stack.addWidget(self.plot)
        self._box = QLabel(self.plot)
        self._box.setTextFormat(Qt.TextFormat.RichText)
        self._box.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        set_role(self._box, "plot-box")
        theme.notifier().changed.connect(self._on_change)
        self.plot.set_logarithmic(self.controls.logarithmic.isChecked())

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_curves(self, curves: "Curves | None") -> None:
        """Show another run, or none."""
        if curves is not self.curves:
            self._cross = math.nan
            if self.plot is not None:
                self.plot.show_all()
        self.curves = curves
        self._drawn = None

    def say_starting(self, starting: bool) -> None:
        """The text if there are no curves: a run is starting, or there is none."""
        title = _("Getting ready…") if starting else _("Nothing trained yet")
        self._empty.say(title, _("The curves appear here while a model learns."))

    def show_overlays(self, overlays: "list[tuple[Curves, str]]") -> None:
        """Further runs, each with a colour of the theme."""
        self.overlays = overlays
        self._drawn = None

    def show_baselines(self, baselines: "Baselines | None") -> None:
        """Show reference losses on the project's tokens."""
        self.baselines = baselines
        self._drawn = None

    def draw(self) -> bool:
        """Draw new data; returns False if there is none."""
        now = (id(self.curves), self.running, self.curves.version if self.curves else 0, len(self.overlays))
        if now == self._drawn:
            return False
        self._drawn = now
        if self.plot is None or self.curves is None or not len(self.curves.steps):
            self._stack.setCurrentWidget(self._empty)
            return True
        self._stack.setCurrentWidget(self.plot)
        losses = self.controls.quantity.current() == LOSS_KEY
        lines = self._loss_lines() if losses else self._other_lines()
        self.plot.show_lines(lines, self._end())
        self._show_levels(losses)
        saved = self.curves.checkpoints
        self.plot.foot.show_marks([float(step) for step in saved], float(saved[-1]) if saved else None)
        self.plot.foot.show_ticks([float(step) for step in self.curves.inside_steps()])
        self._show_box()
        return True

    def _end(self) -> float:
        """The last step on the axis: with some space for steps to come while a run trains."""
        assert self.curves is not None
        last = self.curves.last_step
        return float(min(self.curves.max_steps, _ROOM * last)) if self.running else float(last)

    def _loss_lines(self) -> "list[Line]":
        from llm_studio.ui.widgets.plot import Line

        assert self.curves is not None
        lines: list[Line] = []
        for other, color in self.overlays:
            measured = other.evaluations
            lines.append(Line(measured.column(0), measured.column(1), color, dashed=True, width=1.5, name=other.run))
            smooth = other.smoothed(1, self.controls.weight) if self.controls.weight else other.steps.column(1)
            lines.append(Line(other.steps.column(0), smooth, color, width=2, name=other.run))
        lines += _pair(self.curves, 1, "accent", self.controls.weight)
        measured = self.curves.evaluations
        return [*lines, Line(measured.column(0), measured.column(1), "validation", width=2, dots=True,
                             name=self.curves.run)]  # fmt: skip

    def _other_lines(self) -> "list[Line]":
        from llm_studio.ui.widgets.plot import Line

        assert self.curves is not None
        key = self.controls.quantity.current()
        column = _COLUMNS[key]
        lines: list[Line] = []
        for other, color in self.overlays:
            values = other.steps.column(column) if key == RATE_KEY else other.smoothed(column, self.controls.weight)
            lines.append(Line(other.steps.column(0), values, color, width=2, name=other.run))
        if key == RATE_KEY:
            return [*lines, Line(self.curves.steps.column(0), self.curves.steps.column(column), "accent", width=2,
                                 name=self.curves.run)]  # fmt: skip
        return [*lines, *_pair(self.curves, column, "accent", self.controls.weight)]

    def _show_levels(self, losses: bool) -> None:
        assert self.plot is not None
        known = self.baselines
        if not losses or known is None or self.curves is None or known.data != self.curves.data:
            self.plot.show_levels(())
            return
        self.plot.show_levels(_levels(known))

    # --- The crosshair ----------------------------------------------------------------------------------------

    @Slot(float)
    def point(self, step: float) -> None:
        """Put the crosshair at a step; NaN hides it."""
        if self.plot is None or self.curves is None or not len(self.curves.steps):
            return
        steps = self.curves.steps.column(0)
        self._cross = step if math.isnan(step) else float(steps[_nearest(steps, step)])
        self.plot.show_cross(self._cross)
        self._show_box()
        self.stepped.emit(self._cross)

    def _show_box(self) -> None:
        if self.plot is None or self.curves is None:
            return
        lines = self._values()
        self._box.setText("<br>".join(_colored(text, color) for text, color in lines))
        self.plot.setAccessibleDescription(", ".join(text for text, _color in lines))
        self._place_box()

    def _values(self) -> list[tuple[str, str]]:
        """The lines of the box, each with its colour: the values at the crosshair, or the last ones."""
        assert self.curves is not None
        if not len(self.curves.steps):
            return []
        step = float(self.curves.last_step) if math.isnan(self._cross) else self._cross
        key = self.controls.quantity.current()
        corpus = self.texts.train if self.texts and self.texts.fingerprint == self.curves.data else 0
        values = values_at(self.curves, self.overlays, key, self.controls.weight, step, corpus)
        moment = None if math.isnan(self._cross) else self._moment((self.curves.run, step))
        if moment is not None:
            values.append((_("click on the curve, or Enter: inside at step {n}").format(n=number(moment)), "muted"))
        return values

    def _place_box(self) -> None:
        """Place the box where it covers the least of the curves."""
        if self.plot is not None:
            self._box.adjustSize()
            self._box.move(self.plot.free_place(self._box.size()))

    # --- Inside -----------------------------------------------------------------------------------------------

    def _moment(self, place: "Place") -> int | None:
        return nearest_moment([*(other for other, _color in self.overlays), *filter(None, (self.curves,))], place)

    def _offer(self, place: "Place") -> str:
        """The text about what a click opens."""
        moment = self._moment(place)
        return "" if moment is None else _("Look inside {run} at step {n}").format(run=place[0], n=number(moment))

    @Slot(str, float)
    def _on_opened(self, run: str, step: float) -> None:
        moment = self._moment((run, step))
        if moment is not None:
            self.inside_requested.emit(run, moment)

    # --- Mouse and keyboard -----------------------------------------------------------------------------------

    @Slot()
    def _on_change(self) -> None:
        self._drawn = None
        key = self.controls.quantity.current()
        if self.plot is not None and key != self._quantity:
            self._quantity = key
            self.plot.show_all()
        self.draw()

    @Slot(bool)
    def _on_logarithmic(self, checked: bool) -> None:
        if self.plot is not None:
            self.plot.set_logarithmic(checked)
        self._on_change()

    @Slot()
    def _on_whole(self) -> None:
        if self.plot is not None:
            self.plot.show_all()

    @Slot(str)
    def _ask_file(self, kind: str) -> None:
        if self.curves is not None:
            self._files.ask(kind, self.curves.run)

    def save_picture(self, path: str) -> bool:
        """Save the plot as shown, as PNG; returns whether it succeeded."""
        return self.plot is not None and self.plot.grab().save(path, "PNG")


def _pair(curves: "Curves", column: int, color: str, weight: float) -> "list[Line]":
    """The raw values as a thin line, and their moving average."""
    from llm_studio.ui.widgets.plot import Line

    steps, raw = curves.steps.column(0), curves.steps.column(column)
    if weight == 0:
        return [Line(steps, raw, color, name=curves.run)]
    smooth = Line(steps, curves.smoothed(column, weight), color, width=2, fits=False, name=curves.run)
    return [Line(steps, raw, color, alpha=0.3, name=curves.run), smooth]


def values_at(
    curves: "Curves",
    overlays: "list[tuple[Curves, str]]",
    key: str,
    weight: float,
    step: float,
    corpus: int = 0,
) -> list[tuple[str, str]]:
    """The values at a step as text, each with the colour of its curve. `corpus`: number of training tokens."""
    summary = [(_("step {n}").format(n=number(step)), "text"), (_tokens_at(curves, step, corpus), "muted")]
    if key != LOSS_KEY:
        value = float(curves.steps.column(_COLUMNS[key])[_nearest(curves.steps.column(0), step)])
        return [*summary, (_value(key, value), "accent")]
    summary.append((_("training {loss}").format(loss=_loss_at(curves, weight, step)), "accent"))
    measured = curves.evaluations.column(0)
    before = int(measured.searchsorted(step, "right")) - 1
    if before >= 0:
        validation = number(float(curves.evaluations.column(1)[before]), 2)
        text = _("validation {loss}").format(loss=validation) + _bits_after(curves.bits_per_byte_until(step))
        summary.append((text, "validation"))
    for other, color in overlays:
        if len(other.steps):
            text, bits = f"{other.run} {_loss_at(other, weight, step)}", other.bits_per_byte_until(step)
            if bits is not None:
                text += " · " + _("validation {loss}").format(loss=bits_per_byte(bits))
            summary.append((text, color))
    return summary


def nearest_moment(curves: "list[Curves]", place: "Place") -> int | None:
    """The moment nearest to the step of `place`, in the run that it names."""
    steps = next((one.inside_steps() for one in curves if one.run == place[0]), [])
    return min(steps, key=lambda moment: abs(moment - place[1]), default=None)


def _levels(known: "Baselines") -> list[tuple[float, str]]:
    """Reference losses with their names."""
    named = ((known.chance, _("random guessing")), (known.unigram, _("token frequencies")),
             (known.bigram, _("previous token alone")))  # fmt: skip
    return [(value, f"{text} {number(value, 2)}{_bits_after(known.bits_per_byte(value))}") for value, text in named]


def _bits_after(value: float | None) -> str:
    """A loss in bits per byte, to follow the loss in nats; "" if unknown."""
    return "" if value is None else f" · {bits_per_byte(value)}"


def _tokens_at(curves: "Curves", step: float, corpus: int) -> str:
    """The number of tokens seen until a step."""
    seen = float(curves.steps.column(5)[_nearest(curves.steps.column(0), step)])
    text = _("{n} tokens").format(n=short_number(round(seen)))
    return f"{text} ({passes_text(seen / corpus)})" if corpus else text


def _loss_at(curves: "Curves", weight: float, step: float) -> str:
    losses = curves.smoothed(1, weight) if weight else curves.steps.column(1)
    return number(float(losses[_nearest(curves.steps.column(0), step)]), 2)


def _nearest(steps: "Curves | object", step: float) -> int:
    import numpy as np

    known = np.asarray(steps)
    place = int(np.searchsorted(known, step))
    if place >= len(known):
        return len(known) - 1
    return place - 1 if place and step - known[place - 1] < known[place] - step else place


def _colored(text: str, color: str) -> str:
    return f'<span style="color:{theme.color(color).name()}">{escape(text)}</span>'


def _value(key: str, value: float) -> str:
    if key == RATE_KEY:
        return _("learning rate {rate}").format(rate=f"{value:.3g}")
    if key == NORM_KEY:
        return _("gradient norm {norm}").format(norm=number(value, 3))
    return _("{n} tokens per second").format(n=short_number(round(value) if not math.isnan(value) else 0))
