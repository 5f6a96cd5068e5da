"""The view Switch parts off: the effect of ablating heads, attention layers or feed-forward networks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QGridLayout, QPlainTextEdit, QScrollArea, QWidget

from llm_studio.i18n import _, bits_per_byte, number
from llm_studio.ui.theme import GAP, set_role
from llm_studio.ui.views.parts_grid import PartsGrid, part_name
from llm_studio.ui.views.view import Content, View
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.inside.results import ModelPart

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import AblationEffect, PartImportance

_LEAST = 300
"""Minimum width in pixels of the grid of parts; a wider grid scrolls."""


class PartsView(View):
    """Shows an `AblationEffect`. The user switches parts off and on."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Switch parts off"), _(
            "A part that is off adds nothing. Click some, and see how much worse the model predicts validation text, "
            "and what it writes after your text without them."))  # fmt: skip
        self._off: frozenset[ModelPart] = frozenset()
        self._measuring = False
        """Whether the importance of each part was requested and isn't known yet."""
        self._measured = ""
        """Name of the model whose parts were measured; "" for none."""
        parts = Card(self.ground, _("Parts of the model"))
        self.grid = PartsGrid(parts)
        self.all_on = button(_("Switch all on"), parts, self._switch_all_on, "small")
        self.measure = button(_("Measure each part"), parts, self._measure, "small", _(
            "Switch each part off alone, and write on it what is lost, in bits per byte"))  # fmt: skip
        self.worth = label("", parts, "caption", wrap=True)
        self._area = area = QScrollArea(parts)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self.grid)
        area.setMinimumWidth(_LEAST)
        set_role(self.grid, "plain")
        parts.content.addWidget(area, 100)
        parts.content.addWidget(self.worth)
        parts.content.addLayout(row(self.all_on, self.measure, None))
        parts.content.addStretch(1)
        effect = self._make_effect()
        self.place_beside(parts, effect, 0)
        self.grid.toggled.connect(self._on_toggled)
        self._show_off()

    def _make_effect(self) -> Card:
        effect = Card(self.ground, _("Without them"))
        inside = QGridLayout()
        inside.setHorizontalSpacing(GAP * 2)
        inside.setVerticalSpacing(4)
        self.intact, self.reduced = label("–", effect, "moment"), label("–", effect, "moment")
        self.intact_text, self.text = QPlainTextEdit(effect), QPlainTextEdit(effect)
        for column, (name, figure, text) in enumerate((
            (_("Whole model"), self.intact, self.intact_text), (_("Without these parts"), self.reduced, self.text),
        )):  # fmt: skip
            inside.addWidget(label(name, effect, "caption"), 0, column)
            inside.addWidget(figure, 1, column)
            inside.addWidget(text, 3, column)
            text.setReadOnly(True)
            text.setTabChangesFocus(True)
            text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            text.setAccessibleName(name)
            text.document().setDocumentMargin(0)
            text.setProperty("role", "plain")
            inside.setColumnStretch(column, 1)
        self.change = label("", effect, "caption", wrap=True)
        inside.addWidget(self.change, 2, 0, 1, 2)
        inside.setRowStretch(3, 1)
        effect.content.addLayout(inside, 1)
        return effect

    def request(self) -> tuple[ModelPart, ...]:
        """The parts that are switched off, sorted."""
        return tuple(sorted(self._off))

    def further(self) -> str:
        """The query "worth" for the importance of each part, if it was requested."""
        return "worth" if self._measuring else ""

    def show_content(self, content: Content) -> None:
        """Show an `AblationEffect`: the losses and the continuations with and without the parts."""
        found: AblationEffect = content.result
        if content.facts.name != self._measured:
            self._forget_worth()
        self._show_model(content)
        self.intact.setText(bits_per_byte(found.intact_bits_per_byte))
        self.reduced.setText(bits_per_byte(found.bits_per_byte))
        for part, text in ((self.intact_text, found.intact_text), (self.text, found.text)):
            self._show_text(part, text)
        off = ", ".join(part_name(part) for part in self.request()) or _("no part")
        self.change.setText(_("Off: {parts}. Measured on {n} tokens of the validation texts.").format(
            parts=off, n=number(found.tokens)))  # fmt: skip

    def _show_model(self, content: Content) -> None:
        self.grid.show_model(content.facts)
        self._area.setMaximumHeight(self.grid.height() + self._area.horizontalScrollBar().sizeHint().height())

    def show_further(self, content: Content) -> None:
        """Show the importance of each part, a list of `PartImportance`."""
        found: Sequence[PartImportance] = content.result
        self._measuring, self._measured = False, content.facts.name
        self._show_model(content)
        self.grid.show_worth({one.part: one.change for one in found})
        self.worth.setText(_("On each part: the bits per byte that are lost when it alone is off."))

    def follow(self, other: "PartsView") -> None:
        """Switch the same parts off, and request their importance if `other` does."""
        self._measuring = other._measuring
        self._off = other._off
        self._show_off()

    def give_up(self) -> None:
        """Stop waiting: there will be no answer."""
        super().give_up()
        self._measuring = False

    def forget(self) -> None:
        """Switch every part on: another project has been opened."""
        super().forget()
        self._off, self._measuring = frozenset(), False
        self._forget_worth()
        self._show_off()

    def _forget_worth(self) -> None:
        """Remove the measurements: they are of another model."""
        self._measured = ""
        self.grid.show_worth({})
        self.worth.setText("")

    @Slot()
    def _measure(self) -> None:
        self._measuring = True
        self.chosen.emit()

    @staticmethod
    def _show_text(shown: QPlainTextEdit, text: str) -> None:
        shown.setPlainText("… " + " ".join(text.split()) if text.strip() else _("(nothing)"))

    @Slot()
    def _switch_all_on(self) -> None:
        self._switch(frozenset())

    @Slot(object)
    def _on_toggled(self, part: ModelPart) -> None:
        self._switch(self._off ^ {part})

    def _switch(self, off: frozenset[ModelPart]) -> None:
        self._off, self._measuring = off, False
        self._show_off()
        self.chosen.emit()

    def _show_off(self) -> None:
        self.grid.show_off(self._off)
        self.all_on.setEnabled(bool(self._off))
