"""The conversation: what the user wrote at the right, what the model wrote at the left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import N_, _, ngettext, number
from llm_studio.ui.icons import put_icon
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import as_plain_text, button, icon_button, label, row
from llm_studio.ui.widgets.tinted_text import TintedText
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Chat, Token, Turn

_SHARE = 0.84
"""Of the pane's width that one of both sides may take."""

_BUBBLE = 36
"""Pixels of a bubble beside its text."""

_NARROW = 560
"""Pixels of a card under which figures and buttons don't fit into one line."""


_NOTES = {
    chats.PROMPT_CUT: N_("What you wrote is longer than the context of the model: it read only the end."),
    chats.ENDED: N_("The model ended the text at once. Write another beginning, or try again with another seed."),
    chats.REPEATED: N_("The model repeats itself: raise the temperature or the repetition penalty."),
    chats.LIMIT: N_("The maximum length was reached before the text ended: “Continue” writes more."),
}


class TurnView(QWidget):
    """A prompt and its answer, with what can be done with them."""

    regenerate_requested = Signal()
    continue_requested = Signal()
    edit_requested = Signal(object)
    """Of this view."""
    branch_requested = Signal(object)
    star_toggled = Signal(object)

    def __init__(self, parent: QWidget, turn: "Turn", tinted: bool) -> None:
        super().__init__(parent)
        self.turn = turn
        self._writing = False
        self._last = False
        self._inside = QVBoxLayout(self)
        self._inside.setContentsMargins(0, 0, 0, 0)
        self._inside.setSpacing(GAP)
        self._bubble = self._make_bubble(turn.prompt.strip())
        self._card = QFrame(self)
        set_role(self._card, "answer")
        content = QVBoxLayout(self._card)
        content.setContentsMargins(14, 10, 14, 8)
        content.setSpacing(6)
        self.text = TintedText(self._card, _("What the model wrote"))
        self.text.set_tinted(tinted)
        content.addWidget(self.text)
        self._notes = label("", self._card, "caption", wrap=True)
        content.addWidget(self._notes)
        self._figures = label("", self._card, "caption")
        self._make_actions()
        content.addLayout(self._line_of_actions())
        self._inside.addLayout(row(self._card, None))
        self.show_turn(turn)

    def _make_bubble(self, prompt: str) -> QLabel | None:
        if not prompt:
            return None
        bubble = label(prompt, self, "bubble", wrap=True, selectable=True)
        bubble.setAccessibleName(_("You wrote: {text}").format(text=prompt))
        self._edit = icon_button("pencil-simple", _("Edit and write again"), self, self._on_edit)
        self._inside.addLayout(row(None, self._edit, bubble, spacing=4))
        return bubble

    def _make_actions(self) -> None:
        self._again = self._action("arrow-clockwise", _("Regenerate"), _("Try again with a new seed"))
        self._again.clicked.connect(self.regenerate_requested)
        self._more = self._action("arrow-right", _("Continue"), _("Let the model continue this text"))
        self._more.clicked.connect(self.continue_requested)
        self._branch = self._action("git-branch", _("Branch from here"), _("A new chat that continues from here"))
        self._branch.clicked.connect(self._on_branch)
        self._copy = self._action("copy", _("Copy"), _("Copy this text"))
        self._copy.clicked.connect(self._on_copy)
        self._star = icon_button("star", _("Favourite"), self._card, self._on_star)
        self._star.setCheckable(True)

    def _action(self, icon: str, text: str, tip: str) -> QPushButton:
        made = button(text, self._card, role="link", tip=tip)
        put_icon(made, icon, "muted")
        return made

    def _line_of_actions(self) -> QBoxLayout:
        """The figures, and the buttons beside or below them."""
        self._foot = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._foot.setSpacing(2)
        self._foot.addWidget(self._figures)
        self._foot.addLayout(row(self._again, self._more, self._branch, self._copy, self._star, None, spacing=2))
        return self._foot

    # --- What is shown ----------------------------------------------------------------------------------------

    def show_turn(self, turn: "Turn") -> None:
        """Show a whole turn."""
        self.turn = turn
        self.text.show_text(turn.text, turn.tokens)
        count = ngettext("{n} token", "{n} tokens", turn.count).format(n=number(turn.count))
        speed = _("{rate} tok/s").format(rate=number(turn.count / turn.seconds if turn.seconds else 0))
        seed = _("seed {seed}").format(seed=turn.seed)
        self._figures.setText(f"{count} · {speed} · {seed}  ")
        self._notes.setText("\n".join(_(_NOTES[note]) for note in turn.notes if note in _NOTES))
        self._figures.setToolTip(as_plain_text(_("Written by {model}").format(model=turn.model)) if turn.model else "")
        put_icon(self._star, "star-fill" if turn.favourite else "star", "accent" if turn.favourite else "muted")
        self._star.setChecked(turn.favourite)
        self._show_actions()

    def begin_writing(self) -> None:
        """More text is coming."""
        self._writing = True
        self.text.show_writing(True)
        self._show_actions()

    def append(self, tokens: Sequence["Token"]) -> None:
        """Some more text has come."""
        self.text.append_tokens(tokens)

    def end_writing(self) -> None:
        """No more text is coming."""
        self._writing = False
        self.text.show_writing(False)
        self._show_actions()

    def set_last(self, last: bool) -> None:
        """Whether it is the last turn: only that one can be written again."""
        self._last = last
        self._show_actions()

    def set_busy(self, busy: bool) -> None:
        """Nothing can be asked of the model now."""
        for part in (self._again, self._more, self._branch, self._star, *([self._edit] if self._bubble else [])):
            part.setEnabled(not busy)

    def _show_actions(self) -> None:
        done = not self._writing
        for part in (self._figures, self._copy, self._star):
            part.setVisible(done)
        self._again.setVisible(done and self._last)
        self._more.setVisible(done and self._last)
        self._notes.setVisible(done and bool(self._notes.text()))
        self._branch.setVisible(done and not self._last)

    def fit(self, width: int) -> None:
        """The pane is so wide."""
        room = max(200, round(width * _SHARE))
        self._card.setFixedWidth(room)
        narrow = room < _NARROW
        self._foot.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        if self._bubble is not None:
            self._bubble.ensurePolished()
            words = self._bubble.fontMetrics().size(0, self._bubble.text()).width() + _BUBBLE
            self._bubble.setFixedWidth(min(room, max(48, words)))
            self._bubble.setFixedHeight(self._bubble.heightForWidth(self._bubble.width()))

    # --- What the user does -----------------------------------------------------------------------------------

    def _on_edit(self) -> None:
        self.edit_requested.emit(self)

    @Slot()
    def _on_branch(self) -> None:
        self.branch_requested.emit(self)

    def _on_star(self) -> None:
        self.star_toggled.emit(self)

    @Slot()
    def _on_copy(self) -> None:
        between = "\n\n" if self.turn.question else ""
        QGuiApplication.clipboard().setText((self.turn.prompt + between + self.turn.text).strip())


class ChatView(QScrollArea):
    """All turns of a chat, from top to bottom. Stays at its end while text comes, unless the user looks elsewhere."""

    regenerate_requested = Signal()
    continue_requested = Signal()
    edit_requested = Signal(int)
    branch_requested = Signal(int)
    star_toggled = Signal(int)
    beginning_chosen = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("The conversation"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
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
        self._at_end = True
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._on_scrolled)
        bar.rangeChanged.connect(self._on_grown)

    @Slot(bool)
    def expect(self, question: bool) -> None:
        """Say what an empty chat begins with."""
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
        """Show a chat; the turns that are on the screen already stay as they are."""
        same = 0
        while same < min(len(self.views), len(chat.turns)) and self.views[same].turn == chat.turns[same]:
            same += 1
        for view in self.views[:same]:
            view.end_writing()
        # marked or resumed, a turn stays where it is and only shows more
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

    def begin(self, turn: "Turn | None") -> None:
        """Text is coming: in a new turn, or after the last one."""
        if turn is not None:
            self._add(turn)
        self._mark_last()
        self._at_end = True
        if self.views:
            self.views[-1].begin_writing()

    def append(self, tokens: Sequence["Token"]) -> None:
        """Some more text has come."""
        if self.views:
            self.views[-1].append(tokens)

    def set_tinted(self, tinted: bool) -> None:
        """Tint the tokens by their probability, or not."""
        self._tinted = tinted
        for view in self.views:
            view.text.set_tinted(tinted)

    def set_busy(self, busy: bool) -> None:
        """Nothing can be asked of the model now."""
        for view in self.views:
            view.set_busy(busy)

    def _add(self, turn: "Turn") -> None:
        view = TurnView(self._content, turn, self._tinted)
        view.regenerate_requested.connect(self.regenerate_requested)
        view.continue_requested.connect(self.continue_requested)
        view.edit_requested.connect(self._on_edit)
        view.branch_requested.connect(self._on_branch)
        view.star_toggled.connect(self._on_star)
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
        """The turns take their share of the width."""
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
