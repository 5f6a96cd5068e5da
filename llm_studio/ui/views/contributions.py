"""The view Contributions: what each part of the model adds to the logit of a possible next token."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, number, percent
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.bar_grid import BarGrid, BarRow
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.head_grid import head_name
from llm_studio.ui.views.view import Content, TokenChoice, TokenNames, View
from llm_studio.ui.widgets.basics import Card, Segmented, label, row
from llm_studio.ui.widgets.token_view import Chip, TokenPane
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import Contributions, Guess, ShownToken

GUESSES = 8
_SIDE, _STRIP = 240, 92
_NAMES, _HEAD_NAMES = 92, 44
"""Width of the row names in pixels."""


@dataclass(frozen=True)
class ContributionsRequest:
    """The token whose logit is explained; None for the most likely one. With `lead`, the difference between its logit
    and the logit of `other` is explained instead; None for the most likely token besides it.
    """

    token: TokenChoice | None = None
    lead: bool = False
    other: TokenChoice | None = None


@dataclass(frozen=True, eq=False)
class ContributionsFound:
    """The contributions at a position of the text, whose tokens are `text`, and the most likely next tokens there."""

    text: "tuple[ShownToken, ...]"
    parts: "Contributions"
    guesses: "tuple[Guess, ...]"
    problem: str = ""
    """Why a token other than the chosen one is explained; "" if it isn't."""


class ContributionsView(View):
    """Shows `ContributionsFound`. The user chooses a position, a token and a part."""

    scope = "position"

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Contributions"), _(
            "What each part of the model adds to the logit of the token that it may write next: blue speaks for it, "
            "orange against it. Click a layer’s attention to see its heads."))  # fmt: skip
        self._request = ContributionsRequest()
        self._found: ContributionsFound | None = None
        self._names: TokenNames | None = None
        self._layers: list[int | None] = []
        """The layer of each row; None for a part outside the layers."""
        self._layer = -1
        """The layer whose heads are shown; -1 if none has been chosen yet."""
        strip = Card(self.ground)
        strip.content.setContentsMargins(12, 8, 12, 8)
        self.pane = TokenPane(strip, _("The text, token by token"), _STRIP)
        self.tokens = self.pane.view
        self.tokens.keeps_mark = True
        strip.content.addWidget(self.pane)
        self.content.addWidget(strip)
        self.place_beside(self._make_bars(), self._make_side(), _SIDE)
        self.tokens.chosen.connect(self._on_position)
        self.tokens.moved.connect(self._on_moved)
        self.guesses.chosen.connect(self._on_token)
        self.measure.chosen.connect(self._on_measure)
        self.grid.chosen.connect(self._on_part)

    def _make_bars(self) -> Card:
        bars = Card(self.ground, "–")
        self._bars = bars
        self.grid = BarGrid(bars, _("Contributions of the layers"), _NAMES)
        self.heads = BarGrid(bars, _("Contributions of the heads of a layer"), _HEAD_NAMES, marks=False)
        both = row(self.grid, self.heads, spacing=GAP)
        both.setStretch(0, 5)
        both.setStretch(1, 3)
        bars.content.addLayout(both, 1)
        self.sum = label("", bars, "caption", wrap=True)
        bars.content.addWidget(self.sum)
        return bars

    def _make_side(self) -> Card:
        side = Card(self.ground, _("Next token"))
        self.where = label("", side, "muted", wrap=True)
        self.problem = label("", side, "warn", wrap=True)
        self.problem.hide()
        self.guesses = GuessList(side, _("The most likely next tokens"), GUESSES)
        self.measure = Segmented(side, {"logit": _("Its logit"), "lead": _("Its lead")}, _("What the bars add up to"))
        self.measure.enable("lead", True, _("By how much its logit exceeds that of the most likely other token"))
        for part in (self.where, self.problem, self.guesses, self.measure):
            side.content.addWidget(part)
        side.content.addStretch(1)
        return side

    # --- Content ------------------------------------------------------------------------------------------------

    def request(self) -> ContributionsRequest:
        """The token to explain."""
        return self._request

    def show_content(self, content: Content) -> None:
        """Show `ContributionsFound`."""
        found: ContributionsFound = content.result
        self._found, self._names = found, content.names
        chips = [Chip(visible(token.label), "\n" in token.label, 0) for token in found.text]
        self.tokens.show_chips(chips)
        self.tokens.mark(found.parts.position)
        self.pane.show_marked()
        self.problem.setText(found.problem)
        self.problem.setVisible(bool(found.problem))
        here = visible(found.text[found.parts.position].label)
        self.where.setText(_("after “{token}”, token {n}").format(token=here, n=number(found.parts.position)))
        shown = [(one.id, one.label, one.probability) for one in found.guesses]
        self.guesses.show_guesses(shown, found.parts.token.id)
        self._show_parts(found.parts)

    def _show_parts(self, parts: "Contributions") -> None:
        token = visible(parts.token.label)
        other = visible(parts.versus.label) if parts.versus is not None else ""
        self._bars.heading.setText(_("For “{token}” rather than “{other}”").format(token=token, other=other) if other
                                   else _("For “{token}”").format(token=token))  # fmt: skip
        rows = _rows_of(parts)
        self._layers = [layer for layer, _row in rows]
        attention = parts.heads.sum(axis=1) + parts.attention_bias
        if not 0 <= self._layer < len(attention):
            self._layer = int(abs(attention).argmax())
            self.grid.row, self.grid.column = self._layers.index(self._layer), 0
        self.grid.show_rows((_("attention"), _("feed-forward")), [one for _layer, one in rows], *_limits(parts))
        self._show_heads()
        self.sum.setText(_sum_in_words(parts, token, other))

    def _show_heads(self) -> None:
        if self._found is None:
            return
        parts, layer = self._found.parts, self._layer
        rows = [BarRow(f"H{head + 1}", (float(value),), (head_name(layer, head),))
                for head, value in enumerate(parts.heads[layer])]  # fmt: skip
        if parts.attention_bias[layer]:
            rows.append(BarRow(_("bias"), (float(parts.attention_bias[layer]),), (_("bias"),)))
        self.heads.show_rows((_("heads of layer {n}").format(n=number(layer + 1)),), rows, *_limits(parts))

    def limits(self) -> tuple[float, float] | None:
        """The smallest and the largest value of all bars, 0 included; None without content."""
        return _limits(self._found.parts) if self._found is not None else None

    def show_limits(self, low: float, high: float) -> None:
        """Use this scale for all bars."""
        for bars in (self.grid, self.heads):
            bars.show_limits(low, high)

    def shown_position(self) -> int:
        """The position that is shown, whether the user has chosen it or not."""
        return self._found.parts.position if self._found is not None else self.position

    def look_at(self, position: int) -> None:
        """Select a position. A new one resets the chosen tokens, since the most likely next tokens change."""
        if position != self.position:
            self._request = replace(self._request, token=None, other=None)
        super().look_at(position)

    def follow(self, other: "ContributionsView") -> None:
        """Explain the same token and show the heads of the same layer."""
        self._request = other._request
        if other._found is not None:
            token, rival = other._found.parts.token, other._found.parts.versus
            against = TokenChoice(rival.id, rival.label) if rival is not None else None
            self._request = replace(self._request, token=TokenChoice(token.id, token.label), other=against)
        self.measure.choose(other.measure.current())
        self._layer = other._layer
        self.grid.row, self.grid.column = other.grid.row, other.grid.column
        if self._found is not None:
            self._show_parts(self._found.parts)

    def forget(self) -> None:
        """Reset the request: another project has been opened."""
        super().forget()
        self._request, self._found, self._layer = ContributionsRequest(), None, -1

    # --- User actions -------------------------------------------------------------------------------------------

    @Slot(int)
    def _on_position(self, position: int) -> None:
        self.look_at(position)
        self.chosen.emit()

    @Slot()
    def _on_moved(self) -> None:
        self._on_position(self.tokens.current())

    @Slot(int)
    def _on_token(self, token: int) -> None:
        if self._names is not None:
            self._request = replace(self._request, token=TokenChoice(token, self._names.label(token)), other=None)
            self.chosen.emit()

    @Slot(str)
    def _on_measure(self, measure: str) -> None:
        self._request = replace(self._request, lead=measure == "lead", other=None)
        self.chosen.emit()

    @Slot(int, int)
    def _on_part(self, place: int, _column: int) -> None:
        layer = self._layers[place]
        if layer is not None:
            self._layer = layer
            self._show_heads()
        self.chosen.emit()


def _rows_of(parts: "Contributions") -> list[tuple[int | None, BarRow]]:
    """(layer, row) for each layer, then for the parts outside the layers (layer None). Position and bias are omitted
    if they are 0, as in architectures without them.
    """
    rows: list[tuple[int | None, BarRow]] = []
    for layer, heads in enumerate(parts.heads):
        values = float(heads.sum() + parts.attention_bias[layer]), float(parts.feed_forward[layer])
        tips = (_("attention of layer {n}").format(n=layer + 1), _("feed-forward of layer {n}").format(n=layer + 1))
        rows.append((layer, BarRow(_("layer\u00a0{n}").format(n=number(layer + 1)), values, tips)))
    outside = ((_("embedding"), parts.embedding), (_("position"), parts.positions), (_("bias"), parts.norm_bias))
    rows += [
        (None, BarRow(name, (value, None), (name, ""))) for name, value in outside if value or name == outside[0][0]
    ]
    return rows


def _sum_in_words(parts: "Contributions", token: str, other: str) -> str:
    total = number(parts.logit, 2).replace("-", "−")
    if other:
        lead = _("The bars on the left add up to {sum}, the lead of “{token}”: it is {times} times as probable as "
                 "“{other}”.")  # fmt: skip
        return lead.format(sum=total, token=token, other=other, times=_times(parts.logit))
    logit = _("The bars on the left add up to {sum}, the logit of “{token}”, whose probability is {share}.")
    return logit.format(sum=total, token=token, share=percent(parts.token.probability, 1))


def _limits(parts: "Contributions") -> tuple[float, float]:
    """The smallest and the largest value of all bars, 0 included."""
    values = [value for _layer, one in _rows_of(parts) for value in one.values if value is not None]
    values += [float(parts.heads.min()), float(parts.heads.max())]
    return min(0.0, *values), max(0.0, *values)


def _times(lead: float) -> str:
    ratio = math.exp(max(-20.0, min(20.0, lead)))
    return number(ratio, 0 if ratio >= 100 else 1 if ratio >= 10 else 2)
