"""The card with the drawn model."""

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QWidget

from llm_studio.i18n import _, short_number
from llm_studio.ui.tabs.model.blocks import INNER, NAMES, BlockFacts, parameters_of
from llm_studio.ui.widgets.architecture import Architecture
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.column import Column


class ArchitectureCard(Card):
    """The drawn model, and below it a description of the selected block."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Architecture"))
        self._facts: dict[str, BlockFacts] = {}
        self._layers = 1
        self._column = Column(self, 8)
        inside, column = self._column.inside, self._column.content
        self.content.setContentsMargins(16, 14, 16, 10)
        self.content.addWidget(self._column)
        self.drawing = Architecture(inside, NAMES, INNER, ("logits", "embedding"))
        self.drawing.chosen.connect(self._choose)
        self._scroll = QTimer(self, interval=0, singleShot=True)  # after the new texts are laid out
        self._scroll.timeout.connect(self._scroll_down)
        column.addWidget(self.drawing)
        column.addStretch(1)
        self.name = label("", inside, "heading", wrap=True)
        self.what = label(_("Click a block to see what it does, its formula and its parameters."), inside, "muted",
                          wrap=True)  # fmt: skip
        self.formula = label("", inside, "code", wrap=True, selectable=True)
        self.count = label("", inside, "caption", wrap=True)
        self.more = button(_("Read more"), inside, role="small", tip=_("Read more in Understand"))
        self.more.setAccessibleName(_("Read more in Understand"))
        for part in (self.name, self.what, self.formula, self.count):
            column.addWidget(part)
        column.addLayout(row(self.more, None))
        for part in (self.name, self.formula, self.count, self.more):
            part.hide()

    def show_model(self, facts: dict[str, BlockFacts], layers: int) -> None:
        """Draw this model."""
        self._facts, self._layers = facts, layers
        self.drawing.show_blocks({name: (block.title, block.detail) for name, block in facts.items()}, layers)
        self._show_chosen(self.drawing.current())

    @Slot(str)
    def _choose(self, name: str) -> None:
        self._show_chosen(name)
        self._scroll.start()

    @Slot()
    def _scroll_down(self) -> None:
        """Scroll the description of the block into view."""
        self._column.ensureWidgetVisible(self.more, 0, 4)

    def _show_chosen(self, name: str) -> None:
        block = self._facts.get(name)
        if block is None:
            return
        self.name.setText(block.title)
        self.what.setText(block.what)
        self.formula.setText(block.formula)
        count = parameters_of(block.count)
        if name in INNER:
            count = _("{each} in each layer, {all} in all").format(
                each=count, all=short_number(block.count * self._layers)
            )
        self.count.setText(count)
        for part in (self.name, self.formula, self.count, self.more):
            part.show()
