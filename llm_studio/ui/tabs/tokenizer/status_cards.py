"""Two cards at the top of the tab Tokenizer: notes, and the running job."""

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QProgressBar, QWidget

from llm_studio.events import Event
from llm_studio.i18n import _, translated
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.footer import JobProgress

_REDRAW = 100
_TICKS = 1000


class NoteCard(Card):
    """Why a step should be repeated; hidden if there is nothing to report."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-warn")
        self.content.setContentsMargins(14, 9, 14, 9)
        self.said = label("", self, "warn", wrap=True)
        self.content.addWidget(self.said)
        self.hide()

    def say(self, text: str) -> None:
        """Show `text`; hide if it is ""."""
        self.said.setText(text)
        self.setVisible(bool(text))


class JobCard(Card):
    """The running job of this tab with its progress; otherwise hidden."""

    stop_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content.setContentsMargins(14, 10, 14, 12)
        self.key = ""
        self._progress: JobProgress | None = None
        self.said = label("", self, wrap=True)
        self.stop = button(_("Stop"), self, self._stop, "small")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.content.addLayout(row(self.said, self.stop))
        self.content.itemAt(0).layout().setStretch(0, 1)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        self.content.addWidget(self.bar)
        self._timer = QTimer(self, interval=_REDRAW)
        self._timer.timeout.connect(self._draw)
        self.hide()

    def begin(self, key: str, title: str) -> None:
        """A job has started."""
        self.key = key
        self._progress = JobProgress(title, "")
        self.bar.setAccessibleName(translated(title))
        self.stop.setEnabled(True)
        self._draw()
        self._timer.start()
        self.show()

    def take(self, event: Event) -> None:
        """Store an event of the job; a timer draws it."""
        if self._progress is not None:
            self._progress.take(event)

    def end(self, key: str) -> None:
        """This job has ended."""
        if key == self.key:
            self.key, self._progress = "", None
            self._timer.stop()
            self.hide()

    @Slot()
    def _stop(self) -> None:
        self.stop.setEnabled(False)
        self.stop_requested.emit(self.key)

    @Slot()
    def _draw(self) -> None:
        if self._progress is None:
            return
        self.said.setText(self._progress.text)
        self.bar.setRange(0, 0 if self._progress.share is None else _TICKS)
        self.bar.setValue(round(_TICKS * (self._progress.share or 0)))
