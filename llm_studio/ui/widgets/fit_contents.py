"""Resizes dialogs to fit their contents."""

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QDialog


class FitContents(QObject):
    """Enlarges a dialog whenever its layout needs it, up to the height of the screen.

    Qt adjusts a dialog only when it is first shown. A message that appears later, or a text that wraps onto further
    lines, would be cut off and squeeze the fields; and an explicit minimum width overrides that of the buttons.
    """

    def __init__(self, dialog: QDialog) -> None:
        super().__init__(dialog)
        self._dialog, self._least = dialog, dialog.minimumWidth()
        dialog.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's
        """Adjust the dialog when its contents or its width have changed."""
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        dialog, layout = self._dialog, self._dialog.layout()
        if layout is None:
            return
        width = max(self._least, layout.totalMinimumSize().width())
        tallest = dialog.screen().availableGeometry().height()
        needed = min(layout.totalHeightForWidth(max(width, dialog.width())), tallest)
        if (width, needed) != (dialog.minimumWidth(), dialog.minimumHeight()):
            dialog.setMinimumSize(width, max(needed, 0))  # enlarges it if necessary
