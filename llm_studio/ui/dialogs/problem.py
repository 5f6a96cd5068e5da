"""The dialog for all errors: what happened, what to do, and a way to copy the details."""

import time
import traceback

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from llm_studio import __version__
from llm_studio.errors import ConfigError, StudioError
from llm_studio.i18n import N_, _
from llm_studio.ui.desktop import open_log_folder
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.fit_contents import FitContents

_AGAIN_AFTER = 3.0
"""Seconds during which the same problem isn't shown again."""

ACTIONS = {
    "project": (N_("Choose the folder of a project made with LLM Studio, or create a new project."), ""),
    "data": (N_("Add some on the Data tab."), N_("Go to Data")),
    "sources": (N_("Replace or remove it on the Data tab."), N_("Go to Data")),
    "tokenizer": (N_("Train one on the Tokenizer tab."), N_("Go to Tokenizer")),
    "tokens": (N_("Press “Prepare the tokens” on the Tokenizer tab."), N_("Go to Tokenizer")),
    "model": (N_("Fix it on the Model tab."), N_("Go to Model")),
    "training": (N_("Train one on the Training tab."), N_("Go to Training")),
}
"""By the action of a StudioError: the advice in the terms of the window, and its button; "" for none.
"sources" and "tokens" are on tabs with other names."""


def tab_of(action: str) -> str:
    """The tab for the action of a StudioError, "" for none."""
    return {"sources": "data", "tokens": "tokenizer"}.get(action, action) if action in ACTIONS else ""


class Problems(QObject):
    """Shows problems, one dialog at a time; further ones wait, and a problem that keeps occurring is shown once."""

    tab_requested = Signal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._waiting: list[BaseException] = []
        self._dialog: ProblemDialog | None = None
        self._seen: dict[str, float] = {}
        """Time of the last occurrence of recent problems, by text."""

    @Slot(object)
    def show(self, error: BaseException) -> None:
        """Show a problem, now or after the one that is displayed."""
        summary, now = _words(error), time.monotonic()
        self._seen = {words: when for words, when in self._seen.items() if now - when < _AGAIN_AFTER}
        untold = [*self._waiting, *([self._dialog.error] if self._dialog is not None else [])]
        is_known = summary in self._seen or summary in map(_words, untold)
        self._seen[summary] = now
        if not is_known:
            self._waiting.append(error)
            self._next()

    @property
    def dialog(self) -> "ProblemDialog | None":
        """The displayed dialog."""
        return self._dialog

    def _next(self) -> None:
        if self._dialog is not None or not self._waiting:
            return
        self._dialog = ProblemDialog(self._waiting.pop(0), self._window)
        self._dialog.tab_requested.connect(self.tab_requested)
        self._dialog.finished.connect(self._on_finished)
        self._dialog.open()

    @Slot()
    def _on_finished(self) -> None:
        if self._dialog is not None:
            self._seen[_words(self._dialog.error)] = time.monotonic()
            self._dialog.deleteLater()
            self._dialog = None
        self._next()


class ProblemDialog(QDialog):
    """One problem. If the user can fix it, a sentence and often a button; if it is a bug, its details."""

    tab_requested = Signal(str)

    def __init__(self, error: BaseException, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("LLM Studio")
        self.setMinimumWidth(440)
        self.error = error
        FitContents(self)
        self._action = error.action if isinstance(error, StudioError) else ""
        what, to_do = _sentences(error)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(20, 18, 20, 16)
        inside.setSpacing(10)
        self.what = label(what, self, "heading", wrap=True, selectable=True)
        self.to_do = label(to_do, self, wrap=True, selectable=True)
        inside.addWidget(self.what)
        inside.addWidget(self.to_do)
        self.to_do.setVisible(bool(to_do))
        has_button = bool(self._action in ACTIONS and ACTIONS[self._action][1])
        close = button(_("Close"), self, self.accept, "" if has_button else "primary")
        buttons = row(button(_("Copy the details"), self, self._copy, "link"),
                      button(_("Open the log's folder"), self, open_log_folder, "link"), None, close)  # fmt: skip
        self.acts = None
        if has_button:
            self.acts = button(_(ACTIONS[self._action][1]), self, self._act, "primary")
            buttons.addWidget(self.acts)
        inside.addSpacing(6)
        inside.addLayout(buttons)
        (self.acts or close).setFocus()  # the default button, which Enter presses

    @Slot()
    def _act(self) -> None:
        self.accept()
        self.tab_requested.emit(tab_of(self._action))

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(details(self.error))


def _words(error: BaseException) -> str:
    """The text by which two problems are considered the same."""
    return f"{type(error).__name__}: {error}"


def details(error: BaseException) -> str:
    """All information that helps to find the cause."""
    trace = "".join(traceback.format_exception(error))
    return f"LLM Studio {__version__}\n{error}\n\n{trace}"


def _sentences(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ConfigError):
        lines = [problem.summary for problem in error.problems]
        return error.what, "\n".join(lines)
    if isinstance(error, StudioError):
        return error.what, _(ACTIONS[error.action][0]) if error.action in ACTIONS else error.to_do
    if isinstance(error, MemoryError):
        return _("There is not enough memory for this."), _("Close other programs, or choose a smaller model.")
    return (
        _("Something went wrong inside LLM Studio. It is not your fault, and nothing that was saved is lost."),
        _(
            "You can keep working. If it happens again, copy the details and send them to the developers: "
            "Help › About shows where."
        ),
    )
