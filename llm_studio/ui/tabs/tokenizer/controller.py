"""The jobs of the tab Tokenizer (training and importing a tokenizer, preparing the tokens), and the next step."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import Signal, Slot

from llm_studio.events import Event, Notice
from llm_studio.i18n import N_, _, number, short_number
from llm_studio.ui.controller import Controller
from llm_studio.ui.page_context import PageContext, Toast
from llm_studio.ui.tabs.tokenizer import tasks
from llm_studio.ui.tasks import TOKENIZER, TOKENS, BackgroundJob
from llm_studio.workflows.overview import State
from llm_studio.workflows.tokenizer import lab

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project
    from llm_studio.workflows.tokenizer.lab import Replaced
    from llm_studio.workflows.tokenizer.prepare import PreparedTokens
    from llm_studio.workflows.tokenizer.train import TrainedTokenizer

TRAIN, PREPARE, IMPORT, RESTORE = TOKENIZER, TOKENS, "tokenizer/import", "tokenizer/restore"

NextStep = Literal["texts", "sources", "train", "prepare", "model"]
"""“sources”: some of the texts can't be read."""


class TokenizerController(Controller):
    """Requests the jobs and reports their start, events and end; only one runs at a time."""

    started = Signal(str, str)
    """Key and title of a job."""
    event_reported = Signal(object)
    """An Event of the job."""
    ended = Signal(str)
    """The key of a job."""
    preparing = Signal(bool)
    """Whether the tokens are being written."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)
        self.running = ""
        """The key of the running job."""
        self._notices: list[str] = []
        self._listen(TRAIN, self._on_trained)
        self._listen(PREPARE, self._on_prepared)
        self._listen(IMPORT, self._on_imported)

    def _listen(self, key: str, succeeded: Callable[[Any], None]) -> None:
        self.context.listen(key, started=self._on_started, reported=self._on_reported, succeeded=succeeded,
                            ended=lambda: self._on_ended(key))  # fmt: skip

    def open_project(self, project: "Project | None") -> None:
        """No job runs in another project yet."""
        self.running = ""

    def next_step(self) -> NextStep:
        """The next reasonable step."""
        overview = self.overview
        if overview is not None and overview.unusable:
            return "model" if overview.steps.tokens is State.READY else "sources"
        if overview is None or (overview.tokenizer is None and overview.steps.data is State.READY):
            return "train"
        if overview.steps.data is not State.READY:
            return "texts"
        if overview.steps.tokenizer is not State.READY:
            return "train"
        return "model" if overview.steps.tokens is State.READY else "prepare"

    def train(self, changes: dict[str, object]) -> None:
        """Train the tokenizer with pending settings."""
        project = self.project
        if project is not None:
            self.context.request(tasks.train(project, changes))

    def prepare(self) -> None:
        """Encode the texts as tokens."""
        project = self.project
        if project is not None:
            self.context.request(tasks.prepare(project))

    @Slot(str)
    def import_file(self, path: str) -> None:
        """Use this file as the project's tokenizer."""
        project = self.project
        if project is not None:
            self.context.request(
                BackgroundJob(IMPORT, lambda job: lab.import_tokenizer(project, Path(path)),
                              N_("Importing the tokenizer"), tab="tokenizer", changes_project=True)
            )  # fmt: skip

    def _on_started(self, task: BackgroundJob) -> None:
        self._notices, self.running = [], task.key
        self.preparing.emit(task.key == PREPARE)
        self.started.emit(task.key, task.title)

    def _on_reported(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._notices.append(event.text)
        self.event_reported.emit(event)

    def _on_ended(self, key: str) -> None:
        if key == self.running:
            self.running = ""
        if key == PREPARE:
            self.preparing.emit(False)
        self.ended.emit(key)

    def _on_trained(self, trained: "TrainedTokenizer") -> None:
        size = number(trained.vocab_size)
        if trained.vocab_size < trained.requested:
            text = _(
                "The texts contain no more pairs worth merging: the tokenizer has {n} tokens instead of {requested}."
            )
            text = text.format(n=size, requested=number(trained.requested))
        else:
            rate = number(trained.characters_per_token, 2)
            text = _("The tokenizer has {n} tokens: {rate} characters per token.").format(n=size, rate=rate)
        self.context.toast_requested.emit(Toast(text))

    def _on_prepared(self, prepared: "PreparedTokens") -> None:
        total = short_number(prepared.train_tokens + prepared.validation_tokens)
        self.context.toast_requested.emit(Toast(" ".join([_("{n} tokens are ready.").format(n=total), *self._notices])))

    def _on_imported(self, before: "Replaced") -> None:
        project = self.project
        if project is not None:
            undo = BackgroundJob(RESTORE, lambda job: lab.restore_tokenizer(project, before),
                                 N_("Undoing the import"), tab="tokenizer", changes_project=True)  # fmt: skip
            text = _("The tokenizer was imported: {n} tokens.").format(n=number(before.vocab_size))
            self.context.toast_requested.emit(Toast(text, undo))
