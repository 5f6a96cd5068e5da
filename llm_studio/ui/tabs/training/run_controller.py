"""Starting, stopping and resuming runs, and whether one trains in this window."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot

from llm_studio.events import CheckpointSaved, EndMoved, Event, Notice, RunStarted
from llm_studio.i18n import _, number, size
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tabs.training import tasks
from llm_studio.ui.tasks import TOKENIZER, TOKENS, TRAINING, Task

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.run_health import Finding

_REFRESH_EVERY = 10.0
"""Seconds between two overviews while a run trains."""


class RunController(Controller):
    """Requests all actions on runs, and holds the state of the run that trains in this window."""

    changed = Signal()
    """`running`, `stopping`, `preparing` or `stale` has changed, or the last step of the run that trains."""
    started = Signal()
    event_reported = Signal(object)
    """An Event of the run that trains."""
    ended = Signal()
    renamed = Signal(str, str)
    deleted = Signal(str)

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.running = False
        self.stopping = False
        """Whether the run was asked to save and stop."""
        self.preparing = ""
        """The key of the job that is changing tokenizer or tokens: no run may start meanwhile."""
        self.stale = False
        """Whether a run has just ended and its overview isn't there yet."""
        self._next: Task | None = None
        """The task to start once the current run has stopped."""
        self._refreshed_at = 0.0
        context.listen(
            TRAINING,
            started=self._on_started,
            reported=self._on_event,
            succeeded=self._on_succeeded,
            ended=self._on_ended,
        )
        for key in (TOKENIZER, TOKENS):
            context.listen(key, started=self._on_preparing, ended=lambda key=key: self._on_prepared(key))
        context.listen(tasks.RENAME, succeeded=self._on_renamed)
        context.listen(tasks.DELETE, succeeded=self._on_deleted)

    def open_project(self, project: "Project | None") -> None:
        """No run trains in another project yet."""
        self.running, self.stopping, self.stale, self._next, self.preparing = False, False, False, None, ""

    def show_overview(self, overview: "Overview") -> None:
        """This overview includes runs that have ended."""
        self.stale = False

    # --- Actions of the user ----------------------------------------------------------------------------------

    def start(self, changes: Mapping[str, object] = {}) -> None:
        """Start a new run with the project's settings and these changes."""
        if self.project is not None:
            self.context.request(tasks.train(self.project, changes=changes))

    @Slot(str)
    def resume(self, run: str) -> None:
        """Resume a run where it stopped."""
        if self.project is not None:
            self.context.request(tasks.train(self.project, run))

    @Slot(str, int)
    def keep_training(self, run: str, steps: int) -> None:
        """Continue a finished run, up to `steps` in total."""
        if self.project is not None:
            self.context.request(tasks.train(self.project, run, {"training.max_steps": steps}))

    def train_longer(self, run: str, minutes: float) -> None:
        """Resume a run for `minutes` more."""
        if self.project is not None:
            self.context.request(tasks.train_longer(self.project, run, minutes))

    @Slot(str, str)
    def rename(self, old: str, new: str) -> None:
        """Rename a run."""
        if self.project is not None:
            self.context.request(tasks.rename(self.project, old, new))

    @Slot(str)
    def delete(self, run: str) -> None:
        """Delete a run."""
        if self.project is not None:
            self.context.request(tasks.delete(self.project, run))

    def save(self) -> None:
        """Save a checkpoint now and continue."""
        self.context.save_requested.emit(TRAINING)

    def pause(self) -> None:
        """Save and stop; resuming the run is then offered."""
        self.stopping = True
        self.changed.emit()
        self.context.stop_requested.emit(TRAINING)

    def stop(self, run: str) -> None:
        """Save and stop the run; resuming it is not offered."""
        if self.project is not None and run:
            self.context.request(tasks.set_aside(self.project, run))
        self.pause()

    def follow_advice(self, finding: "Finding", shown: str, live: str) -> None:
        """Do what the curve doctor suggests for the run `shown`; if a run is training, after it was saved and
        stopped."""
        if finding.remedy == "texts":
            self.context.tab_requested.emit("data")
        elif self.project is not None:
            if finding.remedy != "stop":
                restart = finding.remedy == "anew"
                self._next = tasks.train(
                    self.project, "" if restart else shown, finding.changes, shown if restart else None
                )
            if self.running:
                self.stop(live)
            else:
                self.start_next()

    def start_next(self) -> None:
        """Start the task that `follow_advice` has planned, if no run is training."""
        if self._next is not None and not self.running:
            task, self._next = self._next, None
            self.context.request(task)

    def is_paused(self, run: str) -> bool:
        """Whether a run was paused, so that resuming is offered."""
        from llm_studio.workflows.training import runs

        overview = self.overview
        found = next((known for known in overview.runs if known.name == run), None) if overview else None
        return found is not None and self.project is not None and runs.offers_resume(self.project, found)

    # --- The tasks --------------------------------------------------------------------------------------------

    def _on_started(self, _task: Task) -> None:
        self.running, self.stopping, self._refreshed_at = True, False, 0.0
        self.started.emit()
        self.changed.emit()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, RunStarted | CheckpointSaved):
            self._refresh()
        self.event_reported.emit(event)
        if isinstance(event, EndMoved):
            self.changed.emit()
        if isinstance(event, Notice) and event.level == "warning":
            self.context.toast_requested.emit(Toast(event.text))

    def _on_succeeded(self, result: object) -> None:
        """Offer to resume a run that was stopped, perhaps by mistake."""
        from llm_studio.workflows.training.request import TrainResult

        if not isinstance(result, TrainResult) or result.finished:
            return
        if self.project is not None and self._next is None:
            text = _("“{run}” was stopped at step {step} and is saved.")
            text = text.format(run=result.run.name, step=number(result.run.step))
            self.context.toast_requested.emit(Toast(text, tasks.train(self.project, result.run.name), _("Resume")))

    def _refresh(self) -> None:
        """Update the table of runs, at a limited rate."""
        now = time.monotonic()
        if self.project is not None and now - self._refreshed_at > _REFRESH_EVERY:
            self._refreshed_at = now
            self.context.request(tasks.overview(self.project))

    def _on_ended(self) -> None:
        self.running, self.stopping, self.stale = False, False, True
        self.ended.emit()
        self.changed.emit()

    def _on_preparing(self, task: Task) -> None:
        self.preparing = task.key
        self.changed.emit()

    def _on_prepared(self, key: str) -> None:
        if key == self.preparing:
            self.preparing = ""
            self.changed.emit()

    def _on_renamed(self, names: tuple[str, str]) -> None:
        self.renamed.emit(*names)

    def _on_deleted(self, answer: tuple[str, int]) -> None:
        run, freed = answer
        self.deleted.emit(run)
        self.context.toast_requested.emit(Toast(_("“{run}” deleted: {size} freed.").format(run=run, size=size(freed))))
