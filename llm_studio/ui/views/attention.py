"""The view Attention: all heads as small maps, one of them enlarged, and the arcs of one token."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.arcs import ArcPane
from llm_studio.ui.views.head_grid import HeadGrid, head_name, kind_of
from llm_studio.ui.views.heat_map import HeatMap
from llm_studio.ui.views.view import View
from llm_studio.ui.widgets.basics import Card, label, row
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.ui.views.levels import AttentionLevels


class AttentionView(View):
    """Shows `AttentionLevels`; a head and a token can be chosen."""

    position_chosen = Signal(int)
    """The position in the text of the token that is looked at."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Attention"), _(
            "Each map is a head: the stronger a square, the more the token of its row takes from the token of its "
            "column. Click a head, then a token.")
        )  # fmt: skip
        self._found: AttentionLevels | None = None
        self._row = 0
        self._whole = True
        heads = Card(self.ground, _("Heads, with what they measurably do"))
        heads.heading.setToolTip(
            _("Measured on random tokens that are repeated once: the mean attention weight that a head gives to the "
              "token just before, the first one, itself, the same token earlier, or the one after that (induction). "
              "A head is named by its largest score if that is at least 0.4.")
        )  # fmt: skip
        self.grid = HeadGrid(heads)
        heads.content.addWidget(self.grid, 1)
        single = Card(self.ground, "–")
        self._single = single
        self.map = HeatMap(single)
        single.content.addWidget(self.map, 1)
        line = Card(self.ground)
        line.content.setContentsMargins(12, 8, 12, 8)
        self.about = label("", line, "caption", wrap=True)
        self.arcs = ArcPane(line)
        line.content.addWidget(self.about)
        line.content.addWidget(self.arcs)
        above = row(heads, single, spacing=GAP)
        above.setStretch(0, 3)
        above.setStretch(1, 2)
        self.content.addLayout(above, 1)
        self.content.addWidget(line)
        self.grid.chosen.connect(self._show_head)
        self.map.row_chosen.connect(self._on_row)
        self.arcs.line.chosen.connect(self._on_row)

    def show_levels(self, found: "AttentionLevels", position: int, tokens: int) -> None:
        """Show the heads of a window of a text of so many tokens, and a token of it; -1 for the last one."""
        first = self._found is None
        self._found = found
        window = found.maps.window
        self._whole = window.length == tokens
        inside = 0 <= position - window.start < window.length
        self._row = position - window.start if inside else window.length - 1
        self.grid.show_levels(found)
        if first:
            self._choose_strongest()
        self._show_head(self.grid.row, self.grid.column)

    def _choose_strongest(self) -> None:
        """Begin with the head of the largest score: there is something to see."""
        assert self._found is not None
        scores = self._found.kinds.scores
        best = int(scores.max(axis=-1).argmax())
        self.grid.row, self.grid.column = divmod(best, scores.shape[1])

    @Slot(int, int)
    def _show_head(self, layer: int, head: int) -> None:
        found = self._found
        if found is None:
            return
        kind = kind_of(found.kinds, layer, head)
        name = head_name(layer, head)
        self._single.heading.setText(_("{head}: {kind}").format(head=name, kind=kind) if kind else name)
        words = tuple(visible(token.label) for token in found.maps.tokens)
        self.map.show_head(found.levels[layer, head], found.maps.weights[layer, head], words)
        self._show_row()

    def _show_row(self) -> None:
        found = self._found
        if found is None:
            return
        weights = found.maps.weights[self.grid.row, self.grid.column, self._row, : self._row + 1].tolist()
        words = tuple(visible(token.label) for token in found.maps.tokens)
        self.map.show_row(self._row)
        self.arcs.line.show_weights(words, self._row, weights)
        self.arcs.show_current()
        window = found.maps.window
        about = _("What {head} takes for “{token}”, token {n}:").format(
            head=head_name(self.grid.row, self.grid.column), token=words[self._row],
            n=number(window.start + self._row))  # fmt: skip
        if not self._whole:
            span = _("The model reads the tokens {first} to {last} here.").format(
                first=number(window.start), last=number(window.start + window.length - 1))  # fmt: skip
            about = f"{about} {span}"
        self.about.setText(about)

    @Slot(int)
    def _on_row(self, place: int) -> None:
        if self._found is not None:
            self._row = place
            self._show_row()
            self.position_chosen.emit(self._found.maps.window.start + place)
