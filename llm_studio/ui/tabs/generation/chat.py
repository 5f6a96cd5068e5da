"""The conversation: all turns of a chat, from top to bottom."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.generation.turn_view import TurnView
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import button, label

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Token, Turn


_LEAST = 56
"""Minimum height of the conversation in pixels."""
_AROUND = 16
"""Margin in pixels around a marked token when it is scrolled into view."""


class ChatView(QScrollArea):
    """All turns of a chat, from top to bottom. Follows new text at the end, unless the user has scrolled away."""

    regenerate_requested = Signal()
    continue_requested = Signal()
    edit_requested = Signal(int)
    branch_requested = Signal(int)
    star_toggled = Signal(int)
    beginning_chosen = Signal(str)
    place_chosen = Signal(int, int)
    """The index of a turn, and of a token in its text for which alternatives are requested."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("The conversation"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(_LEAST)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._content = QWidget(self)
        set_role(self._content, "plain")
        self.setWidget(self._content)
        self._inside = QVBoxLayout(self._content)
        self._inside.setContentsMargins(0, 4, 4, 4)
        self._inside.setSpacing(GAP)
        self.views: list[TurnView] = []
        self._hint = label("", self._content, "muted", wrap=True)
        self._inside.addWidget(self._hint)
        self._beginnings = QWidget(self._content)
        self._beginnings.setLayout(column := QVBoxLayout())
        column.setContentsMargins(0, 0, 0, 0)
        self._inside.addWidget(self._beginnings)
        self.expect(False)
        self._inside.addStretch(1)
        self._tinted = False
        self._prompts: Sequence[Sequence[Token]] = ()
        """The known tokens of each turn's prompt."""
        self._at_end = True
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._on_scrolled)
        bar.rangeChanged.connect(self._on_grown)

    @Slot(bool)
    def expect(self, question: bool) -> None:
        """Show what an empty chat starts with: a question or a text."""
        self._takes_beginnings = not question
        self._show_hint()
        self._hint.setText(
            _("This model was trained on conversations: ask it something below.") if question
            else _("Write the beginning of a text below and the model continues it. If you write nothing, it starts"
                   " on its own.")
        )  # fmt: skip

    def show_beginnings(self, texts: Sequence[str]) -> None:
        """Offer these beginnings of a text in an empty chat."""
        layout = self._beginnings.layout()
        if layout is None or [made.text() for made in self._beginnings.findChildren(QPushButton)] == list(texts):
            return
        while (item := layout.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.setParent(None)
                old.deleteLater()
        for text in texts:
            made = button(text, self._beginnings, role="small", tip=_("Begin with these words"))
            made.clicked.connect(self._on_beginning)
            made.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            layout.addWidget(made)

    @Slot()
    def _on_beginning(self) -> None:
        chosen = self.sender()
        if isinstance(chosen, QPushButton):
            self.beginning_chosen.emit(chosen.text())

    def show_chat(self, chat: "Chat") -> None:
        """Show a chat; the views of unchanged turns are kept."""
        same = 0
        while same < min(len(self.views), len(chat.turns)) and self.views[same].turn == chat.turns[same]:
            same += 1
        for view in self.views[:same]:
            view.end_writing()
        # a turn that was marked or continued keeps its view, which only shows more
        if same < min(len(self.views), len(chat.turns)) and self.views[same].turn.prompt == chat.turns[same].prompt:
            self.views[same].end_writing()
            self.views[same].show_turn(chat.turns[same])
            same += 1
        for view in self.views[same:]:
            self._inside.removeWidget(view)
            view.hide()
            view.deleteLater()
        self.views = self.views[:same]
        for turn in chat.turns[same:]:
            self._add(turn)
        self._mark_last()
        self.mark_place(None)
        self.show_prompts(self._prompts)

    def begin(self) -> None:
        """Text is being written in the last turn."""
        self._at_end = True
        if self.views:
            self.views[-1].begin_writing()

    def show_prompts(self, prompts: "Sequence[Sequence[Token]]") -> None:
        """Show the prompts by their tokens, if known."""
        self._prompts = prompts
        for index, view in enumerate(self.views):
            tokens = prompts[index] if index < len(prompts) else ()
            same = "".join(token.text for token in tokens).strip() == view.turn.prompt.strip()
            view.show_prompt(tokens if same else ())

    def mark_place(self, place: tuple[int, int] | None) -> None:
        """Mark the token that is being replaced, by the indices of turn and token; None marks none."""
        for index, view in enumerate(self.views):
            view.text.set_place(place[1] if place is not None and index == place[0] else None)
        if place is not None:
            text = self.views[place[0]].text
            at = text.mapTo(self._content, text.place_rect().center())
            self.ensureVisible(at.x(), at.y(), 0, _AROUND)

    def append(self, tokens: Sequence["Token"]) -> None:
        """Append new text."""
        if self.views:
            self.views[-1].append(tokens)

    def set_tinted(self, tinted: bool) -> None:
        """Whether to tint the tokens by their probability."""
        self._tinted = tinted
        for view in self.views:
            view.text.set_tinted(tinted)

    def set_busy(self, busy: bool) -> None:
        """Whether the model is unavailable now."""
        for view in self.views:
            view.set_busy(busy)

    def _add(self, turn: "Turn") -> None:
        view = TurnView(self._content, turn, self._tinted)
        view.regenerate_requested.connect(self.regenerate_requested)
        view.continue_requested.connect(self.continue_requested)
        view.edit_requested.connect(self._on_edit)
        view.branch_requested.connect(self._on_branch)
        view.star_toggled.connect(self._on_star)
        view.place_chosen.connect(self._on_place)
        view.fit(self.viewport().width())
        self.views.append(view)
        self._inside.insertWidget(self._inside.count() - 1, view)

    def _mark_last(self) -> None:
        for index, view in enumerate(self.views):
            view.set_last(index == len(self.views) - 1)
        self._show_hint()

    def _show_hint(self) -> None:
        self._hint.setVisible(not self.views)
        self._beginnings.setVisible(not self.views and self._takes_beginnings)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adjust the width of the turns."""
        super().resizeEvent(event)
        for view in self.views:
            view.fit(self.viewport().width())

    @Slot(int)
    def _on_scrolled(self, value: int) -> None:
        self._at_end = value >= self.verticalScrollBar().maximum() - 8

    @Slot(int, int)
    def _on_grown(self, _least: int, most: int) -> None:
        if self._at_end:
            self.verticalScrollBar().setValue(most)

    @Slot(object)
    def _on_edit(self, view: TurnView) -> None:
        self.edit_requested.emit(self.views.index(view))

    @Slot(object)
    def _on_branch(self, view: TurnView) -> None:
        self.branch_requested.emit(self.views.index(view))

    @Slot(object)
    def _on_star(self, view: TurnView) -> None:
        self.star_toggled.emit(self.views.index(view))

    @Slot(object, int)
    def _on_place(self, view: TurnView, token: int) -> None:
        self.place_chosen.emit(self.views.index(view), token)
