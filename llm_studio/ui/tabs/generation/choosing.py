"""Choosing tokens: connects the chat, the candidates for the next token, and the versions that choices create."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtGui import QKeySequence, QShortcut

from llm_studio.ui.page import Page
from llm_studio.ui.tabs.generation.chat_panel import ChatPanel
from llm_studio.ui.tabs.generation.chats_controller import ChatsController
from llm_studio.ui.tabs.generation.model_controller import ModelController
from llm_studio.ui.tabs.generation.next_token_view import NextTokenCard, NextTokenPresenter, XrayPanel
from llm_studio.ui.tabs.generation.sampling import SamplingPanel
from llm_studio.ui.tabs.generation.versions import VersionsCard
from llm_studio.ui.tabs.generation.versions_controller import VersionsController
from llm_studio.workflows.generation.version_tree import VersionTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_studio.workflows.generation.chats import Chat, Token
    from llm_studio.workflows.generation.next_token import NextToken

_PAUSE = 150
"""Milliseconds without a further change before the next token is computed."""


class Choosing(QObject):
    """Part of the page: creates the widgets for the next token and for versions, and connects them to the chat."""

    def __init__(
        self, page: Page, talk: ChatPanel, sampling: SamplingPanel, model: ModelController, chats: ChatsController
    ) -> None:
        super().__init__(page)
        self._page, self._talk, self._model, self._chats = page, talk, model, chats
        self.next = NextTokenPresenter(NextTokenCard(sampling), XrayPanel(talk))
        self.card = VersionsCard(sampling)
        self.versions = VersionsController(page.context)
        self._shows_prompts = False
        talk.content.insertWidget(talk.content.indexOf(talk.composer), self.next.xray, 4)
        talk.content.setStretchFactor(talk.turns, 3)
        sampling.add_below(self.next.card)
        sampling.add_below(self.card)
        self._timer = QTimer(self, interval=_PAUSE, singleShot=True)
        self._timer.timeout.connect(self._request_next)
        sampling.changed.connect(self.next.follow)
        self.next.chosen.connect(self._on_token_chosen)
        self.next.xray.end.clicked.connect(talk.back_to_end)
        self.card.chosen.connect(self._on_version_chosen)
        self._connect()

    def _connect(self) -> None:
        self._model.next_token.connect(self._on_next)
        self._model.next_failed.connect(self.next.say)
        self._model.prompts_read.connect(self._on_prompts)
        self._talk.text_changed.connect(self._timer.start)
        self._talk.chat_shown.connect(self._on_chat_shown)
        self._talk.menu.undo_requested.connect(self._undo)
        self._talk.menu.redo_requested.connect(self._redo)
        self.versions.history_changed.connect(self._talk.menu.show_history)
        self.versions.changed.connect(self._on_version_changed)
        for key, slot in ((QKeySequence.StandardKey.Undo, self._undo), (QKeySequence.StandardKey.Redo, self._redo)):
            QShortcut(key, self._page, slot, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)

    @Slot(str)
    def show_view(self, view: str) -> None:
        """Show the plain text, the text tinted by probability, or the table of candidates."""
        self._talk.show_view(view)
        self.next.show_in_table(view == "xray")
        self._shows_prompts = view != "text"
        self._request_prompts()

    def request(self) -> None:
        """Compute the candidates with the current model."""
        self._request_next()

    def stop(self) -> None:
        """Stop computing candidates."""
        self._timer.stop()

    @Slot()
    def _request_next(self) -> None:
        self._timer.stop()
        if not self._talk.is_writing and self._page.isVisible():
            self._model.request_next(self._talk.upcoming())
            self._request_prompts()

    def _request_prompts(self) -> None:
        """Compute the surprise of the model at the user's texts, if it is shown."""
        if not self._shows_prompts:
            self._on_prompts(())
        elif self._page.isVisible():
            typed = self._talk.box.toPlainText().strip()
            self._model.request_prompts(self._talk.upcoming() if typed else self._talk.chat.turns)

    @Slot(object)
    def _on_prompts(self, prompts: "Sequence[Sequence[Token]]") -> None:
        self._talk.turns.show_prompts(prompts)
        self._talk.box.show_tokens(prompts[-1] if prompts else ())

    @Slot(object)
    def _on_next(self, found: "NextToken") -> None:
        if found.turns == self._talk.upcoming():
            self.next.show_next(found, self._talk.written())

    @Slot(object)
    def _on_chat_shown(self, chat: "Chat") -> None:
        self.versions.follow(chat)
        self.card.show_tree(chat.last.tree if chat.last else VersionTree())

    @Slot(int)
    def _on_token_chosen(self, token: int) -> None:
        """Append a token, if the displayed candidates are for the current text."""
        base, turn = self._talk.target()
        found = self.next.found
        if found is not None and self._talk.can_choose and found.turns == (*base.turns, turn):
            self.versions.choose(base, found.chosen(token))

    @Slot(int)
    def _on_version_chosen(self, node: int) -> None:
        if not self._talk.is_writing:
            self.versions.switch(node)

    @Slot()
    def _undo(self) -> None:
        if not self._talk.is_writing:
            self.versions.undo()

    @Slot()
    def _redo(self) -> None:
        if not self._talk.is_writing:
            self.versions.redo()

    @Slot(object)
    def _on_version_changed(self, chat: "Chat") -> None:
        self._talk.restore(chat)
        self._chats.write(chat)
        self._request_next()
