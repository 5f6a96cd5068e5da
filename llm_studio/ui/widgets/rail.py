"""The rail of tabs on the left: each step with its state and one line about it."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import N_, _
from llm_studio.ui import theme
from llm_studio.ui.tab import StepState
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import line

_STATE_NAMES: dict[StepState, str] = {
    "to do": N_("to do"), "ready": N_("ready"), "running": N_("running"), "out of date": N_("out of date"),
}  # fmt: skip
_TICK = (QPointF(-4, 0.5), QPointF(-1, 3.5), QPointF(4.5, -3))


class RailItem(QAbstractButton):
    """One tab: a round symbol, its title, a line about it."""

    def __init__(self, parent: QWidget, name: str, sign: str, is_step: bool) -> None:
        super().__init__(parent)
        self.setText(name)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._sign, self._is_step = sign, is_step
        self._state: StepState = "to do"
        self._fact = ""
        self._speak()
        theme.notifier().changed.connect(self.update)

    def show_state(self, state: StepState, fact: str) -> None:
        """Show the state of the step, and one line about it."""
        if (state, fact) != (self._state, self._fact):
            self._state, self._fact = state, fact
            self.updateGeometry()
            self._speak()
            self.update()

    def _speak(self) -> None:
        words = [self.text(), *([_(_STATE_NAMES[self._state])] if self._is_step else []), self._fact]
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setToolTip(self._fact)

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The size for two lines, or for one."""
        return QSize(190, 50 if self._is_step else 38)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint symbol and lines, with a background if it is the current tab."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(theme.color("accent")) if self.hasFocus() else Qt.PenStyle.NoPen)
        chosen, hovered = self.isChecked(), self.underMouse()
        painter.setBrush(theme.color("accent_soft") if chosen else theme.color("sunken", 0.6 if hovered else 0.0))
        painter.drawRoundedRect(ground, 7, 7)
        middle = self.height() / 2
        self._draw_sign(painter, QRectF(10, middle - 10, 20, 20))
        left, width = 40, self.width() - 46
        painter.setFont(theme.font(13, bold=chosen))
        painter.setPen(theme.color("text"))
        top = middle - 19 if self._fact else middle - 10
        painter.drawText(QRectF(left, top, width, 20), Qt.AlignmentFlag.AlignVCenter, self.text())
        if self._fact:
            painter.setFont(theme.font(12))
            painter.setPen(theme.color("warn" if self._state == "out of date" else "muted"))
            fact = painter.fontMetrics().elidedText(self._fact, Qt.TextElideMode.ElideRight, width)
            painter.drawText(QRectF(left, middle, width, 18), Qt.AlignmentFlag.AlignVCenter, fact)

    def _draw_sign(self, painter: QPainter, place: QRectF) -> None:
        grounds = {"to do": "sunken", "ready": "ok", "running": "accent", "out of date": "warn"}
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(grounds[self._state]))
        painter.drawEllipse(place)
        if self._state == "running":
            painter.setBrush(theme.color("on_accent"))
            painter.drawEllipse(place.center(), 4.5, 4.5)
            return
        painter.setPen(QPen(theme.color("muted" if self._state == "to do" else "on_accent"), 1.8))
        if self._state == "ready":
            painter.drawPolyline([place.center() + point for point in _TICK])
            return
        painter.setFont(theme.font(12, bold=self._state != "to do"))
        sign = "!" if self._state == "out of date" else self._sign
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, sign)


class Rail(QScrollArea):
    """All tabs. `chosen` reports the name of the one that was clicked."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget, steps: dict[str, str], others: dict[str, tuple[str, str]]) -> None:
        """`steps`: titles by key, numbered from 1; `others`: titles and symbols by key."""
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFixedWidth(208)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        set_role(self, "rail")
        inside = QFrame(self)
        set_role(inside, "rail-inside")
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(8, 12, 8, 12)
        layout.setSpacing(1)
        self._group = QButtonGroup(self)
        self._items: dict[str, RailItem] = {}
        for number, (key, name) in enumerate(steps.items(), start=1):
            self._add(layout, key, RailItem(inside, name, str(number), True))
        layout.addSpacing(8)
        layout.addWidget(line(inside))
        layout.addSpacing(8)
        for key, (name, sign) in others.items():
            self._add(layout, key, RailItem(inside, name, sign, False))
        layout.addStretch(1)
        self.setWidget(inside)
        self._group.buttonClicked.connect(self._on_click)

    def _add(self, layout: QVBoxLayout, key: str, item: RailItem) -> None:
        self._items[key] = item
        self._group.addButton(item)
        layout.addWidget(item)

    def choose(self, key: str) -> None:
        """Mark a tab as the current one without emitting a signal."""
        self._items[key].setChecked(True)

    def item(self, key: str) -> RailItem:
        """The entry of a tab."""
        return self._items[key]

    @Slot(QAbstractButton)
    def _on_click(self, clicked: QAbstractButton) -> None:
        self.chosen.emit(next(key for key, item in self._items.items() if item is clicked))
