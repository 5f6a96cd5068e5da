"""The XML files inside documents (.docx, .odt, .xlsx), streamed to an object that collects their text."""

from collections.abc import Iterator, Mapping
from typing import Any

from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, too_large, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_BLOCK = 1 << 15
_MAX_HELD = 1 << 26


class Target:
    """Base class of targets of lxml's parser that collect text: a subclass fills `_out`.

    `has_types`: whether the file declares a document type. `held`: number of characters that can't be taken yet.
    """

    def __init__(self) -> None:
        self.has_types = False
        self.held = 0
        self._out: list[str] = []

    def take(self) -> str:
        """Return the completed text and remove it."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def doctype(self, *_about: object) -> None:
        """Handle a document type: only malicious files declare one."""
        self.has_types = True

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""

    def end(self, tag: str) -> None:
        """Handle the end of an element."""

    def data(self, text: str) -> None:
        """Handle character data."""

    def close(self) -> None:
        """Handle the end of the file."""


def feed(item: InputFile, part: InputFile, target: Target, context: Context) -> Iterator[None]:
    """Feed the file `part` of the document `item` to `target`; yield after each block, and once more at the end.

    No entities are expanded and no other files are read. Raises SourceError, Cancelled.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    parser: Any = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with translate_read_errors(item.name), part.open() as stream:
            while block := stream.read(_BLOCK):
                context.job.check()
                parser.feed(block)
                if target.has_types:
                    raise damaged(item.name, _("it declares XML types of its own, which no document does"))
                if target.held > _MAX_HELD:
                    raise too_large(item.name, _MAX_HELD)
                yield
        parser.close()
    except etree.LxmlError as error:
        raise damaged(item.name, error) from error
    yield
