"""A text as its tokens: coloured chips side by side that wrap, with one under the pointer or the keyboard cursor."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFontMetricsF, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSizePolicy, QToolTip, QWidget

from llm_studio.ui import theme

_COLORS = ("token_1", "token_2", "token_3", "token_4", "token_5")
TINTS = (0.0, 0.12, 0.24, 0.36, 0.5)
"""Opacities of a tint, from none to most: text on any of them is readable, in both themes."""
_PADDING, _SPACE, _EDGE = 3.0, 2.0, 2.0


@dataclass(frozen=True)
class Chip:
    """One chip: its text, and whether a line ends with it."""

    text: str
    ends_line: bool = False
    tint: int = -1
    """Index into `TINTS`; -1: a colour that differs from its neighbours'."""


class TokenView(QWidget):
    """Paints chips. Arrow keys move between them; `pointed` reports the current one, -1 for none."""

    pointed = Signal(int)
    """The pointer or the keyboard cursor is on this chip."""
    chosen = Signal(int)
    """The chip was clicked, or Return was pressed on it."""
    moved = Signal(QRectF)
    """The rectangle of the chip to which the keyboard cursor has moved, for scrolling."""

    def __init__(self, parent: QWidget, name: str) -> None:
        super().__init__(parent)
        self.tip: Callable[[int], str] = lambda index: ""
        """Returns the tooltip of a chip."""
        self.keeps_mark = False
        """Whether the keyboard's chip is marked even without the focus."""
        self._chips: Sequence[Chip] = ()
        self._places: list[tuple[float, int, float]] = []
        """Left edge, line and width of each chip."""
        self._first: list[int] = [0]
        """The first chip of each line."""
        self._widths: dict[str, float] = {}
        self._current, self._under = -1, -1
        self.setFont(theme.font(14))
        self._row = QFontMetricsF(self.font()).height() + 9
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(name)
        theme.notifier().changed.connect(self.update)

    def show_chips(self, chips: Sequence[Chip]) -> None:
        """Show other chips; none of them is current."""
        self._chips = chips
        self._under = -1
        self._current = -1
        self._lay_out()

    def current(self) -> int:
        """The chip under the pointer, otherwise that of the keyboard cursor; -1 for none."""
        return self._under if self._under >= 0 else self._current

    def marked(self) -> int:
        """The chip of the keyboard cursor, -1 for none."""
        return self._current

    def mark(self, index: int) -> None:
        """Move the keyboard cursor to this chip, -1 for none."""
        self._current = index
        self.update()

    def content_height(self) -> int:
        """Total height of the lines in pixels."""
        return round(len(self._first) * self._row + 2 * _EDGE)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The height of the lines."""
        return QSize(200, self.content_height())

    def place(self, index: int) -> QRectF:
        """The rectangle of a chip."""
        left, line, width = self._places[index]
        return QRectF(left, _EDGE + line * self._row + 2, width, self._row - 5)

    def at(self, x: float, y: float) -> int:
        """The chip at a point, -1 for none."""
        line = int((y - _EDGE) // self._row)
        if not 0 <= line < len(self._first) or not self._chips:
            return -1
        end = self._first[line + 1] if line + 1 < len(self._first) else len(self._chips)
        lefts = [self._places[index][0] for index in range(self._first[line], end)]
        found = self._first[line] + bisect_right(lefts, x) - 1
        return found if found >= self._first[line] and x <= self._places[found][0] + self._places[found][2] else -1

    def _lay_out(self) -> None:
        metrics = QFontMetricsF(self.font())
        room = max(60.0, self.width() - 2 * _EDGE)
        self._places, self._first = [], [0]
        left = _EDGE
        for index, chip in enumerate(self._chips):
            wide = self._widths.get(chip.text)
            if wide is None:
                wide = self._widths[chip.text] = metrics.horizontalAdvance(chip.text) + 2 * _PADDING
            wide = min(wide, room)
            breaks = index > 0 and self._chips[index - 1].ends_line
            if left > _EDGE and (breaks or left + wide > room + _EDGE):
                self._first.append(index)
                left = _EDGE
            self._places.append((left, len(self._first) - 1, wide))
            left += wide + _SPACE
        self.setFixedHeight(self.content_height())
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Wrap the chips again if the width has changed."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._lay_out()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint the visible lines."""
        if not self._chips:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font())
        seen = event.rect()
        top = max(0, int((seen.top() - _EDGE) // self._row))
        bottom = int((seen.bottom() - _EDGE) // self._row) + 1
        end = self._first[bottom] if bottom < len(self._first) else len(self._chips)
        backs = [theme.color(name) for name in _COLORS]
        tints = [theme.color("validation", opacity) for opacity in TINTS]
        text, accent = QPen(theme.color("text")), QPen(theme.color("accent"), 2)
        metrics = QFontMetricsF(self.font())
        looked_at = self.current()
        for index in range(self._first[min(top, len(self._first) - 1)], end):
            area = self.place(index)
            chip = self._chips[index]
            painter.setBrush(backs[index % len(backs)] if chip.tint < 0 else tints[chip.tint])
            marked = self._under >= 0 or self.hasFocus() or self.keeps_mark
            painter.setPen(accent if index == looked_at and marked else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(area, 4, 4)
            painter.setPen(text)
            word = chip.text
            if self._widths[word] > area.width() + 0.5:
                word = metrics.elidedText(word, Qt.TextElideMode.ElideRight, area.width() - 2 * _PADDING)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, word)

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of the chip under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self.at(event.pos().x(), event.pos().y())
            area = self.place(index).toRect() if index >= 0 else self.rect()
            QToolTip.showText(event.globalPos(), self.tip(index) if index >= 0 else "", self, area)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Make the chip under the pointer the current one."""
        self._look(self.at(event.position().x(), event.position().y()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's
        """Make the keyboard's chip the current one again."""
        super().leaveEvent(event)
        self._look(-1)

    def _look(self, index: int) -> None:
        if index != self._under:
            self._under = index
            self.pointed.emit(self.current())
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's
        """Choose a chip."""
        index = self.at(event.position().x(), event.position().y())
        if index >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._current = index
            self.update()
            self.chosen.emit(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's
        """Move to another chip, or choose the current one."""
        last = len(self._chips) - 1
        here = self._current
        keys = {Qt.Key.Key_Right: here + 1, Qt.Key.Key_Left: here - 1, Qt.Key.Key_Home: 0, Qt.Key.Key_End: last,
                Qt.Key.Key_Down: self._beside(1), Qt.Key.Key_Up: self._beside(-1)}  # fmt: skip
        key = Qt.Key(event.key())
        if last >= 0 and key in keys:
            self._current, self._under = max(0, min(last, keys[key])), -1
            self.pointed.emit(self._current)
            self.moved.emit(self.place(self._current))
            self.update()
        elif here >= 0 and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(here)
        else:
            super().keyPressEvent(event)

    def _beside(self, lines: int) -> int:
        """The chip one line above or below the keyboard cursor."""
        if self._current < 0:
            return 0
        area = self.place(self._current)
        for x in (area.center().x(), area.left(), area.left() - _SPACE - 1, _EDGE + 1):
            found = self.at(x, area.center().y() + lines * self._row)
            if found >= 0:
                return found
        return self._current


class TokenPane(QScrollArea):
    """A TokenView that takes the height it needs, and scrolls if that exceeds `most` pixels."""

    def __init__(self, parent: QWidget, name: str, most: int) -> None:
        super().__init__(parent)
        self._most = most
        self.view = TokenView(self, name)
        self.setWidget(self.view)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.moved.connect(self._follow)
        self.view.installEventFilter(self)
        theme.set_role(self.view, "plain")
        self.viewport().setAutoFillBackground(False)
        self.view.setAutoFillBackground(False)

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Adjust the height to the view, up to the limit."""
        if watched is self.view and event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self.setFixedHeight(min(self._most, self.view.content_height()) + 2)
        return False

    def show_marked(self) -> None:
        """Scroll to the chip of the keyboard cursor."""
        if self.view.marked() >= 0:
            self._follow(self.view.place(self.view.marked()))

    @Slot(QRectF)
    def _follow(self, area: QRectF) -> None:
        self.ensureVisible(round(area.center().x()), round(area.center().y()), 10, 24)
