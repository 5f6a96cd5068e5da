"""The tab Generation: a model of the project continues the user's text, and shows how it chooses tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.page import Page
from llm_studio.ui.tabs.generation import CheckpointTarget
from llm_studio.ui.tabs.generation.chat_panel import ChatPanel
from llm_studio.ui.tabs.generation.chats_controller import ChatsController
from llm_studio.ui.tabs.generation.choosing import Choosing
from llm_studio.ui.tabs.generation.model_controller import ModelController
from llm_studio.ui.tabs.generation.parts import ModelChoice, NoticeBar
from llm_studio.ui.tabs.generation.sampling import SamplingPanel, random_seed
from llm_studio.ui.tabs.generation.saving import PDF, SaveChatDialog, pdf_of
from llm_studio.ui.tabs.generation.writing_controller import WritingController
from llm_studio.ui.tasks import SETTINGS
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import EmptyState, Segmented, row
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_studio.workflows.generation.chats import Chat, Turn
    from llm_studio.workflows.generation.generate import RunPoints, TextGenerator
    from llm_studio.workflows.overview import Overview, Project


class GenerationPage(Page):
    """Loads the selected model when the tab is visible; all chats are saved in the project."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_("Generation"), "", parent)
        self.chats = ChatsController(self.context)
        self.model = ModelController(self.context)
        self.writing = WritingController(self.context, self.model, self.chats)
        self.choice = ModelChoice(self)
        views = {"text": _("Text"), "probabilities": _("Probabilities"), "xray": _("X-ray")}
        self.view = Segmented(self, views, _("What is shown"))
        self.head_buttons.addWidget(self.choice)
        self.head_buttons.addWidget(self.view)
        self.notice = NoticeBar(self)
        self.body.addWidget(self.notice)
        self._stack = QStackedWidget(self)
        self.empty = EmptyState(self, "", "")
        content = QWidget(self._stack)
        self.talk, self.sampling = ChatPanel(self), SamplingPanel(self)
        self.choosing = Choosing(self, self.talk, self.sampling, self.model, self.chats)
        self.next = self.choosing.next
        content.setLayout(row(self.talk, self.sampling, spacing=GAP))
        self._stack.addWidget(self.empty)
        self._stack.addWidget(content)
        self.first = (self.talk.box,)
        self.body.addWidget(self._stack, 1)
        self._connect_controllers()
        self._connect_parts()
        self._show_points(())

    def _connect_controllers(self) -> None:
        self.chats.listed.connect(self.talk.menu.show_chats)
        self.chats.newest_read.connect(self._on_newest_read)
        self.chats.opened.connect(self.talk.show_chat)
        self.chats.deleted.connect(self._on_chat_deleted)
        self.model.points_changed.connect(self._show_points)
        self.model.loading.connect(self._on_loading)
        self.model.loaded.connect(self._on_loaded)
        self.model.failed.connect(self._on_load_failed)
        self.model.notice.connect(self.notice.say)
        self.writing.started.connect(self._on_write_started)
        self.writing.event_reported.connect(self.talk.buffer.take)
        self.writing.written.connect(self.talk.show_chat)
        self.writing.failed.connect(self.talk.take_back)
        self.writing.ended.connect(self._on_write_ended)
        self.context.listen(SETTINGS, failed=self._on_settings_failed)

    def _connect_parts(self) -> None:
        self.choice.chosen.connect(self._load)
        self.view.chosen.connect(self.choosing.show_view)
        self.notice.pressed.connect(self._reload)
        self.empty.pressed.connect(self._go_to_training)
        self.talk.menu.save_requested.connect(self._ask_file)
        self.talk.turns.beginning_chosen.connect(self.talk.box.begin)
        self.talk.write_requested.connect(self._write)
        self.talk.stop_requested.connect(self.writing.stop)
        self.talk.keep_requested.connect(self.chats.write)
        self.talk.open_requested.connect(self.chats.open)
        self.talk.delete_requested.connect(self.chats.delete)
        self.sampling.settings_requested.connect(self.context.settings_requested)

    # --- The project ------------------------------------------------------------------------------------------

    def open_project(self, project: "Project | None") -> None:
        """Forget everything about the previous project."""
        super().open_project(project)
        self.choosing.stop()
        self.talk.forget()
        self.notice.hide()
        self.sampling.forget()
        self.next.say("")
        self._show_points(())

    def show_overview(self, overview: "Overview") -> None:
        """Show the sampling settings; the controllers list chats and checkpoints."""
        super().show_overview(overview)
        self.sampling.show_settings(overview.settings.generation)
        self.talk.turns.show_beginnings(_beginnings(overview.settings.project.language))

    def leave_project(self) -> None:
        """Request saving settings that a slider has just changed."""
        super().leave_project()
        self.sampling.flush()

    def show_target(self, target: CheckpointTarget) -> None:
        """Select the model of a run at a step, or the nearest available."""
        if self.choice.choose(target.run, target.step):
            self._load()

    def draft(self) -> object:
        """The prompt in the input box, with its chat."""
        return self.talk.draft()

    def take_draft(self, draft: "tuple[Chat, str, int | None] | None") -> None:
        """Continue with that prompt, in its chat."""
        if draft is not None and self.talk.take_draft(*draft):
            self.chats.list_chats(open_newest=False)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Load the model only now."""
        super().showEvent(event)
        self._load()

    @Slot()
    def _go_to_training(self) -> None:
        self.context.tab_requested.emit("training")

    @Slot(object)
    def _on_newest_read(self, newest: "Chat") -> None:
        if not self.talk.is_writing and not self.talk.chat.turns:
            self.talk.show_chat(newest)

    @Slot(object)
    def _on_chat_deleted(self, chat: "Chat") -> None:
        if chat.id == self.talk.chat.id:
            self.talk.show_chat(chats.new())

    @Slot()
    def _ask_file(self) -> None:
        """Ask for the file in which to save the chat, as a text or a PDF."""
        dialog = SaveChatDialog(self, self.talk.chat)
        dialog.chosen.connect(self._save)
        dialog.open()

    @Slot(str)
    def _save(self, path: str) -> None:
        chat = self.talk.chat
        self.chats.save(chat, Path(path), pdf_of(chat) if path.lower().endswith(f".{PDF}") else None)

    # --- The model --------------------------------------------------------------------------------------------

    @Slot(object)
    def _show_points(self, points: "tuple[RunPoints, ...]") -> None:
        self.choice.show_points(points)
        self._stack.setCurrentIndex(1 if points else 0)
        self.choice.setVisible(bool(points))
        self.view.setVisible(bool(points))
        if points:
            self._load()
            return
        self.subtitle.setText("")
        if self.overview is not None and self.overview.runs:
            title = _("No checkpoint yet")
            text = _("The model can write as soon as the run has saved its first checkpoint.")
        else:
            title = _("No trained model yet")
            text = _("Here a model that you have trained continues your texts.")
        self.empty.say(title, text, _("Go to Training"))

    @Slot()
    def _load(self) -> None:
        """Load the selected model, unless the page is hidden or the loaded model is writing."""
        choice = self.choice.current()
        if choice[0] and self.isVisible() and not self.talk.is_writing:
            self.model.load(choice)

    @Slot()
    def _reload(self) -> None:
        self.model.reload(self.choice.current())

    @Slot(str, int)
    def _on_loading(self, run: str, step: int) -> None:
        self.notice.hide()
        self.talk.set_ready(False)
        self.next.say(_("Loading the model…"))
        self.subtitle.setText(_("Loading {run}, step {step}…").format(run=run, step=number(step)))

    @Slot(object)
    def _on_loaded(self, generator: "TextGenerator") -> None:
        run, _slash, folder = generator.name.partition("/")
        mark = {"best": _(" (best)"), "last": _(" (last)")}.get(self.choice.current()[1], "")
        step = number(int(folder.removeprefix("step-")))
        self.subtitle.setText(_("Model {run} · step {step}{mark}").format(run=run, step=step, mark=mark))
        self.talk.asking.offer(generator.conversations)
        self.talk.set_ready(True)
        self.choosing.request()

    @Slot(str)
    def _on_load_failed(self, reason: str) -> None:
        self.notice.say(reason, _("Try again"), bad=True)
        self.subtitle.setText(_("No model is loaded."))
        self.next.say(_("No model is loaded."))

    def _on_settings_failed(self, _error: BaseException) -> None:
        self.sampling.settings_failed()

    # --- Writing ----------------------------------------------------------------------------------------------

    @Slot(object, object, bool)
    def _write(self, chat: "Chat", turn: "Turn", again: bool) -> None:
        """Let the model write; `again`: another version of an answer, with another seed."""
        if not self.writing.is_possible or self.talk.is_writing:
            return
        self.sampling.flush()
        sampling = self.sampling.current()
        if again or sampling.seed is None:
            sampling = sampling.model_copy(update={"seed": random_seed()})
        old = self.talk.chat
        replaced = None
        if chat.id == old.id and len(chat.turns) < len(old.turns) and turn.prompt != old.turns[len(chat.turns)].prompt:
            replaced = old
        self.talk.begin(chat, turn)
        self.writing.write(chat, turn, sampling, replaced)

    @Slot()
    def _on_write_started(self) -> None:
        if not self.talk.is_writing:  # this page was created while the model writes
            self.talk.begin(self.talk.chat, chats.Turn(""))

    @Slot()
    def _on_write_ended(self) -> None:
        self.talk.end()
        self._load()  # there may be a newer best one
        self.choosing.request()


def _beginnings(language: str) -> "Sequence[str]":
    from llm_studio.workflows.training.train import PROMPTS

    return PROMPTS[language]
