"""A model drawn as a stack of blocks, with those of one layer inside a dashed frame. One block can be selected."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QButtonGroup, QSizePolicy, QVBoxLayout, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui import theme

_RADIUS = 7
_FRAME_MARGIN = 11
_BADGE_HEIGHT = 18


class Block(QAbstractButton):
    """One block: its name, and a line about its size. A checkable button."""

    def __init__(self, parent: QWidget, tinted: bool) -> None:
        super().__init__(parent)
        self._tinted = tinted
        self._detail = ""
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme.notifier().changed.connect(self.update)

    def show_facts(self, title: str, detail: str) -> None:
        """Show a name and a line of figures; "" for none."""
        self._detail = detail
        self.setText(title)
        name = _("{name}: {value}").format(name=title, value=detail) if detail else title
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The height of one or two lines."""
        return QSize(150, 44 if self._detail else 30)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As narrow as necessary: texts that don't fit are elided."""
        return QSize(110, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint a rounded rectangle with one or two lines of text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        strong = self.isChecked() or self.hasFocus()
        soft = self._tinted or self.isChecked()
        painter.setBrush(theme.color("accent_soft" if soft else "sunken" if self.underMouse() else "panel"))
        painter.setPen(QPen(theme.color("accent" if strong else "line"), 2 if self.hasFocus() else 1))
        inside = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.drawRoundedRect(inside, _RADIUS, _RADIUS)
        upper = QRectF(inside)
        if self._detail:
            upper.setHeight(inside.height() * 0.54)
            lower = QRectF(inside.left(), upper.bottom(), inside.width(), inside.height() - upper.height() - 3)
            self._write(painter, lower, self._detail, 11, "muted", Qt.AlignmentFlag.AlignTop)
            self._write(painter, upper, self.text(), 13, "text", Qt.AlignmentFlag.AlignBottom)
        else:
            self._write(painter, upper, self.text(), 13, "text", Qt.AlignmentFlag.AlignVCenter)
        painter.end()

    def _write(self, painter: QPainter, place: QRectF, text: str, pixels: int, color: str,
               side: Qt.AlignmentFlag) -> None:  # fmt: skip
        painter.setFont(theme.font(pixels))
        painter.setPen(theme.color(color))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(place.width()) - 10)
        painter.drawText(place, Qt.AlignmentFlag.AlignHCenter | side, shown)


class _Frame(QWidget):
    """The dashed frame around the blocks of a layer, with the number of layers."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = ""
        self.inside = QVBoxLayout(self)
        self.inside.setContentsMargins(_FRAME_MARGIN, _FRAME_MARGIN + _BADGE_HEIGHT // 2, _FRAME_MARGIN, _FRAME_MARGIN)
        self.inside.setSpacing(6)
        theme.notifier().changed.connect(self.update)

    def show_count(self, count: int) -> None:
        """Show the number of repetitions of the blocks inside."""
        self._text = f"× {number(count)}"
        self.setAccessibleName(_("{n} layers").format(n=number(count)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  Qt's
        """Paint the dashes and the badge."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.color("accent"), 1, Qt.PenStyle.DashLine))
        top = _BADGE_HEIGHT / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, top, -1, -1), _RADIUS + 2, _RADIUS + 2)
        painter.setFont(theme.font(12, bold=True))
        width = painter.fontMetrics().horizontalAdvance(self._text) + 16
        badge = QRectF(self.width() - width - _FRAME_MARGIN, 0, width, _BADGE_HEIGHT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("accent"))
        painter.drawRoundedRect(badge, 6, 6)
        painter.setPen(theme.color("on_accent"))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.end()


class Architecture(QWidget):
    """The stack. `names` from top to bottom; those in `inner` form one layer, those in `tinted` are at the ends.

    The arrow keys move from block to block, Space or a click selects one.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget, names: Sequence[str], inner: Sequence[str], tinted: Sequence[str]) -> None:
        super().__init__(parent)
        self._names = list(names)
        self.blocks = {name: Block(self, name in tinted) for name in names}
        self._group = QButtonGroup(self)
        self._frame = _Frame(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for name, made in self.blocks.items():
            self._group.addButton(made)
            if name in inner:
                self._frame.inside.addWidget(made)
                if name == inner[-1]:
                    column.addWidget(self._frame)
            else:
                column.addWidget(made)
        self._group.buttonClicked.connect(self._on_clicked)

    def show_blocks(self, facts: dict[str, tuple[str, str]], layers: int) -> None:
        """Show these blocks, each with a title and a line of figures, and the number of layers."""
        for name, made in self.blocks.items():
            made.setVisible(name in facts)
            if name in facts:
                made.show_facts(*facts[name])
        self._frame.show_count(layers)

    def current(self) -> str:
        """The name of the selected block, "" for none."""
        return next((name for name, made in self.blocks.items() if made.isChecked()), "")

    @Slot(QAbstractButton)
    def _on_clicked(self, clicked: QAbstractButton) -> None:
        self.chosen.emit(next(name for name, made in self.blocks.items() if made is clicked))
