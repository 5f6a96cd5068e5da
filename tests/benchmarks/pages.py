"""PDF documents and EPUB books in pages per second, compared with the bare library on the same pages.

    python -m tests.benchmarks.pages

The bare libraries return the characters in the order of the file, or the text of each tag; the readers order lines,
paragraphs and columns, join hyphenated words and remove running heads. Medians of processor time, measured alternately.
"""

import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from llm_studio.data.sources.stories.grammar import generate_stories

PAGE = 1800
"""Characters per page."""
PDF_PAGES, EPUB_PAGES, CHAPTER_PAGES, ROUNDS = 100, 1000, 20, 5
_LINE, _LINES = 90, 46


def main() -> None:
    """Print pages per second, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        pdf, epub = Path(folder) / "pages.pdf", Path(folder) / "book.epub"
        text = " ".join(" ".join(generate_stories("en", 2000, 0)).split())
        pages = [text[start : start + PAGE] for start in range(0, PAGE * EPUB_PAGES, PAGE)]
        _write_pdf(pdf, pages[:PDF_PAGES])
        _write_epub(epub, pages)
        _compare("PDF", PDF_PAGES, lambda: _pdf(pdf), lambda: _bare_pdf(pdf))
        _compare("EPUB", EPUB_PAGES, lambda: _epub(epub), lambda: _bare_epub(epub))


def _compare(kind: str, pages: int, ours: Callable[[], int], bare: Callable[[], int]) -> None:
    found, expected = ours(), bare()
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for _round in range(ROUNDS):
        for name, read in (("bare", bare), ("ours", ours)):
            began = time.process_time()
            read()
            times[name].append(time.process_time() - began)
    fast, slow = statistics.median(times["bare"]), statistics.median(times["ours"])
    print(f"{kind}: {pages / slow:,.0f} pages/s, the bare library {pages / fast:,.0f}: {slow / fast:.1f} times its "
          f"time; {found:,} characters, {expected:,}", flush=True)  # fmt: skip


def _pdf(path: Path) -> int:
    """The work of the PDF reader, in this process; the program does it in a child process."""
    from llm_studio.data.sources.readers.page_text import texts, without_running_heads
    from llm_studio.data.sources.readers.pdfium import decoded, pages_of

    shown, _heads = without_running_heads([decoded(message) for message in pages_of(path)])
    return sum(map(len, texts(shown)))


def _bare_pdf(path: Path) -> int:
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    return sum(len(document[n].get_textpage().get_text_range()) for n in range(len(document)))


def _epub(path: Path) -> int:
    from llm_studio.data.sources.readers.options import ReadOptions
    from llm_studio.data.sources.readers.read import SourceReader
    from llm_studio.jobs import Job

    return sum(len(chunk.text) for chunk in SourceReader(path, ReadOptions(), lambda _notice: None, Job()).chunks())


def _bare_epub(path: Path) -> int:
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  compiled, without types

    found = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".xhtml"):
                found += len("".join(etree.fromstring(archive.read(name)).itertext()))
    return found


# --- The files -------------------------------------------------------------------------------------------------------


def _write_pdf(path: Path, pages: list[str]) -> None:
    """A document with a running head and a page number on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for number, page in enumerate(pages, 1):
        stream = "\n".join(_shown(number, page))
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        kids.append(len(objects) + 1)
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
                       "/Resources << /Font << /F1 3 0 R >> >> >>")  # fmt: skip
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] /Count {len(kids)} >>"
    written, places = "%PDF-1.4\n", list[int]()
    for number, made in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{made}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    path.write_bytes(
        f"{written}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("ascii", "replace")
    )


def _shown(number: int, page: str) -> Iterator[str]:
    yield f"BT /F1 9 Tf 50 810 Td (The Story Book) Tj ET BT /F1 9 Tf 290 30 Td ({number}) Tj ET"
    text = page.replace("\\", "").replace("(", "").replace(")", "").encode("ascii", "replace").decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    for place, line in enumerate(lines[:_LINES]):
        yield f"BT /F1 11 Tf 50 {780 - 16 * place} Td ({line}) Tj ET"


def _write_epub(path: Path, pages: list[str]) -> None:
    chapters = ["\n".join(f"<p>{escape(page)}</p>" for page in pages[start : start + CHAPTER_PAGES])
                for start in range(0, len(pages), CHAPTER_PAGES)]  # fmt: skip
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
                         '<rootfiles><rootfile full-path="book.opf"/></rootfiles></container>')  # fmt: skip
        archive.writestr("book.opf", f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
                         f"<spine>{spine}</spine></package>")  # fmt: skip
        for n, chapter in enumerate(chapters):
            archive.writestr(f"c{n}.xhtml", '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head>'
                             f"<body><h1>Chapter {n + 1}</h1>\n{chapter}</body></html>")  # fmt: skip


if __name__ == "__main__":
    main()
