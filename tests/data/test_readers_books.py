"""Books and Word documents: notes, text boxes, hidden text, names that don't match, broken spines."""

import io
import random
import unicodedata
import zipfile
from pathlib import Path

import pytest

from llm_studio.errors import SourceError
from tests.data.making import WORD, account_of, documents, docx, epub, left_out, paragraph, written, zipped

CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
MISSING, HIDDEN = "chapters that a book lists but doesn’t hold", "hidden text"


def book(names: dict[str, str], hrefs: list[str], spine: str | None = None, extra: str = "") -> bytes:
    """A book of files by their names in the archive, which its list calls `hrefs`; each has its title as its text."""
    items = "".join(
        f'<item id="i{n}" href="{href}" media-type="application/xhtml+xml"/>' for n, href in enumerate(hrefs)
    )
    order = "".join(f'<itemref idref="i{n}"/>' for n in range(len(hrefs))) if spine is None else spine
    package = f"<package><manifest>{items}{extra}</manifest><spine>{order}</spine></package>"
    pages = {name: f"<html><body><p>{title}</p></body></html>" for name, title in names.items()}
    return zipped({"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package, **pages})


@pytest.mark.parametrize(
    ("name", "href"),
    [
        (unicodedata.normalize("NFD", "OEBPS/Mère.xhtml"), unicodedata.normalize("NFC", "Mère.xhtml")),
        ("OEBPS/C1.xhtml", "c1.XHTML"),
        ("OEBPS/a#1.xhtml", "a%231.xhtml"),
        ("OEBPS/a b.xhtml", "a%20b.xhtml"),
        ("OEBPS/Text/a.xhtml", "Text\\a.xhtml"),
        ("OEBPS/a.xhtml", "/OEBPS/a.xhtml"),
        ("OEBPS/Été.xhtml".encode().decode("cp437"), "%C3%89t%C3%A9.xhtml"),
    ],
)
def test_a_chapter_is_found_whatever_the_spelling_of_its_name(tmp_path: Path, name: str, href: str) -> None:
    path = written(tmp_path, "a.epub", book({"OEBPS/one.xhtml": "One", name: "Two"}, ["one.xhtml", href]))
    assert documents(path) == ["One\n\nTwo"]
    assert account_of(path).left_out == ()


def test_a_chapter_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.epub", book({"OEBPS/1.xhtml": "One"}, ["1.xhtml", "gone%20away.xhtml"]))
    assert documents(path) == ["One"]
    assert left_out(account_of(path)) == {MISSING: ["a.epub: gone away.xhtml"]}


def test_what_is_no_part_of_the_book_proper_comes_last(tmp_path: Path) -> None:
    spine = '<itemref idref="i0" linear="no"/><itemref idref="i1"/><itemref idref="i2"/>'
    names = {"OEBPS/n.xhtml": "Notes", "OEBPS/1.xhtml": "One", "OEBPS/2.xhtml": "Two"}
    path = written(tmp_path, "a.epub", book(names, ["n.xhtml", "1.xhtml", "2.xhtml"], spine))
    assert documents(path) == ["One\n\nTwo\n\nNotes"]


def test_without_a_spine_the_table_of_contents_gives_the_order(tmp_path: Path) -> None:
    names = {"OEBPS/b.xhtml": "Two", "OEBPS/a.xhtml": "One", "OEBPS/c.xhtml": "Three"}
    hrefs = ["b.xhtml", "a.xhtml", "c.xhtml"]
    assert documents(written(tmp_path, "a.epub", book(names, hrefs, ""))) == ["Two\n\nOne\n\nThree"]
    nav = '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    content = book(names, hrefs, '<itemref idref="nobody"/>', nav)
    links = '<html xmlns="http://www.w3.org/1999/xhtml"><a href="a.xhtml#x">1</a><a href="b.xhtml">2</a></html>'
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("OEBPS/nav.xhtml", links)
    assert documents(written(tmp_path, "b.epub", stream.getvalue())) == ["One\n\nTwo\n\nThree"]


def test_a_book_without_any_list_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    pages = {f"text/{n}.xhtml": f"<p>{n}</p>" for n in (1, 2, 3)}
    assert documents(written(tmp_path, "a.epub", zipped(pages))) == ["1\n\n2\n\n3"]


def test_an_encrypted_book_without_its_marker_is_recognised(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(20_000)
    content = epub({"a": "MARK" + "x" * len(noise)})
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info, noise if info.filename.endswith("a.xhtml") else old.read(info))
    with pytest.raises(SourceError, match="encrypted or protected"):
        documents(written(tmp_path, "a.epub", out.getvalue()))


# --- Word ----------------------------------------------------------------------------------------------------------


def run(text: str, properties: str = "") -> str:
    return f'<w:r>{f"<w:rPr>{properties}</w:rPr>" if properties else ""}<w:t xml:space="preserve">{text}</w:t></w:r>'


def with_parts(body: str, **parts: str) -> bytes:
    head = f'<?xml version="1.0"?><w:{{0}} xmlns:w="{WORD}">{{1}}</w:{{0}}>'
    return zipped({
        "[Content_Types].xml": "<Types/>", "word/document.xml": head.format("document", f"<w:body>{body}</w:body>"),
        **{f"word/{name}.xml": head.format(name, content) for name, content in parts.items()},
    })  # fmt: skip


def test_hidden_text_is_left_out_and_said(tmp_path: Path) -> None:
    shown = run("shown", '<w:vanish w:val="0"/>')
    body = f"<w:p>{run('seen ')}{run('HIDDEN', '<w:vanish/>')}{run('and ')}{shown}</w:p>"
    path = written(tmp_path, "a.docx", docx(body))
    assert documents(path) == ["seen and shown"]
    (entry,) = account_of(path).left_out
    assert (entry.reason, entry.first[0].detail) == (HIDDEN, "6 characters")


def test_notes_come_at_the_end_and_comments_are_left_out_and_said(tmp_path: Path) -> None:
    note = '<w:{0} w:type="separator" w:id="0">{2}</w:{0}><w:{0} w:id="1">{1}</w:{0}>'
    content = with_parts(
        paragraph("The text."),
        footnotes=note.format("footnote", paragraph("A footnote."), paragraph("line")),
        endnotes=note.format("endnote", paragraph("An endnote."), paragraph("line")),
        comments=f"<w:comment>{paragraph('A remark.')}</w:comment>",
    )
    path = written(tmp_path, "a.docx", content)
    assert documents(path) == ["The text.\n\nA footnote.\n\nAn endnote."]
    assert left_out(account_of(path)) == {"comments": ["a.docx"]}


def test_a_text_box_is_a_paragraph_of_its_own(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{paragraph('Box text.')}{paragraph('More.')}</w:txbxContent>"
    both = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    body = f'<w:p xmlns:mc="x">{run("Before box. ")}<w:r>{both}</w:r>{run("After box.")}</w:p>{paragraph("Next.")}'
    assert documents(written(tmp_path, "a.docx", docx(body))) == [
        "Before box. After box.\n\nBox text.\n\nMore.\n\nNext."
    ]


def test_of_tracked_changes_the_final_text_is_read(tmp_path: Path) -> None:
    body = (
        f"<w:p>{run('kept ')}<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins>{run('added')}</w:ins></w:p>"
    )
    assert documents(written(tmp_path, "a.docx", docx(body))) == ["kept added"]
