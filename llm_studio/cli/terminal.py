"""Text on a terminal: control characters in texts, names and model output are made visible.

A terminal executes escape sequences: a text could recolour or overwrite earlier output, set the window's title, or
reverse a line. So on a terminal they are replaced by symbols. Pipes and files receive every byte unchanged.
"""

import contextlib
import re
import sys
from collections.abc import Generator, Iterable
from typing import TextIO

_PICTURES = 0x2400
"""First of Unicode's symbols for the first 32 control characters: ␀, ␁, ..."""
_KEPT = "\n\t"
_MISLEADING = (
    (0x80, 0x9F),  # C1: some terminals interpret U+009B as ESC [
    (0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069),  # change the direction of writing
    (0x2028, 0x2029), (0x2060, 0x2065), (0x206A, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),  # invisible
    (0xE0000, 0xE007F),  # tags: an invisible copy of ASCII
)  # fmt: skip
"""Characters to be replaced. Excludes the joiners U+200C and U+200D, which emoji and several scripts need, and the soft
hyphen."""
_SHOWN = {
    **{code: chr(_PICTURES + code) for code in range(0x20) if chr(code) not in _KEPT}, 0x7F: "␡",
    **{code: f"<U+{code:04X}>" for first, last in _MISLEADING for code in range(first, last + 1)},
}  # fmt: skip
_FLAG = re.compile("(\U0001f3f4[\U000e0061-\U000e007a]{4,6}\U000e007f)")
"""The emoji of a flag such as Scotland's, which consists of tag characters."""


def visible(text: str) -> str:
    """`text` that is safe on a terminal: every control character except line feed and tab becomes a symbol.

    Each is replaced by itself, so a sequence that arrives in two parts is as harmless as a complete one.
    """
    if text.isascii() and text.isprintable():
        return text
    parts = _FLAG.split(text)  # every second part is a flag
    parts[::2] = [part.translate(_SHOWN) for part in parts[::2]]
    return "".join(parts)


class VisibleStream:
    """A terminal to which only `visible` text is written. `wrapped` is for our own control codes.

    It has no `buffer`, since bytes would bypass it; other attributes are those of the stream itself.
    """

    def __init__(self, wrapped: TextIO) -> None:
        self.wrapped = wrapped

    def write(self, text: str) -> int:
        """Write `text` with visible control characters."""
        self.wrapped.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines with visible control characters."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.wrapped, name)


def unwrapped(stream: TextIO) -> TextIO:
    """The underlying stream, for text with our own control codes; other parts must already be made visible."""
    return stream.wrapped if isinstance(stream, VisibleStream) else stream


@contextlib.contextmanager
def visible_output() -> Generator[None]:
    """A context in which control characters in output are made visible, if the standard streams are terminals."""
    before = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = (_visible_on_terminal(stream) for stream in before)
        yield
    finally:
        sys.stdout, sys.stderr = before


def _visible_on_terminal(stream: TextIO) -> TextIO:
    wrapped: object = VisibleStream(stream) if stream.isatty() else stream
    return wrapped  # pyright: ignore[reportReturnType]  it has all that a TextIO has, but for `buffer`
