"""One turn of a conversation: the user's text on the right, the model's on the left."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QBoxLayout, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from llm_studio.i18n import N_, _, ngettext, number
from llm_studio.ui.icons import put_icon
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.widgets.basics import as_plain_text, button, icon_button, label, row
from llm_studio.ui.widgets.tinted_text import TintedText, bits
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.version_tree import surprise

if TYPE_CHECKING:
    from llm_studio.workflows.generation.chats import Token, Turn

_MAX_WIDTH_FRACTION = 0.84
"""Maximum width of one side's texts, as a fraction of the pane's width."""

_BUBBLE = 36
"""Pixels of a bubble around its text, horizontally."""

_NARROW = 560
"""Width in pixels below which figures and buttons need two lines."""


_NOTES = {
    chats.PROMPT_CUT: N_("What you wrote is longer than the context of the model: it read only the end."),
    chats.ENDED: N_("The model ended the text at once. Write another beginning, or try again with another seed."),
    chats.FINISHED: N_("The model ended the text here."),
    chats.STOPPED: N_("A stop string ended the text here."),
    chats.REPEATED: N_("The model repeats itself: raise the temperature or the repetition penalty."),
    chats.LIMIT: N_("The maximum length was reached before the text ended: “Continue” writes more."),
}
_ENDS = {chats.ENDED, chats.FINISHED, chats.STOPPED}
"""Notes of texts that have an end."""


class TurnView(QWidget):
    """A prompt and its answer, with their actions."""

    regenerate_requested = Signal()
    continue_requested = Signal()
    edit_requested = Signal(object)
    """This view, also for the signals below."""
    branch_requested = Signal(object)
    star_toggled = Signal(object)
    place_chosen = Signal(object, int)
    """This view, and the index of a token for which alternatives are requested."""

    def __init__(self, parent: QWidget, turn: "Turn", tinted: bool) -> None:
        super().__init__(parent)
        self.turn = turn
        self._writing = False
        self._last = False
        self._prompt_tokens: Sequence[Token] = ()
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
        self.text.token_chosen.connect(self._on_token)
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
        self._tinted_bubble = QFrame(self)
        set_role(self._tinted_bubble, "bubble")
        self._tinted_bubble.hide()
        self.prompt = TintedText(self._tinted_bubble, _("What you wrote"))
        self.prompt.set_tinted(True)
        inside = QVBoxLayout(self._tinted_bubble)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.prompt)
        self._prompt_figures = label("", self, "caption")
        self._prompt_figures.hide()
        self._inside.addLayout(row(None, self._edit, bubble, self._tinted_bubble, spacing=4))
        self._inside.addLayout(row(None, self._prompt_figures))
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

    # --- Showing ----------------------------------------------------------------------------------------------

    def show_turn(self, turn: "Turn") -> None:
        """Show a whole turn."""
        self.turn = turn
        self.text.show_text(turn.text, turn.tokens)
        count = ngettext("{n} token", "{n} tokens", turn.count).format(n=number(turn.count))
        speed = _("{rate} tok/s").format(rate=number(turn.count / turn.seconds if turn.seconds else 0))
        seed = _("seed {seed}").format(seed=turn.seed)
        self._figures.setText(f"{count} · {speed} · {seed}  " if turn.seconds else f"{count}  ")
        self._more.setText(_("Continue past the end") if _ENDS.intersection(turn.notes) else _("Continue"))
        self._notes.setText("\n".join(_(_NOTES[note]) for note in turn.notes if note in _NOTES))
        self._figures.setToolTip(as_plain_text(_("Written by {model}").format(model=turn.model)) if turn.model else "")
        put_icon(self._star, "star-fill" if turn.favourite else "star", "accent" if turn.favourite else "muted")
        self._star.setChecked(turn.favourite)
        self._show_actions()

    def show_prompt(self, tokens: Sequence["Token"]) -> None:
        """Show the user's text by its tokens, with the model's surprise at each; without tokens, as plain text."""
        if self._bubble is None or tokens == self._prompt_tokens:
            return
        self._prompt_tokens = tokens
        self._bubble.setVisible(not tokens)
        self._tinted_bubble.setVisible(bool(tokens))
        self._prompt_figures.setVisible(bool(tokens))
        if tokens:
            self.prompt.show_text(self.turn.prompt.strip(), tokens)
            found = surprise(tokens)
            count = ngettext("{n} token", "{n} tokens", found.tokens).format(n=number(found.tokens))
            each = _("{n} bits per token").format(n=number(found.per_token, 1))
            self._prompt_figures.setText(_("Surprise of your text: {bits} · {tokens} · {each}").format(
                bits=bits(found.bits), tokens=count, each=each))  # fmt: skip

    def begin_writing(self) -> None:
        """Text is being written."""
        self._writing = True
        self.text.show_writing(True)
        self._show_actions()

    def append(self, tokens: Sequence["Token"]) -> None:
        """Append new text."""
        self.text.append_tokens(tokens)

    def end_writing(self) -> None:
        """The text is complete."""
        self._writing = False
        self.text.show_writing(False)
        self._show_actions()

    def set_last(self, last: bool) -> None:
        """Whether it is the last turn: only that one can be written again."""
        self._last = last
        self._show_actions()

    def set_busy(self, busy: bool) -> None:
        """Whether the model is unavailable now."""
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
        """Adjust to the width of the pane."""
        room = max(200, round(width * _MAX_WIDTH_FRACTION))
        self._card.setFixedWidth(room)
        narrow = room < _NARROW
        self._foot.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        if self._bubble is not None:
            self._bubble.ensurePolished()
            words = self._bubble.fontMetrics().size(0, self._bubble.text()).width() + _BUBBLE
            self._bubble.setFixedWidth(min(room, max(48, words)))
            self._bubble.setFixedHeight(self._bubble.heightForWidth(self._bubble.width()))
            self._tinted_bubble.setFixedWidth(min(room, self._bubble.width() + 8))

    # --- What the user does -----------------------------------------------------------------------------------

    def _on_edit(self) -> None:
        self.edit_requested.emit(self)

    @Slot(int)
    def _on_token(self, number: int) -> None:
        self.place_chosen.emit(self, number)

    @Slot()
    def _on_branch(self) -> None:
        self.branch_requested.emit(self)

    def _on_star(self) -> None:
        self.star_toggled.emit(self)

    @Slot()
    def _on_copy(self) -> None:
        between = "\n\n" if self.turn.question else ""
        QGuiApplication.clipboard().setText((self.turn.prompt + between + self.turn.text).strip())
