"""The parts of a model as a grid of switches: a row per layer, with its heads, attention and feed-forward network."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import _
from llm_studio.ui import theme
from llm_studio.ui.views.bar_grid import signed
from llm_studio.ui.views.cell_grid import CellGrid
from llm_studio.workflows.inside.results import ModelPart

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import ModelFacts

_LEFT, _TOP, _WIDE, _HIGH, _LONG, _GAP = 30, 20, 46, 30, 96, 4
_STRONGEST = 0.5


def part_name(part: ModelPart) -> str:
    """The name of a part in the user's language."""
    if part.kind == "head":
        return f"L{part.layer + 1}H{part.head + 1}"
    if part.kind == "attention":
        return _("attention of layer {n}").format(n=part.layer + 1)
    return _("feed-forward of layer {n}").format(n=part.layer + 1)


class PartsGrid(CellGrid):
    """A click, Space or Return toggles a part; arrow keys move between parts."""

    toggled = Signal(object)
    """The user wants to switch this `ModelPart` off or on."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Parts of the model"))
        self._rows: list[list[ModelPart]] = []
        self._off: frozenset[ModelPart] = frozenset()
        self._worth: Mapping[str, float] = {}
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_model(self, facts: "ModelFacts") -> None:
        """Show the parts of a model."""
        rows = [
            [*(ModelPart(layer, "head", head) for head in range(facts.n_heads)), ModelPart(layer, "attention"),
             ModelPart(layer, "feed_forward")]
            for layer in range(facts.n_layers)
        ]  # fmt: skip
        if rows != self._rows:
            self._rows, self._worth = rows, {}
            self.row, self.column = 0, 0
            self.setFixedSize(round(self._lefts()[-1] + _LONG), _TOP + _HIGH * len(rows) + 2)
        self.update()

    def show_off(self, off: frozenset[ModelPart]) -> None:
        """Show these parts as switched off."""
        self._off = off
        self._describe()
        self.update()

    def show_worth(self, worth: Mapping[str, float]) -> None:
        """Tint the parts by their importance. `worth`: by part name, the loss without the part, in bits per byte."""
        self._worth = worth
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough for all parts."""
        return QSize(max(200, self.minimumWidth()), max(80, self.minimumHeight()))

    def _lefts(self) -> list[float]:
        heads = len(self._rows[0]) - 2 if self._rows else 0
        after = _LEFT + heads * _WIDE
        return [*(_LEFT + n * _WIDE for n in range(heads)), after + 8, after + 8 + _LONG]

    def place(self, row: int, column: int) -> QRectF:
        """The rectangle of a part."""
        wide = _WIDE if column < len(self._rows[row]) - 2 else _LONG
        return QRectF(self._lefts()[column], _TOP + row * _HIGH, wide - _GAP, _HIGH - _GAP)

    def has(self, row: int, column: int) -> bool:
        """Whether this cell exists."""
        return 0 <= row < len(self._rows) and 0 <= column < len(self._rows[row])

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column at a point; None outside the parts."""
        cells = ((row, column) for row, parts in enumerate(self._rows) for column in range(len(parts)))
        return next((cell for cell in cells if self.place(*cell).contains(x, y)), None)

    def is_off(self, part: ModelPart) -> bool:
        """Whether a part is off: it is switched off itself, or it is a head of an attention that is."""
        return part in self._off or (part.kind == "head" and ModelPart(part.layer, "attention") in self._off)

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw the parts: with a cross if off, otherwise with their importance, or a check mark if it isn't known."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(12))
        if not self._rows:
            return
        heads = len(self._rows[0]) - 2
        painter.setPen(theme.color("muted"))
        names = [*(f"H{n + 1}" for n in range(heads)), _("attention"), _("feed-forward")]
        for column, name in enumerate(names):
            area = self.place(0, column)
            painter.drawText(QRectF(area.left(), 0, area.width(), _TOP - 3), Qt.AlignmentFlag.AlignCenter, name)
        most = max(self._worth.values(), default=0.0) or 1.0
        for row, parts in enumerate(self._rows):
            painter.setPen(theme.color("muted"))
            first = self.place(row, 0)
            painter.drawText(QRectF(0, first.top(), _LEFT, first.height()), Qt.AlignmentFlag.AlignVCenter,
                             f"L{row + 1}")  # fmt: skip
            for column, part in enumerate(parts):
                self._draw_part(painter, part, self.place(row, column), (row, column) == (self.row, self.column), most)

    def _draw_part(self, painter: QPainter, part: ModelPart, area: QRectF, here: bool, most: float) -> None:
        off = self.is_off(part)
        worth = self._worth.get(part.name)
        if off:
            painter.setBrush(theme.color("sunken"))
        elif worth is None:
            painter.setBrush(theme.color("accent_soft"))
        else:
            painter.setBrush(theme.color("accent", _STRONGEST * max(0.0, min(1.0, worth / most))))
        painter.setPen(QPen(theme.color("accent"), 1.6) if here and self.hasFocus() else QPen(theme.color("line"), 1))
        painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        painter.setPen(theme.color("muted" if off else "text"))
        if worth is not None and not off:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, signed(worth))
        else:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "✕" if off else "✓")

    # --- Switching ----------------------------------------------------------------------------------------------

    def choose(self, row: int, column: int) -> None:
        """Move to a part if it exists."""
        super().choose(row, column)
        self._describe()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Toggle the part under the mouse."""
        found = self.at(event.position().x(), event.position().y())
        if found is not None:
            self.choose(*found)
            self._toggle()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Toggle the current part, or move to another one."""
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._toggle()
        else:
            super().keyPressEvent(event)

    def _toggle(self) -> None:
        if self.has(self.row, self.column):
            self.toggled.emit(self._rows[self.row][self.column])

    def described(self, row: int, column: int) -> str:
        """The name of a part and whether it is on."""
        part = self._rows[row][column]
        state = _("switched off") if self.is_off(part) else _("switched on")
        return _("{name}: {value}").format(name=part_name(part), value=state)

    def _describe(self) -> None:
        """Announce the current part to screen readers."""
        if self.has(self.row, self.column):
            self.setAccessibleDescription(self.described(self.row, self.column))
