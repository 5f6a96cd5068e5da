"""All heads of a model as a grid of small heat maps: a row per layer, a column per head."""

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.i18n import N_, _, number
from llm_studio.ui import theme
from llm_studio.ui.views.cell_grid import CellGrid
from llm_studio.ui.views.view import blend

if TYPE_CHECKING:
    from llm_studio.ui.views.levels import AttentionLevels, Levels
    from llm_studio.workflows.inside.results import HeadKinds

KIND_NAMES = {
    "previous": N_("previous token"), "first": N_("first token"), "self": N_("itself"), "same": N_("same token"),
    "induction": N_("induction"),
}  # fmt: skip
_GAP, _LEFT, _TOP = 6, 26, 18
_LOW, _ROOM = 12, 200
"""Minimum height of a row, and the height that all rows must fit into if their minimum allows, in pixels."""
_BESIDE = 74
"""Width of the caption beside a map in pixels."""


def image(levels: "Levels") -> QImage:
    """The levels (T, T) as an image, from the panel's colour (0) to the accent colour (255)."""
    height, width = levels.shape
    made = QImage(levels.tobytes(), width, height, width, QImage.Format.Format_Indexed8).copy()
    made.setColorTable(_table(theme.colors().panel, theme.colors().accent))
    return made


@functools.cache
def _table(_panel: str, _accent: str) -> list[int]:
    """The colour of each level, cached by theme."""
    return [blend("accent", level / 255).rgb() for level in range(256)]


def head_name(layer: int, head: int) -> str:
    """The name of a head, as in L1H2, counted from 1."""
    return f"L{layer + 1}H{head + 1}"


def kind_of(kinds: "HeadKinds", layer: int, head: int) -> str:
    """The kind of a head with its score, in the user's language; "" if it is none of the known kinds."""
    name = kinds.names[layer][head]
    if name is None:
        return ""
    score = float(kinds.scores[layer, head, kinds.kinds.index(name)])
    return _("{kind} {score}").format(kind=_(KIND_NAMES[name]), score=number(score, 2))


class HeadGrid(CellGrid):
    """Rows are layers, columns heads; one head is chosen."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Heads of all layers"))
        self._found: AttentionLevels | None = None
        self._kinds: HeadKinds | None = None
        """The behaviour of the heads; None if it isn't known yet."""
        self._named = False
        """Whether any head was of a known kind in the last known `HeadKinds`."""
        self._images: list[list[QImage]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.notifier().changed.connect(self._paint_images)

    def show_kinds(self, kinds: "HeadKinds") -> None:
        """Show the behaviour of the heads as captions."""
        self._kinds = kinds
        self._named = any(kind for layer in kinds.names for kind in layer)
        self.update()

    def show_levels(self, found: "AttentionLevels") -> None:
        """Show the attention maps of a text."""
        self._found, self._kinds = found, found.kinds
        if found.kinds is not None:
            self.show_kinds(found.kinds)
        n_layers, n_heads = found.thumbnails.shape[:2]
        self.row, self.column = min(self.row, n_layers - 1), min(self.column, n_heads - 1)
        self.setMinimumSize(_LEFT + 30 * n_heads, _TOP + max(_LOW, min(30, _ROOM // n_layers)) * n_layers)
        self._paint_images()

    def _paint_images(self) -> None:
        if self._found is not None:
            self._images = [[image(head) for head in layer] for layer in self._found.thumbnails]
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Large enough for recognizable patterns."""
        return QSize(_LEFT + 90 * len(self._images[0] if self._images else "    "), 190)

    # --- Geometry -----------------------------------------------------------------------------------------------

    def _cell(self) -> tuple[float, float]:
        """Width and height of a cell."""
        rows, columns = len(self._images) or 1, len(self._images[0]) if self._images else 1
        return (self.width() - _LEFT) / columns, (self.height() - _TOP) / rows

    def place(self, layer: int, head: int) -> QRectF:
        """The rectangle of a head's map, up to twice as wide as high if there is space."""
        wide, high = self._cell()
        beside = _BESIDE if self._has_captions() else 0
        tall = max(4.0, min(wide - _GAP, high - _GAP))
        long = max(4.0, min(wide - _GAP - beside, max(2 * tall, 40)))
        return QRectF(_LEFT + head * wide, _TOP + layer * high, long, tall)

    def _has_captions(self) -> bool:
        wide, high = self._cell()
        return self._named and wide >= _BESIDE + 36 and high >= 30

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Layer and head at a point; None outside the heads."""
        wide, high = self._cell()
        found = int((y - _TOP) // high), int((x - _LEFT) // wide)
        return found if self.has(*found) else None

    def has(self, row: int, column: int) -> bool:
        """Whether this head exists."""
        return 0 <= row < len(self._images) and 0 <= column < len(self._images[row])

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Draw all maps with frames and, if there is space, captions."""
        if self._found is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setFont(theme.font(11))
        painter.setPen(theme.color("muted"))
        wide, _high = self._cell()
        for head in range(len(self._images[0])):
            area = QRectF(_LEFT + head * wide, 0, self.place(0, head).width(), _TOP - 3)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, f"H{head + 1}")
        for layer in range(len(self._images)):
            first = self.place(layer, 0)
            painter.drawText(QRectF(0, first.top(), _LEFT, first.height()), Qt.AlignmentFlag.AlignVCenter,
                             f"L{layer + 1}")  # fmt: skip
        self._draw_heads(painter)
        if self._has_captions():
            self._draw_captions(painter)

    def _draw_heads(self, painter: QPainter) -> None:
        """Draw the maps and their frames."""
        areas: list[QRectF] = []
        for layer, images in enumerate(self._images):
            for head, drawn in enumerate(images):
                areas.append(self.place(layer, head))
                painter.drawImage(areas[-1], drawn)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawRects(areas)
        painter.setPen(QPen(theme.color("accent"), 2.5 if self.hasFocus() else 2))
        painter.drawRect(self.place(self.row, self.column).adjusted(-1, -1, 1, 1))

    def _draw_captions(self, painter: QPainter) -> None:
        """Write the kind of each head beside its map."""
        text, muted = QPen(theme.color("text")), QPen(theme.color("muted"))
        for layer, images in enumerate(self._images):
            for head in range(len(images)):
                kind = kind_of(self._kinds, layer, head) if self._kinds is not None else "…"
                painter.setPen(text if kind else muted)
                area = self.place(layer, head)
                beside = QRectF(area.right() + 5, area.top(), _BESIDE - 5, area.height())
                painter.drawText(beside, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap), kind or "–")

    def described(self, row: int, column: int) -> str:
        """The name of a head and its scores for all kinds."""
        kinds = self._kinds
        if kinds is None:
            return head_name(row, column)
        rows = [_("{name}: {value}").format(name=_(KIND_NAMES[kind]), value=number(float(score), 2))
                for kind, score in zip(kinds.kinds, kinds.scores[row, column], strict=True)]  # fmt: skip
        return "\n".join([head_name(row, column), *rows])
