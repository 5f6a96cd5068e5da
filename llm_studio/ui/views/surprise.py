"""The view Surprise: a text with each token tinted by the model's surprise, and the predictions for a chosen token."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLineEdit, QScrollArea, QWidget

from llm_studio.i18n import _, bits_per_byte, number, percent
from llm_studio.ui import theme
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.view import Content, TokenNames, View, tint
from llm_studio.ui.widgets.basics import Card, label, row
from llm_studio.ui.widgets.token_view import TINTS, Chip, TokenView
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import Surprise

BOUNDS = (1.0, 3.0, 6.0, 10.0)
"""Surprise in bits at which each further tint begins."""
_GUESSES = 10
_SIDE = 290


def tint_of(bits: float) -> int:
    """The index in `TINTS` for a token with this surprise."""
    return sum(bits >= bound for bound in BOUNDS)


class BitsLegend(QWidget):
    """The legend of the tints."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(_("Bits per token, from weak to strong: {bounds}").format(
            bounds=", ".join(number(bound) for bound in BOUNDS)))  # fmt: skip
        self.setFixedSize(self.sizeHint())
        theme.notifier().changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough for five squares and their bounds."""
        return QSize(180, 30)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the squares in a row, and below them the bounds that separate them."""
        painter = QPainter(self)
        painter.setFont(theme.font(11))
        wide = self.width() / len(TINTS)
        for index in range(len(TINTS)):
            painter.setPen(theme.color("line"))
            painter.setBrush(tint(index))
            painter.drawRect(QRectF(index * wide + 0.5, 0.5, wide - 1, 11))
        painter.setPen(theme.color("muted"))
        for index, bound in enumerate(BOUNDS, start=1):
            text = number(bound) if index > 1 else _("{n} bit").format(n=number(bound))
            painter.drawText(QRectF(index * wide - 25, 13, 50, 16), Qt.AlignmentFlag.AlignCenter, text)


class SurpriseView(View):
    """Shows a `Surprise`. The user chooses a token and can replace it."""

    text_changed = Signal(str)
    """The whole text after the user has replaced a token."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Surprise"), _(
            "The stronger its colour, the more a token surprises the model. Click one to see what was expected in its "
            "place, and put another one there.")
        )  # fmt: skip
        self._found: Surprise | None = None
        self._names: TokenNames | None = None
        self._total, self._before = "", ""
        text = Card(self.ground)
        self.total = label("–", text, "figure")
        self.facts = label("", text, "caption", wrap=True)
        text.content.addLayout(row(self.total, None, BitsLegend(text)))
        text.content.addWidget(self.facts)
        self.tokens = TokenView(text, _("The text, token by token"))
        self.tokens.keeps_mark = True
        self.tokens.tip = self._tip
        self._area = QScrollArea(text)
        self._area.setWidgetResizable(True)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self.tokens)
        theme.set_role(self.tokens, "plain")
        text.content.addWidget(self._area, 1)
        self.place_beside(text, self._make_side(), _SIDE)
        self.tokens.pointed.connect(self._show_token)
        self.tokens.chosen.connect(self._on_chosen)
        self.tokens.moved.connect(self._follow)

    def _make_side(self) -> Card:
        side = Card(self.ground, _("Expected here"))
        self.token = label("", side, "value", wrap=True)
        self.about = label("", side, "caption", wrap=True)
        self.guesses = GuessList(side, _("What the model expected here"), _GUESSES)
        self.other = QLineEdit(side)
        self.other.setAccessibleName(_("Another text in the place of this token"))
        self.other.setPlaceholderText(_("Write another one, Enter"))
        for part in (self.token, self.about, self.guesses, self.other):
            side.content.addWidget(part)
        side.content.addStretch(1)
        self.guesses.chosen.connect(self._on_guess)
        self.other.returnPressed.connect(self._on_other)
        return side

    def show_content(self, content: Content) -> None:
        """Show a `Surprise` with the token at `position` chosen, by default the most surprising one."""
        found: Surprise = content.result
        changed = self._found is not None and [t.id for t in self._found.tokens] != [t.id for t in found.tokens]
        self._before = self._total if changed else self._before
        self._found, self._names = found, content.names
        self._total = bits_per_byte(found.bits_per_byte)
        self.total.setText(self._total)
        facts = _("{tokens} tokens, {bytes} bytes, {bits} bits in all").format(
            tokens=number(len(found.tokens) - 1), bytes=number(found.bytes), bits=number(found.total_bits, 1)
        )
        if self._before and self._before != self._total:
            facts = _("{facts}; the text before: {before}").format(facts=facts, before=self._before)
        self.facts.setText(facts)
        self.tokens.show_chips([
            Chip(visible(token.label), "\n" in token.label, tint_of(float(bits)))
            for token, bits in zip(found.tokens[1:], found.bits[1:], strict=True)
        ])  # fmt: skip
        self.look_at(self.position)

    def shown_position(self) -> int:
        """The position that is shown, whether the user has chosen it or not."""
        return self.tokens.marked() + 1

    def look_at(self, position: int) -> None:
        """Mark the token at a position; if it is negative, the most surprising one."""
        super().look_at(position)
        if self._found is None:
            return
        last = len(self._found.tokens) - 1
        if position < 0 and last:
            position = int(self._found.bits[1:].argmax()) + 1
        self.tokens.mark(min(max(1, position), last) - 1)
        self._show_token(self.tokens.current())

    @Slot(int)
    def _show_token(self, index: int) -> None:
        """Show what the model predicted in place of a token. `index`: without the start-of-document token."""
        found, names = self._found, self._names
        if found is None or names is None or not 0 <= index < len(found.tokens) - 1:
            self.token.setText(_("No token is chosen."))
            self.about.setText("")
            self.guesses.show_guesses(())
            self.other.setEnabled(False)
            return
        position = index + 1
        token, bits = found.tokens[position], float(found.bits[position])
        self.token.setText(_("“{token}”: {bits} bits").format(token=visible(token.label), bits=number(bits, 1)))
        self.about.setText(
            _("Probability {share}, rank {rank}; the uncertainty here was {entropy} bits.").format(
                share=percent(2.0**-bits, 1), rank=number(int(found.ranks[position])),
                entropy=number(float(found.entropy[position - 1]), 1))
        )  # fmt: skip
        ids, chances = found.next_tokens[index].tolist(), found.next_probabilities[index].tolist()
        self.guesses.show_guesses([(one, names.label(one), p) for one, p in zip(ids, chances, strict=True)], token.id)
        for bar in self.guesses.bars:
            bar.setEnabled(bar.token >= 0 and names.text(bar.token) is not None)
        self.other.setEnabled(True)

    def _tip(self, index: int) -> str:
        """The tooltip of a token."""
        if self._found is None:
            return ""
        return _("{bits} bits").format(bits=number(float(self._found.bits[index + 1]), 1))

    @Slot(int)
    def _on_chosen(self, index: int) -> None:
        self._show_token(index)
        self._choose(index + 1)

    @Slot(QRectF)
    def _follow(self, area: QRectF) -> None:
        self._area.ensureVisible(round(area.center().x()), round(area.center().y()), 10, 24)
        self._choose(self.tokens.current() + 1)

    def _choose(self, position: int) -> None:
        self.position = position
        self.chosen.emit()

    @Slot(int)
    def _on_guess(self, token: int) -> None:
        text = self._names.text(token) if self._names is not None else None
        if text is not None:
            self._replace(text)

    @Slot()
    def _on_other(self) -> None:
        """Replace the token by the entered text, with a space before it if the token begins with one."""
        text, index = self.other.text(), self.tokens.current()
        if text and self._found is not None and index >= 0:
            spaced = self._found.tokens[index + 1].label.startswith(" ") and not text.startswith(" ")
            self._replace(f" {text}" if spaced else text)
            self.other.clear()

    def _replace(self, text: str) -> None:
        index = self.tokens.current()
        if self._found is None or index < 0:
            return
        texts = [token.text for token in self._found.tokens]
        texts[index + 1] = text
        self.text_changed.emit("".join(texts))
