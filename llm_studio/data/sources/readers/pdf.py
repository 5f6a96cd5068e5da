"""PDF documents: their text page by page, read in a worker process because a malformed file can hang the library."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import PAGE_WITHOUT_TEXT, PAGES
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.errors import damaged, no_text, password_protected, too_large
from llm_studio.data.sources.readers.items import BLOCK, MAX_DOCUMENT, DiskFile, InputFile
from llm_studio.data.sources.readers.worker_process import Refused
from llm_studio.errors import DamagedFileError, SourceError
from llm_studio.files import open_regular
from llm_studio.i18n import _, number

_PROTECTED = "protected"
_HYPHENS = "-\u2010\xad"
_LONG_LINE = 0.6
"""Lines of at least this fraction of the longest one can continue in the next line."""


def read_pdf(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The pages as one document, separated by blank lines."""
    found, blank = False, list[int]()
    try:
        for n, page in enumerate(
            context.workers.get(pages_of).results(_source(item, context), item.name, context.job), 1
        ):
            text = reflow(page)
            if text:
                yield Chunk(("\n\n" if found else "") + text, False)
                found = True
            else:
                blank.append(n)
    except Refused:
        raise password_protected(item.name) from None
    except DamagedFileError as error:
        error.to_do = _("Download or save it again, then check that it opens in your PDF reader.")
        raise
    if not found:
        raise SourceError(
            _("{path} contains no text, only images of pages: it was scanned.").format(path=item.name),
            _("Convert it to text with an OCR program first."),
        )
    name = context.account.relative(item.name)
    for n in blank:
        context.account.leave_out(PAGES, PAGE_WITHOUT_TEXT, _("{path}, page {n}").format(path=name, n=number(n)))
    yield Chunk("", True)


def _source(item: InputFile, context: Context) -> Path | bytes:
    """What the worker process can open: the path of a file, or the bytes of a member of an archive."""
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


def reflow(page: str) -> str:
    """Join the lines of a page where a word is hyphenated or a sentence continues in the next line.

    Short lines (titles, page numbers, verses) are kept.
    """
    lines = [line.strip() for line in page.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    longest = max(map(len, lines), default=0)
    out: list[str] = []
    last = ""  # the previous line as printed
    for line in lines:
        continues = bool(out) and bool(last) and bool(line) and line[0].islower()
        if continues and last[-1] in _HYPHENS and last[-2:-1].isalpha():
            out[-1] = out[-1][:-1] + line
        elif continues and len(last) >= longest * _LONG_LINE:
            out[-1] += " " + line
        else:
            out.append(line)
        last = line
    return re.sub("\n{3,}", "\n\n", "\n".join(out)).strip("\n")


def pages_of(source: Path | bytes) -> Iterator[str]:
    """Yield the text of each page; runs in the worker process. Raises Refused where a password is required."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)
    with open_regular(source) if isinstance(source, Path) else io.BytesIO(source) as stream:
        try:
            reader = PdfReader(stream, strict=False)
            if reader.is_encrypted and not reader.decrypt(""):
                raise Refused(_PROTECTED)
            for page in reader.pages:
                yield page.extract_text()
        except (DependencyError, FileNotDecryptedError, WrongPasswordError):
            raise Refused(_PROTECTED) from None
