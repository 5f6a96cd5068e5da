"""The view Logit lens: the predictions of the model if they were read out after each of its layers."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.lens_grid import GUESSES, LensPane, layer_name
from llm_studio.ui.views.view import Content, View
from llm_studio.ui.widgets.basics import Card, label
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import LogitLens

_SIDE = 270


class LensView(View):
    """Shows a `LogitLens`. The user chooses a cell."""

    scope = "window"

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Logit lens"), _(
            "What the model would predict if it had to decide after each layer. Stronger colour: more probable; bold: "
            "the token that really follows. Below the orange line, the final answer leads.")
        )  # fmt: skip
        self._found: LogitLens | None = None
        self._layer: int | None = None
        """The layer that the user has chosen; None for the last one."""
        card = Card(self.ground)
        card.content.setContentsMargins(12, 10, 12, 10)
        self.span = label("", card, "caption", wrap=True)
        self.pane = LensPane(card)
        card.content.addWidget(self.span)
        card.content.addWidget(self.pane, 1)
        self.place_beside(card, self._make_side(), _SIDE)
        self.pane.grid.chosen.connect(self._on_chosen)

    def _make_side(self) -> Card:
        side = Card(self.ground, "–")
        self._side = side
        self.where = label("", side, "muted", wrap=True)
        self.guesses = GuessList(side, _("The most likely tokens here"), GUESSES, choosable=False)
        self.facts = label("", side, "caption", wrap=True)
        for part in (self.where, self.guesses, self.facts):
            side.content.addWidget(part)
        side.content.addStretch(1)
        return side

    def show_content(self, content: Content) -> None:
        """Show a `LogitLens` with the predictions after `position` chosen, by default after the last token."""
        found: LogitLens = content.result
        self._found, self.window_shown = found, found.window
        window, last = found.window, len(found.guesses) - 1
        layer = last if self._layer is None else min(self._layer, last)
        self.pane.grid.show_lens(found, content.names, layer, self._column())
        self.pane.fit()
        self.span.setVisible(window.length < len(content.starts))
        self.span.setText(_("The model reads the tokens {first} to {last} here.").format(
            first=number(window.start), last=number(window.start + window.length - 1)))  # fmt: skip
        self._show_chosen()

    def shown_position(self) -> int:
        """The position that is shown, whether the user has chosen it or not."""
        return self._found.window.start + self.pane.grid.column if self._found is not None else self.position

    def look_at(self, position: int) -> None:
        """Choose the predictions after a position."""
        super().look_at(position)
        if self._found is not None:
            self.pane.grid.column = self._column()
            self._show_chosen()

    def follow(self, other: "LensView") -> None:
        """Choose the same layer."""
        self._layer = other._layer
        if self._found is not None and self._layer is not None:
            self.pane.grid.row = min(self._layer, len(self._found.guesses) - 1)
            self._show_chosen()

    def _column(self) -> int:
        assert self._found is not None
        window = self._found.window
        inside = 0 <= self.position - window.start < window.length
        return self.position - window.start if inside else window.length - 1

    def _show_chosen(self) -> None:
        found, grid = self._found, self.pane.grid
        if found is None:
            return
        self.pane.show_chosen()
        grid.update()
        layer, column = grid.row, grid.column
        name = layer_name(layer)
        self._side.heading.setText(name[:1].upper() + name[1:])
        self.where.setText(_("after “{token}”").format(token=visible(found.tokens[column].label)))
        follows = found.tokens[column + 1].id if column + 1 < len(found.tokens) else -1
        self.guesses.show_guesses(grid.guesses(layer, column), follows)
        words = [_("Uncertainty: {bits} bits.").format(bits=number(float(found.entropy[layer, column]), 1))]
        if follows >= 0:
            follower, rank = visible(found.tokens[column + 1].label), number(int(found.ranks[layer, column]))
            words.append(_("“{token}” follows: rank {rank} here.").format(token=follower, rank=rank))
        decided = layer_name(int(found.decided[column]))
        words.append(_("The final answer leads from here on: {layer}.").format(layer=decided))
        self.facts.setText("\n".join(words))

    @Slot(int, int)
    def _on_chosen(self, layer: int, column: int) -> None:
        if self._found is not None:
            self._layer = layer
            self._show_chosen()
            self.position = self._found.window.start + column
            self.chosen.emit()
