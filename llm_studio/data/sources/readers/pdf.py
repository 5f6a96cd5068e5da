"""PDF documents: their text in reading order, read in a worker process because a malformed file can hang PDFium."""

from collections.abc import Iterator
from pathlib import Path

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import PAGE_WITHOUT_TEXT, PAGES, PARTS, RUNNING_HEADS, UNREADABLE_LETTERS
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, no_text, password_protected, too_large
from llm_studio.data.sources.readers.items import BLOCK, MAX_DOCUMENT, DiskFile, InputFile
from llm_studio.data.sources.readers.page_text import Page, texts, without_running_heads
from llm_studio.data.sources.readers.pdfium import decoded, pages_of
from llm_studio.data.sources.readers.worker_process import Refused
from llm_studio.errors import DamagedFileError, SourceError
from llm_studio.i18n import _, ngettext, number


def read_pdf(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The pages as one document."""
    pages = _pages(item, context)
    if not any(page.lines for page in pages):
        raise SourceError(
            _("{path} contains no text, only images of pages: it was scanned.").format(path=item.name),
            _("Convert it to text with an OCR program first."),
        )
    account, name = context.account, context.account.relative(item.name)
    for n, page in enumerate(pages, 1):
        place = _("{path}, page {n}").format(path=name, n=number(n))
        if not page.lines:
            account.leave_out(PAGES, PAGE_WITHOUT_TEXT, place)
        if page.unreadable:
            detail = ngettext("{n} character", "{n} characters", page.unreadable).format(n=number(page.unreadable))
            account.leave_out(PARTS, UNREADABLE_LETTERS, place, detail)
    shown, heads = without_running_heads(pages)
    if heads:
        detail = ngettext("{n} line", "{n} lines", heads).format(n=number(heads))
        account.leave_out(PARTS, RUNNING_HEADS, item.name, detail)
    for text in texts(shown):
        context.job.check()
        yield Chunk(text, False)
    yield Chunk("", True)


def _pages(item: InputFile, context: Context) -> list[Page]:
    """All pages, held in memory: divided words and running heads can only be recognized by comparing pages."""
    pages: list[Page] = []
    length = 0
    try:
        for message in context.workers.get(pages_of).results(_source(item, context), item.name, context.job):
            length += len(message)
            if length > MAX_DOCUMENT:
                raise too_large(item.name, MAX_DOCUMENT)
            pages.append(decoded(message))
    except Refused:
        raise password_protected(item.name) from None
    except DamagedFileError as error:
        error.to_do = _("Download or save it again, then check that it opens in your PDF reader.")
        raise
    return pages


def _source(item: InputFile, context: Context) -> Path | bytes:
    """The input of the worker process: the path of a file, or the bytes of a member of an archive."""
    with item.open() as stream:
        head = stream.read(1024)
        if not head:
            raise no_text(item.name)
        if b"%PDF-" not in head:
            raise damaged(item.name, _("it doesn't start like a PDF document"))
        if isinstance(item, DiskFile):
            return item.path
        blocks, length = [head], len(head)
        while block := stream.read(BLOCK):
            context.job.check()
            blocks.append(block)
            length += len(block)
            if length > MAX_DOCUMENT:
                raise too_large(item.name, MAX_DOCUMENT)
        return b"".join(blocks)
