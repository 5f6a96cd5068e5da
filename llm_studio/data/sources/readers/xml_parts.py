"""The XML files inside documents (.docx, .odt, .xlsx), streamed to an object that collects their text."""

from collections.abc import Iterator
from typing import Any, Protocol

from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, too_large, translate_read_errors
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import _

_BLOCK = 1 << 15
_MAX_HELD = 1 << 26


class Target(Protocol):
    """A target of lxml's parser: its methods `start`, `end`, `data` and `close` are called as well.

    `has_types`: whether the file declares a document type. `held`: characters that can't be taken out yet.
    """

    has_types: bool
    held: int


def feed(item: InputFile, part: InputFile, target: Target, context: Context) -> Iterator[None]:
    """Feed the file `part` of the document `item` to `target`; yield after each block, and once more at the end.

    No entity is expanded and nothing else is read. Raises SourceError, Cancelled.
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
