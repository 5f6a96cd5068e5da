"""Texts that are cut off: labels and buttons with less room than their words take."""

from PySide6.QtWidgets import QAbstractButton, QLabel, QSizePolicy, QWidget


def clipped(root: QWidget) -> list[str]:
    """The texts below `root` that can be seen but not read whole. What elides its text on purpose says so by a tip."""
    found: list[str] = []
    for widget in [*root.findChildren(QLabel), *root.findChildren(QAbstractButton)]:
        text = widget.text()
        if not text or not widget.isVisible() or widget.toolTip():
            continue
        if isinstance(widget, QLabel) and (widget.wordWrap() or not widget.pixmap().isNull()):
            missing = widget.heightForWidth(widget.width()) - widget.height() if widget.wordWrap() else 0
        else:
            missing = widget.sizeHint().width() - widget.width()
        ignored = widget.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Ignored
        if missing > 1 and not ignored:
            found.append(f"{text} ({missing} px)")
    return found
