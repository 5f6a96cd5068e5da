"""The view Logit lens: what the model would predict if it had to decide after each of its layers."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.lens_grid import GUESSES, LensPane, layer_name
from llm_studio.ui.views.view import TokenNames, View
from llm_studio.ui.widgets.basics import Card, label, row
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import LogitLens

_SIDE = 270


class LensView(View):
    """Shows a `LogitLens`; a cell can be chosen."""

    position_chosen = Signal(int)
    """The position in the text of the token that is looked at."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Logit lens"), _(
            "What the model would predict if it had to decide after each layer. Stronger colour: more probable; bold: "
            "the token that really follows. Below the orange line, the final answer leads.")
        )  # fmt: skip
        self._found: LogitLens | None = None
        self._layer: int | None = None
        """The layer that the user has chosen; None: the last one."""
        card = Card(self.ground)
        card.content.setContentsMargins(12, 10, 12, 10)
        self.span = label("", card, "caption", wrap=True)
        self.pane = LensPane(card)
        card.content.addWidget(self.span)
        card.content.addWidget(self.pane, 1)
        self.content.addLayout(row(card, self._make_side(), spacing=GAP), 1)
        self.pane.grid.chosen.connect(self._on_chosen)

    def _make_side(self) -> Card:
        side = Card(self.ground, "–")
        side.setFixedWidth(_SIDE)
        self._side = side
        self.where = label("", side, "muted", wrap=True)
        self.guesses = GuessList(side, _("The most likely tokens here"), GUESSES, choosable=False)
        self.facts = label("", side, "caption", wrap=True)
        for part in (self.where, self.guesses, self.facts):
            side.content.addWidget(part)
        side.content.addStretch(1)
        return side

    def show_lens(self, found: "LogitLens", names: TokenNames, position: int, tokens: int) -> None:
        """Show a window of a text of so many tokens; the predictions after a position are chosen, -1 for the last."""
        self._found = found
        window = found.window
        inside = 0 <= position - window.start < window.length
        column = position - window.start if inside else window.length - 1
        last = len(found.guesses) - 1
        self.pane.grid.show_lens(found, names, last if self._layer is None else min(self._layer, last), column)
        self.pane.fit()
        self.span.setVisible(window.length < tokens)
        self.span.setText(_("The model reads the tokens {first} to {last} here.").format(
            first=number(window.start), last=number(window.start + window.length - 1)))  # fmt: skip
        self._show_chosen()

    def _show_chosen(self) -> None:
        found, grid = self._found, self.pane.grid
        if found is None:
            return
        self.pane.show_chosen()
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
            self.position_chosen.emit(self._found.window.start + column)
