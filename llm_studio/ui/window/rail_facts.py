"""What the rail says of each step: its state and one line of fact."""

from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QObject, QTimer, Slot

from llm_studio.events import RunStarted, StepDone
from llm_studio.i18n import _, ngettext, number, short_number, size
from llm_studio.ui.tasks import TRAINING, BackgroundJob, Task
from llm_studio.ui.widgets.rail import Rail, Standing

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, State

_REDRAW = 250


class RailFacts(QObject):
    """Turns an overview and the events of jobs into the lines of the rail."""

    def __init__(self, rail: Rail) -> None:
        super().__init__(rail)
        self._rail = rail
        self._overview: Overview | None = None
        self._running: dict[str, str] = {}
        self._step, self._last = 0, 0
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw_training)

    def forget(self) -> None:
        """No project is open."""
        self._overview = None
        for name in ("data", "tokenizer", "model", "training", "generation"):
            self._rail.item(name).show_standing("to do", "")

    def show_overview(self, overview: "Overview") -> None:
        """Show where the project stands."""
        self._overview = overview
        self._draw()

    def task_started(self, task: Task) -> None:
        """A job has begun: its tab is running."""
        if isinstance(task, BackgroundJob):
            self._running[task.key] = task.tab
            if task.key == TRAINING:
                self._step = self._last = 0
                self._timer.start()
            self._draw()

    def task_reported(self, key: str, event: object) -> None:
        """A training has done a step."""
        if key != TRAINING:
            return
        if isinstance(event, RunStarted):
            self._step, self._last = event.step, event.max_steps
        elif isinstance(event, StepDone):
            self._step = event.step

    def task_ended(self, key: str) -> None:
        """A job is over."""
        if self._running.pop(key, None) is not None:
            if key == TRAINING:
                self._timer.stop()
            self._draw()

    def _show(self, name: str, standing: Standing, fact: str) -> None:
        running = name in self._running.values()
        self._rail.item(name).show_standing("running" if running else standing, fact)

    def _draw(self) -> None:
        here = self._overview
        if here is None:
            return
        count = len(here.sources)
        sources = ngettext("{n} source", "{n} sources", count).format(n=number(count))
        weight = sum(source.bytes for source in here.sources)
        self._show("data", _standing(here.steps.data), f"{size(weight)} · {sources}" if count else _("no texts yet"))
        self._show("tokenizer", _worse(here), _tokenizer_fact(here))
        broken = here.settings_problem is not None
        weights = _("{n} parameters").format(n=short_number(here.cost.parts.total))
        self._show("model", "out of date" if broken else "ready", _("settings to fix") if broken else weights)
        self._draw_training()
        tried = [run for run in here.runs if run.best_loss is not None]
        best = min(tried, key=lambda run: run.best_loss or 0, default=None)
        model = _("best: {run}").format(run=best.name) if best else _("no model yet")
        self._show("generation", "ready" if here.runs else "to do", model)

    @Slot()
    def _draw_training(self) -> None:
        here = self._overview
        if TRAINING in self._running and self._last:
            self._show("training", "running", _steps_fact(self._step, self._last))
        elif here is not None and here.runs:
            run = max(here.runs, key=lambda run: run.created)
            done: Standing = "ready" if run.state in ("finished", "stopped") else "out of date"
            self._show("training", done, _steps_fact(run.step, run.max_steps))
        else:
            self._show("training", "to do", _("no run yet"))


def _steps_fact(step: int, last: int) -> str:
    return _("step {step} / {last}").format(step=number(step), last=number(last))


def _worse(here: "Overview") -> Standing:
    """The tab makes tokenizer and tokens: what is less done of both."""
    order: tuple[Standing, ...] = ("to do", "out of date", "ready")
    made, prepared = _standing(here.steps.tokenizer), _standing(here.steps.tokens)
    return made if order.index(made) <= order.index(prepared) else prepared


def _standing(state: "State") -> Standing:
    return cast("Standing", state.value)


def _tokenizer_fact(here: "Overview") -> str:
    if here.tokenizer is None:
        return _("no tokenizer yet")
    fact = _("{n} tokens").format(n=number(here.tokenizer.vocab_size))
    if here.steps.tokenizer.value == "out of date":
        return _("needs retraining")
    return fact if here.tokens else _("{fact} · to prepare").format(fact=fact)
