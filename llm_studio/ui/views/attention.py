"""The view Attention: all heads as thumbnails, the chosen one enlarged, and the arcs of a token."""

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.arcs import ArcPane
from llm_studio.ui.views.head_grid import HeadGrid, head_name, kind_of
from llm_studio.ui.views.heat_map import HeatMap
from llm_studio.ui.views.view import Content, View
from llm_studio.ui.widgets.basics import Card, label, row
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.ui.views.levels import AttentionLevels
    from llm_studio.workflows.inside.results import HeadKinds


class AttentionView(View):
    """Shows `AttentionLevels`. The user chooses a head and a token."""

    scope = "window"

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Attention"), _(
            "Each map is a head: the stronger a square, the more the token of its row takes from the token of its "
            "column. Click a head, then a token.")
        )  # fmt: skip
        self._found: AttentionLevels | None = None
        self._row = 0
        self._whole = True
        self._is_head_chosen = False
        self._heads = heads = Card(self.ground, _("Heads, with what they measurably do"))
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
        self._above = row(heads, single, spacing=GAP)
        self._above.setStretch(0, 3)
        self._above.setStretch(1, 2)
        self.content.addLayout(self._above, 1)
        self.content.addWidget(line)
        self.grid.chosen.connect(self._on_head)
        self.map.row_chosen.connect(self._on_row)
        self.arcs.line.chosen.connect(self._on_row)

    def further(self) -> str:
        """The query for the behaviour of the heads if it isn't known: it takes longer than their maps."""
        return "heads" if self._kinds is None else ""

    @property
    def _kinds(self) -> "HeadKinds | None":
        return self._found.kinds if self._found is not None else None

    def show_content(self, content: Content) -> None:
        """Show `AttentionLevels` with the token at `position` chosen, by default the last one."""
        found: AttentionLevels = content.result
        self._found, self.window_shown = found, found.maps.window
        self._whole = found.maps.window.length == len(content.starts)
        self.grid.show_levels(found)
        self._name_heads()
        self._choose_strongest()
        self._find_row()
        self._show_head(self.grid.row, self.grid.column)

    def show_further(self, content: Content) -> None:
        """Show the behaviour of the heads, `HeadKinds`."""
        if self._found is not None:
            self._found = replace(self._found, kinds=content.result)
            self.grid.show_kinds(content.result)
            self._name_heads()
            self._choose_strongest()
            self._show_head(self.grid.row, self.grid.column)

    def shown_position(self) -> int:
        """The position that is shown, whether the user has chosen it or not."""
        return self._found.maps.window.start + self._row if self._found is not None else self.position

    def set_narrow(self, narrow: bool) -> None:
        """Put the enlarged head below the thumbnails if `narrow`, otherwise beside them."""
        self._above.setDirection(QHBoxLayout.Direction.TopToBottom if narrow else QHBoxLayout.Direction.LeftToRight)
        self.forget_sizes()

    def look_at(self, position: int) -> None:
        """Choose the token at a position."""
        super().look_at(position)
        if self._found is not None:
            self._find_row()
            self._show_row()

    def follow(self, other: "AttentionView") -> None:
        """Show the same head."""
        self._is_head_chosen = True
        self.grid.row, self.grid.column = other.grid.row, other.grid.column
        if self._found is not None:
            self.grid.show_levels(self._found)
            self._show_head(self.grid.row, self.grid.column)

    def _find_row(self) -> None:
        assert self._found is not None
        window = self._found.maps.window
        inside = 0 <= self.position - window.start < window.length
        self._row = self.position - window.start if inside else window.length - 1

    def _name_heads(self) -> None:
        """Set the heading, which states explicitly if no head has a known role."""
        if self._kinds is not None:
            known = any(kind for layer in self._kinds.names for kind in layer)
            self._heads.heading.setText(
                _("Heads, with what they measurably do") if known else _("Heads: none has a known role yet")
            )

    def _choose_strongest(self) -> None:
        """Choose the head with the largest score if the user hasn't chosen one: the most interesting one."""
        if self._kinds is None or self._is_head_chosen:
            return
        self._is_head_chosen = True
        scores = self._kinds.scores
        best = int(scores.max(axis=-1).argmax())
        self.grid.row, self.grid.column = divmod(best, scores.shape[1])

    @Slot(int, int)
    def _on_head(self, layer: int, head: int) -> None:
        self._is_head_chosen = True
        self._show_head(layer, head)
        self.chosen.emit()

    def _show_head(self, layer: int, head: int) -> None:
        found = self._found
        if found is None:
            return
        kind = kind_of(found.kinds, layer, head) if found.kinds is not None else ""
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
            self.position = self._found.maps.window.start + place
            self._show_row()
            self.chosen.emit()
