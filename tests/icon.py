"""The program's icon: `python -m tests.icon` writes `resources/icons/app.ico`, from the two drawings next to it."""

import struct
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ICONS = Path(__file__).parents[1] / "resources" / "icons"
SIZES = (16, 20, 24, 32, 40, 48, 64, 96, 128, 256)
SMALL = 24
"""Size in pixels up to which the drawing with fewer details is used."""


def drawn(size: int) -> QImage:
    """The icon at `size` x `size` pixels."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(ICONS / ("app-small.svg" if size <= SMALL else "app.svg"))).render(painter)
    painter.end()
    return image


def as_png(image: QImage) -> bytes:
    """A PNG file."""
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # pyright: ignore[reportCallIssue, reportArgumentType]  the stubs want bytes
    return content.data()


def as_bitmap(image: QImage) -> bytes:
    """A bitmap in the format of .ico files: header with twice the height, BGRA rows from bottom to top, empty mask."""
    size = image.width()
    rows = [bytes(image.constScanLine(y))[: 4 * size] for y in reversed(range(size))]
    header = struct.pack("<IiiHHIIiiII", 40, size, 2 * size, 1, 32, 0, 4 * size * size, 0, 0, 0, 0)
    return header + b"".join(rows) + bytes((size + 31) // 32 * 4 * size)


def as_ico(images: list[QImage]) -> bytes:
    """An .ico file: bitmaps, and PNG for 256 pixels, as Windows expects."""
    parts = [as_png(image) if image.width() >= 256 else as_bitmap(image) for image in images]
    place = 6 + 16 * len(parts)
    entries = b""
    for image, part in zip(images, parts, strict=True):
        side = image.width() % 256  # 0 stands for 256
        entries += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(part), place)
        place += len(part)
    return struct.pack("<HHH", 0, 1, len(parts)) + entries + b"".join(parts)


def main() -> None:
    """Write the .ico."""
    QGuiApplication(["icon", "-platform", "offscreen"])
    (ICONS / "app.ico").write_bytes(as_ico([drawn(size) for size in SIZES]))


if __name__ == "__main__":
    main()
