"""The log under the curves: what happened in a run, and when."""

import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from llm_studio.events import CheckpointSaved, Evaluated, Event, Notice, RunStarted
from llm_studio.i18n import _, bits_per_byte, number, size
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.training.curves import Curves

_MOST_LINES = 1000


class LogPanel(Card):
    """Notices, evaluations and checkpoints, one per line; folded initially."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content.setContentsMargins(16, 6, 16, 8)
        self.content.setSpacing(4)
        self._fold = button("", self, self._on_fold, "link")
        self._last = label("", self, "caption")
        self.content.addLayout(row(self._fold, self._last, None))
        self.lines = QPlainTextEdit(self)
        self.lines.setReadOnly(True)
        self.lines.setMaximumBlockCount(_MOST_LINES)
        self.lines.setAccessibleName(_("Log of the run"))
        self.lines.setFixedHeight(150)
        set_role(self.lines, "sunken")
        self.lines.hide()
        self.content.addWidget(self.lines)
        note = _("The computer is kept awake during training, unless the settings say otherwise. After a power "
                 "cut, only the steps since the last checkpoint are lost.")  # fmt: skip
        self.content.addWidget(label(note, self, "caption", wrap=True))
        self._waiting: deque[str] = deque(maxlen=_MOST_LINES)
        self._show_fold()

    def _show_fold(self) -> None:
        folded = self.lines.isHidden()
        self._fold.setText(_("▸ Log") if folded else _("▾ Log"))
        self._fold.setAccessibleName(_("Show the log") if folded else _("Hide the log"))
        self._last.setVisible(folded)

    @Slot()
    def _on_fold(self) -> None:
        self.lines.setVisible(self.lines.isHidden())
        self._show_fold()

    def show_past(self, curves: "Curves | None") -> None:
        """Show the events of a run's log, which have no time of day."""
        self.lines.clear()
        self._waiting.clear()
        self._last.setText("")
        self.add_past(curves.story if curves else ())
        self.draw()

    def add_past(self, events: Iterable[Event]) -> None:
        """Add events of a log."""
        self._waiting.extend(text for event in events if (text := _reported(event)))

    def take(self, event: Event) -> None:
        """Add an event that happened now; it is shown by the next `draw`."""
        text = _reported(event)
        if text:
            self._waiting.append(f"{time.strftime('%H:%M:%S')}  {text}")

    def draw(self) -> None:
        """Show the new events."""
        if self._waiting:
            self._last.setText(self._waiting[-1].partition("\n")[0])
            self.lines.appendPlainText("\n".join(self._waiting))
            self._waiting.clear()


def _reported(event: Event) -> str:
    """An event as one line; "" for events that aren't shown."""
    if isinstance(event, RunStarted):
        if event.minutes:
            began = (
                _("“{run}” starts: about {steps} steps") if event.step == 0
                else _("“{run}” resumes at step {step} of about {steps}")
            )  # fmt: skip
        elif event.step == 0:
            began = _("“{run}” starts: {steps} steps")
        else:
            began = _("“{run}” resumes at step {step} of {steps}")
        return began.format(run=event.run, step=number(event.step), steps=number(event.max_steps))
    if isinstance(event, Evaluated):
        summary = _("step {step}: validation loss {loss}, the best so far") if event.best else _(
            "step {step}: validation loss {loss}"
        )  # fmt: skip
        loss = number(event.loss, 3)
        if event.bits_per_byte is not None:
            loss += f" ({bits_per_byte(event.bits_per_byte)})"
        return summary.format(step=number(event.step), loss=loss)
    if isinstance(event, CheckpointSaved):
        return _("step {step}: checkpoint saved ({size})").format(step=number(event.step), size=size(event.bytes))
    if isinstance(event, Notice):
        return f"⚠ {event.text}" if event.level == "warning" else event.text
    return ""
