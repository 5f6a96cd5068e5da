"""All heads of a model as small heat maps: layers down, heads across."""

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from llm_studio.i18n import N_, _, number
from llm_studio.ui import theme
from llm_studio.ui.views.view import blend

if TYPE_CHECKING:
    from llm_studio.ui.views.levels import AttentionLevels, Levels
    from llm_studio.workflows.inside.results import HeadKinds

KIND_NAMES = {
    "previous": N_("previous token"), "first": N_("first token"), "self": N_("itself"), "same": N_("same token"),
    "induction": N_("induction"),
}  # fmt: skip
_GAP, _LEFT, _TOP = 6, 26, 18
_BESIDE = 74
"""Pixels beside a map for what its head does."""


def image(levels: "Levels") -> QImage:
    """Levels as an image, from the panel's colour to the accent."""
    height, width = levels.shape
    made = QImage(levels.tobytes(), width, height, width, QImage.Format.Format_Indexed8).copy()
    made.setColorTable(_table(theme.colors().panel, theme.colors().accent))
    return made


@functools.cache
def _table(_panel: str, _accent: str) -> list[int]:
    """The colours of all levels, once for each theme."""
    return [blend("accent", level / 255).rgb() for level in range(256)]


def head_name(layer: int, head: int) -> str:
    """As in L1H2."""
    return f"L{layer + 1}H{head + 1}"


def kind_of(kinds: "HeadKinds", layer: int, head: int) -> str:
    """What a head does, with its score; "" if it is none of the known kinds."""
    name = kinds.names[layer][head]
    if name is None:
        return ""
    score = float(kinds.scores[layer, head, kinds.kinds.index(name)])
    return _("{kind} {score}").format(kind=_(KIND_NAMES[name]), score=number(score, 2))


class HeadGrid(QWidget):
    """One head is chosen, by a click or the arrow keys."""

    chosen = Signal(int, int)
    """Layer and head, from 0."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._found: AttentionLevels | None = None
        self._images: list[list[QImage]] = []
        self.layer, self.head = 0, 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(_("Heads of all layers"))
        theme.notifier().changed.connect(self._paint_images)

    def show_levels(self, found: "AttentionLevels") -> None:
        """Show the heads of a text."""
        self._found = found
        n_layers, n_heads = found.thumbnails.shape[:2]
        self.layer, self.head = min(self.layer, n_layers - 1), min(self.head, n_heads - 1)
        self.setMinimumSize(_LEFT + 30 * n_heads, _TOP + 30 * n_layers)
        self._paint_images()

    def _paint_images(self) -> None:
        if self._found is not None:
            self._images = [[image(head) for head in layer] for layer in self._found.thumbnails]
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """Enough to see what a head does."""
        return QSize(_LEFT + 90 * len(self._images[0] if self._images else "    "), 190)

    # --- Places -------------------------------------------------------------------------------------------------

    def _cell(self) -> tuple[float, float]:
        """Width and height of the place of a head."""
        rows, columns = len(self._images) or 1, len(self._images[0]) if self._images else 1
        return (self.width() - _LEFT) / columns, (self.height() - _TOP) / rows

    def place(self, layer: int, head: int) -> QRectF:
        """Where the map of a head is: up to twice as wide as high, to use the room."""
        wide, high = self._cell()
        beside = _BESIDE if self._has_captions() else 0
        tall = max(4.0, min(wide - _GAP, high - _GAP))
        long = max(4.0, min(wide - _GAP - beside, 2 * tall))
        return QRectF(_LEFT + head * wide, _TOP + layer * high, long, tall)

    def _has_captions(self) -> bool:
        wide, high = self._cell()
        named = self._found is not None and any(kind for layer in self._found.kinds.names for kind in layer)
        return named and wide >= _BESIDE + 36 and high >= 30

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """The head at a point."""
        wide, high = self._cell()
        layer, head = int((y - _TOP) // high), int((x - _LEFT) // wide)
        inside = 0 <= layer < len(self._images) and 0 <= head < len(self._images[layer])
        return (layer, head) if inside else None

    # --- Drawing ------------------------------------------------------------------------------------------------

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Every head, framed; its kind beside it, where there is room."""
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
        for layer, images in enumerate(self._images):
            first = self.place(layer, 0)
            painter.setPen(theme.color("muted"))
            painter.drawText(QRectF(0, first.top(), _LEFT, first.height()), Qt.AlignmentFlag.AlignVCenter,
                             f"L{layer + 1}")  # fmt: skip
            for head, drawn in enumerate(images):
                self._draw_head(painter, layer, head, drawn)

    def _draw_head(self, painter: QPainter, layer: int, head: int, drawn: QImage) -> None:
        assert self._found is not None
        area = self.place(layer, head)
        chosen = (layer, head) == (self.layer, self.head)
        painter.drawImage(area, drawn)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("accent"), 2.5 if self.hasFocus() else 2) if chosen
                       else QPen(theme.color("line"), 1))  # fmt: skip
        painter.drawRect(area.adjusted(-1, -1, 1, 1) if chosen else area)
        if self._has_captions():
            kind = kind_of(self._found.kinds, layer, head)
            painter.setFont(theme.font(11))
            painter.setPen(theme.color("text" if kind else "muted"))
            beside = QRectF(area.right() + 5, area.top(), _BESIDE - 5, area.height())
            painter.drawText(beside, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap), kind or "–")

    # --- Choosing -----------------------------------------------------------------------------------------------

    def choose(self, layer: int, head: int) -> None:
        """Choose a head, if there is such a one."""
        if 0 <= layer < len(self._images) and 0 <= head < len(self._images[layer]):
            self.layer, self.head = layer, head
            self.update()
            self.chosen.emit(layer, head)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose the head below the mouse."""
        found = self.at(event.position().x(), event.position().y())
        if found is not None:
            self.choose(*found)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Choose a head beside the chosen one."""
        steps = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}
        step = steps.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.choose(self.layer + step[0], self.head + step[1])

    def event(self, event: QEvent) -> bool:
        """Say which head is below the mouse, and all its scores."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._found is not None:
            at = self.at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), self._described(*at) if at else "", self)
            return True
        return super().event(event)

    def _described(self, layer: int, head: int) -> str:
        assert self._found is not None
        kinds = self._found.kinds
        rows = [f"{_(KIND_NAMES[kind])}: {number(float(score), 2)}"
                for kind, score in zip(kinds.kinds, kinds.scores[layer, head], strict=True)]  # fmt: skip
        return "\n".join([head_name(layer, head), *rows])
