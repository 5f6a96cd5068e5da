"""Saves a widget as an image: a PNG at twice its size in pixels, or an SVG, which is sharp at any size."""

from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRect
from PySide6.QtGui import QImage, QImageWriter, QPainter, QRegion
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from llm_studio.ui import theme

_SCALE = 2


def save(widget: QWidget, path: Path) -> None:
    """Write the image to `path` atomically, as an SVG if its suffix is .svg, otherwise as a PNG. Raises OSError."""
    content = svg(widget) if path.suffix.lower() == ".svg" else png(widget)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def png(widget: QWidget) -> bytes:
    """The widget as a PNG file."""
    image = QImage(widget.size() * _SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(_SCALE)
    _draw(widget, QPainter(image))
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(image)
    return bytes(buffer.data().data())


def svg(widget: QWidget) -> bytes:
    """The widget as an SVG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(widget.size())
    generator.setViewBox(QRect(QPoint(0, 0), widget.size()))
    generator.setTitle(widget.accessibleName())
    _draw(widget, QPainter(generator))
    del generator  # its destructor writes the rest to the buffer
    return bytes(buffer.data().data())


def _draw(widget: QWidget, painter: QPainter) -> None:
    try:
        painter.fillRect(widget.rect(), theme.color("background"))
        widget.render(painter, QPoint(0, 0), QRegion(), QWidget.RenderFlag.DrawChildren)
    finally:
        painter.end()
