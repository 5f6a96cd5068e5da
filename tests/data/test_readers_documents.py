"""Documents: web pages, books, Word, PDF, subtitles."""

import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_studio.data.sources.readers import worker_process
from llm_studio.data.sources.readers.worker_process import WorkerProcess
from llm_studio.errors import Cancelled, DamagedFileError, SourceError
from llm_studio.jobs import Job
from tests.data.making import documents, docx, epub, paragraph, pdf, written, zipped

# --- Web pages ---------------------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><title>Head</title><style>p{}</style></head><body>
<nav><a href=/>Home</a></nav><div class="breadcrumb">You are here</div>
<ul><li><a href=1>First</a></li><li><a href=2>Second</a></li><li><a href=3>Third</a></li><li><a href=4>Fourth</a></ul>
<main><h1>The Fox</h1><p>Once upon a&nbsp;time,
   a <b>fox</b> r&eacute;sts &amp; <a href=x>runs</a>.<p>One<br>two<br><br>three
<script>var x = "<p>not seen</p>";</script><p hidden>hidden</p><p style="display: none">hidden</p>
<table><tr><th>a</th><th>b</th></tr><tr><td>1<td>2</table><pre>
  as
    written
</pre><p><a href=y>A single link stays.</a></p></main><footer>All rights</footer></body></html>"""


def test_a_web_page_becomes_what_a_reader_sees(tmp_path: Path) -> None:
    assert documents(written(tmp_path, "a.html", PAGE)) == [
        "The Fox\n\nOnce upon a\xa0time, a fox résts & runs.\n\nOne\ntwo\n\nthree\n\na\tb\n1\t2\n\n"
        "  as\n    written\n\n"
        "A single link stays."
    ]


def test_the_encoding_that_a_page_names_is_used(tmp_path: Path) -> None:
    russian = "<html><head><meta charset=windows-1251></head><body><p>Все счастливые семьи</p></body></html>"
    notices: list[str] = []
    assert documents(written(tmp_path, "a.html", russian.encode("cp1251")), notices) == ["Все счастливые семьи"]
    assert notices == []
    lying = "<html><meta charset=iso-8859-1><p>Il était une fois</p></html>"
    assert documents(written(tmp_path, "b.html", lying.encode())) == ["Il était une fois"]


def test_markup_that_is_broken_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    for content, text in (
        ("no markup at all", "no markup at all"),
        ("<p>never closed <b>twice", "never closed twice"),
        ("</div></p>after <i>", "after"),
        ("<div>" * 20_000 + "deep", "deep"),
        ("a < b & c > d", "a < b & c > d"),
        ("<p>" + "word " * 100_000 + "</p>", ("word " * 100_000).strip()),
    ):
        assert documents(written(tmp_path, "a.htm", content)) == [text]


def test_a_page_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no text in"):
        documents(written(tmp_path, "a.html", "<html><head><title>x</title></head><body><script>1</script></body>"))


# --- Books -------------------------------------------------------------------------------------------------------


def chapter(text: str) -> str:
    return f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{text}</body></html>'


def test_a_book_is_one_document_in_the_order_of_its_spine(tmp_path: Path) -> None:
    book = epub(
        {"b": chapter('<h1>Two</h1><p><a id="x"/>fox&#8217;s &eacute;</p>'), "a": chapter("<h1>One</h1><p>run</p>")},
        spine=["a", "b", "a", "ghost"],
    )
    assert documents(written(tmp_path, "a.epub", book)) == ["One\n\nrun\n\nTwo\n\nfox’s é"]


def test_a_locked_book_says_so(tmp_path: Path) -> None:
    locks = '<encryption><EncryptedData><CipherReference URI="OEBPS/a.xhtml"/></EncryptedData></encryption>'
    book = epub({"a": chapter("x")}, more={"META-INF/encryption.xml": locks})
    with pytest.raises(SourceError, match="protected"):
        documents(written(tmp_path, "a.epub", book))


@pytest.mark.parametrize(
    "members", [{"a.txt": "x"}, {"META-INF/container.xml": ""}, {"META-INF/container.xml": "<a/>"}]
)
def test_an_archive_that_is_no_book_is_refused(tmp_path: Path, members: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=r"a\.epub” is damaged"):
        documents(written(tmp_path, "a.epub", zipped(members)))


# --- Word --------------------------------------------------------------------------------------------------------


def test_paragraphs_lists_and_tables_of_word_are_read(tmp_path: Path) -> None:
    point = "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>"
    cell = "<w:tc>" + paragraph("{}") + "</w:tc>"
    row = f"<w:tr>{cell}{cell}</w:tr>"
    body = (
        paragraph("One &amp; <![CDATA[<two>]]>") + paragraph("") + point.format("a") + point.format("b")
        + f"<w:tbl>{row.format('1', '2')}{row.format('3', '4')}</w:tbl>"
        + "<w:p><w:r><w:t>up</w:t><w:br/><w:t>down</w:t><w:tab/><w:instrText>PAGE</w:instrText></w:r>"
        + "<w:del><w:r><w:t>gone</w:t></w:r></w:del></w:p>"
    )  # fmt: skip
    assert documents(written(tmp_path, "a.docx", docx(body))) == ["One & <two>\n\na\nb\n\n1\t2\n3\t4\n\nup\ndown"]


def test_a_document_with_a_password_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="protected"):
        documents(written(tmp_path, "a.docx", b"\xd0\xcf\x11\xe0" + bytes(5000)))


# --- PDF ---------------------------------------------------------------------------------------------------------


def test_the_pages_of_a_pdf_are_one_document(tmp_path: Path) -> None:
    first = [
        "The Fox",
        "Once upon a time a fox ran over the hill, to-",
        "wards the wood and the river where it had",
        "slept.",
    ]
    path = written(tmp_path, "a.pdf", pdf(first, ["Page two."], []))
    assert documents(path) == [
        "The Fox\nOnce upon a time a fox ran over the hill, towards the wood and the river where it had slept.\n\n"
        "Page two."
    ]


def test_a_scanned_pdf_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="scanned"):
        documents(written(tmp_path, "a.pdf", pdf([], [])))
    with pytest.raises(DamagedFileError, match=r"damaged.*opens in your PDF reader") as raised:
        documents(written(tmp_path, "b.pdf", b"%PDF-1.4\nnothing more"))
    assert raised.value.detail not in ("", str(raised.value))
    assert raised.value.detail in "".join(traceback.format_exception(raised.value)), "copied with the details"


def test_a_pdf_with_a_password_says_so(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(written(tmp_path, "a.pdf", pdf(["text"]))))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(tmp_path / "b.pdf")
    with pytest.raises(SourceError, match="protected by a password"):
        documents(tmp_path / "b.pdf")


# --- The process of its own --------------------------------------------------------------------------------------


def misbehave(source: Path | bytes) -> Iterator[str]:
    """What a library may do with a hostile file, named in `source`."""
    yield "first"
    if source == b"hang":
        time.sleep(60)
    if source == b"grow":
        held = [bytearray(b"x") * 50_000_000 for _ in range(20)]
        time.sleep(60 + len(held))
    if source == b"die":
        import os

        os._exit(3)
    if source == b"raise":
        raise RecursionError("too deep")
    yield "last"


def test_a_library_that_hangs_grows_dies_or_raises_costs_only_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        worker_process, "TIMEOUT", 8.0 if sys.platform == "win32" else 3.0
    )  # a process starts slowly there
    other = WorkerProcess(misbehave)
    try:
        assert list(other.results(b"fine", "a", Job())) == ["first", "last"]
        for source, what in ((b"hang", "takes too long"), (b"die", "reading it failed"), (b"raise", "too deep")):
            with pytest.raises(SourceError, match=what):
                list(other.results(source, "a", Job()))
        monkeypatch.setattr(worker_process, "TIMEOUT", 20.0)
        monkeypatch.setattr(worker_process, "MAX_MEMORY", 500_000_000)
        with pytest.raises(SourceError, match="too much memory"):
            list(other.results(b"grow", "a", Job()))
        assert list(other.results(b"fine", "a", Job())) == ["first", "last"]
    finally:
        other.end()


def test_a_file_that_hangs_can_be_stopped_at_once() -> None:
    other, job = WorkerProcess(misbehave), Job()
    parts = other.results(b"hang", "a", job)
    assert next(parts) == "first"
    job.request_stop()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        next(parts)
    assert time.monotonic() - began < 2


# --- Subtitles ---------------------------------------------------------------------------------------------------


def test_only_what_is_spoken_is_read_of_subtitles(tmp_path: Path) -> None:
    content = (
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,500 X1:1\r\n<i>Hello there,</i>\r\nmy\r\n\r\n"
        "2\r\n00:00:03.000 --> 00:00:04.000\r\n{\\an8}<font color=#fff>friend.</font>\r\n\r\n"
        "3\r\n00:00:05,000 --> 00:00:06,000\r\n- How many?\r\n- 5 < 6\r\n\r\n"
        "4\r\n00:00:07,000 --> 00:00:08,000\r\n42\r\n"
    )
    assert documents(written(tmp_path, "a.srt", content)) == ["Hello there, my friend.\n- How many?\n- 5 < 6 42"]
