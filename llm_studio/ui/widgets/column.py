"""A column of a page that scrolls if it is higher than the available space."""

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from llm_studio.ui.theme import set_role

_BESIDE_BAR = 6
_LOWEST = 240


class Column(QScrollArea):
    """Add widgets to `content`, with `inside` as their parent. It scrolls vertically only."""

    def __init__(self, parent: QWidget, spacing: int) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.inside = QWidget(self)
        set_role(self.inside, "plain")
        self.content = QVBoxLayout(self.inside)
        self.content.setContentsMargins(0, 0, 0, 0)
        self.content.setSpacing(spacing)
        self.setWidget(self.inside)
        self.verticalScrollBar().rangeChanged.connect(self._on_range)

    @Slot(int, int)
    def _on_range(self, _least: int, most: int) -> None:
        """Keep a margin to the scroll bar if it is visible."""
        self.content.setContentsMargins(0, 0, _BESIDE_BAR if most > 0 else 0, 0)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The width that the content needs, since it doesn't scroll horizontally."""
        beside = _BESIDE_BAR + self.verticalScrollBar().sizeHint().width()
        return QSize(self.inside.minimumSizeHint().width() + beside, _LOWEST)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Update the minimum width when the content changes."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.inside:
            self.updateGeometry()
        return super().eventFilter(watched, event)
