"""Small files of every kind, made by hand, for the tests of the readers."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape as xml_escape

from llm_studio.data.sources.account import Account
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import SourceReader
from llm_studio.jobs import Job

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def documents(path: Path, notices: list[str] | None = None, job: Job | None = None, **options: Any) -> list[str]:
    """The documents in `path`."""
    said: list[str] = []
    reading = SourceReader(path, ReadOptions(**options), (said if notices is None else notices).append, job or Job())
    out, text = [], ""
    for chunk in reading.chunks():
        text += chunk.text
        if chunk.ends:
            out.append(text)
            text = ""
    assert text == ""
    return out


def account_of(path: Path, **options: Any) -> Account:
    """What is read and left out of `path`."""
    reading = SourceReader(path, ReadOptions(**options), lambda _notice: None, Job())
    for _chunk in reading.chunks():
        pass
    return reading.account


def left_out(account: Account) -> dict[str, list[str]]:
    """The names of what was left out, by reason."""
    assert all(entry.count == len(entry.first) or len(entry.first) == 10 for entry in account.left_out)
    return {entry.reason: [named.name for named in entry.first] for entry in account.left_out}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with that content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return stream.getvalue()


def tarred(members: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    """A .tar; `links` are symbolic links in it, with their targets."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            out.addfile(info)
    return stream.getvalue()


def zstd(content: bytes) -> bytes:
    """`content`, compressed as .zst."""
    import pyarrow as pa

    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as out:
        out.write(content)
    return stream.getvalue().to_pybytes()


def docx(body: str, head: str = "") -> bytes:
    """A Word document with that XML inside its body."""
    document = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": document})


def paragraph(text: str) -> str:
    """The XML of a paragraph of a Word document."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def odt(body: str, head: str = "") -> bytes:
    """An OpenDocument text with that XML inside its body."""
    names = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
                     for name in ("office", "text", "table"))  # fmt: skip
    content = (
        f'<?xml version="1.0"?>{head}<office:document-content {names}><office:body><office:text>{body}'
        "</office:text></office:body></office:document-content>"
    )
    return zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})


def xlsx(*sheets: Sequence[Sequence[str]], hidden: Sequence[int] = ()) -> bytes:
    """A spreadsheet with these rows of texts in its sheets; the sheets `hidden` aren't shown."""
    strings = sorted({cell for sheet in sheets for row in sheet for cell in row if cell})
    shared = "".join(f'<si><t xml:space="preserve">{xml_escape(text)}</t></si>' for text in strings)
    listed = "".join(f'<sheet name="S{n}" id="r{n}"{" state=" + chr(34) + "hidden" + chr(34) if n in hidden else ""}/>'
                     for n in range(len(sheets)))  # fmt: skip
    relations = "".join(f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml"/>' for n in range(len(sheets)))
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>", "xl/workbook.xml": f"<workbook><sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{relations}</Relationships>",
        "xl/sharedStrings.xml": f"<sst>{shared}</sst>",
    }  # fmt: skip
    for n, sheet in enumerate(sheets):
        rows_of = "".join(
            f'<row r="{y}">' + "".join(f'<c r="{chr(65 + x)}{y}" t="s"><v>{strings.index(cell)}</v></c>'
                                       for x, cell in enumerate(row) if cell) + "</row>"
            for y, row in enumerate(sheet, 1)
        )  # fmt: skip
        parts[f"xl/worksheets/sheet{n}.xml"] = f"<worksheet><sheetData>{rows_of}</sheetData></worksheet>"
    return zipped(parts)


def epub(chapters: Mapping[str, str], spine: Sequence[str] = (), more: Mapping[str, str] | None = None) -> bytes:
    """A book; `spine` is the order of its chapters, that of `chapters` where it isn't given."""
    items = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in chapters)
    order = "".join(f'<itemref idref="{name}"/>' for name in spine or chapters)
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{order}</spine></package>'
    )
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    return zipped({
        "mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package,
        **{f"OEBPS/{name}.xhtml": page for name, page in chapters.items()}, **(more or {}),
    })  # fmt: skip


def pdf(*pages: Sequence[str]) -> bytes:
    """A PDF document whose pages have these lines."""
    return drawn(*(text_at([(72, 720 - 14 * n, line) for n, line in enumerate(lines)]) for lines in pages))


def text_at(lines: Sequence[tuple[float, float, str]], size: float = 12, turn: str = "1 0 0 1") -> str:
    """What draws each text from that point on; `turn`: the matrix of their direction."""
    shown = (f"{turn} {x} {y} Tm ({_escaped(line)}) Tj" for x, y, line in lines)
    return f"BT /F1 {size} Tf {' '.join(shown)} ET"


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "()\\" else letter for letter in text)


def drawn(*pages: str, rotate: int = 0, letters: Mapping[str, str] | None = None) -> bytes:
    """A PDF document whose pages are drawn so, in Helvetica. `letters`: what some of its characters stand for."""
    names = "".join(f"<{ord(code):02x}><{text.encode('utf-16-be').hex()}>" for code, text in (letters or {}).items())
    cmap = f"begincmap 1 begincodespacerange<00><ff>endcodespacerange {len(letters or {})} beginbfchar {names}endbfchar"
    font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding" + "/ToUnicode 4 0 R" * bool(letters)
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", f"{font}>>".encode(), _stream(cmap)]
    kids: list[str] = []
    for content in pages:
        objects.append(_stream(content))
        page = (
            f"<</Type/Page/Parent 2 0 R/Rotate {rotate}/Resources<</Font<</F1 3 0 R>>>>/Contents {len(objects)} 0 R>>"
        )
        objects.append(page.encode())
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(kids)}/MediaBox[0 0 612 792]>>".encode()
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return (
        out + head + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    )


def _stream(content: str) -> bytes:
    data = content.encode("cp1252")
    return b"<</Length %d>>stream\n%b\nendstream" % (len(data), data)


def rows(texts: Sequence[str], delimiter: str = ",", names: Sequence[str] = ("id", "text")) -> str:
    """A table with these texts in its last column."""
    stream = io.StringIO()
    out = csv.writer(stream, delimiter=delimiter)
    out.writerow(names)
    out.writerows([*range(len(names) - 1), text] for text in texts)
    return stream.getvalue()


def parquet(columns: Mapping[str, Sequence[object]]) -> bytes:
    """A Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), stream)
    return stream.getvalue()


def notebook(cells: Sequence[tuple[str, str]], **more: object) -> str:
    """A Jupyter notebook with these cells: the type and the text of each."""
    found = [
        {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True), **more} for kind, text in cells
    ]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def latex(body: str) -> str:
    """A document of LaTeX."""
    return f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def mailbox(messages: Sequence[str]) -> str:
    """A mailbox with these messages, or texts of messages."""
    headed = (text if text.startswith(("Content-", "MIME-")) else f"Subject: a\n\n{text}" for text in messages)
    return "\n".join(f"From someone Thu Jan  1 00:00:00 2024\n{text}\n" for text in headed)


def wiki(pages: Sequence[tuple[str, str]], more: str = "") -> str:
    """A dump of a wiki with these articles, and further XML."""
    names = '<namespace key="6">Fichier</namespace><namespace key="14">Catégorie</namespace>'
    articles = "".join(
        f"<page><title>{xml_escape(title)}</title><ns>0</ns><revision><text>{xml_escape(text)}</text></revision></page>"
        for title, text in pages
    )
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"><siteinfo><namespaces>'
        f"{names}</namespaces></siteinfo>{articles}{more}</mediawiki>"
    )


def telegram_chat(
    messages: Sequence[tuple[str, object]], kind: str = "personal_chat", **more: object
) -> dict[str, Any]:
    """A chat of Telegram: who says what, one message a minute."""
    found: list[dict[str, object]] = [
        {"id": n, "type": "message", "date": f"2024-03-12T10:{n:02}:00", "from": name, "from_id": name, "text": text,
         "text_entities": [], **more}
        for n, (name, text) in enumerate(messages)
    ]  # fmt: skip
    return {"name": "Chat", "type": kind, "id": 1, "messages": found}


def telegram(messages: Sequence[tuple[str, object]]) -> str:
    """The export of one such chat."""
    return json.dumps(telegram_chat(messages), ensure_ascii=False)


def discord(messages: Sequence[tuple[str, str]], **more: object) -> str:
    """An export by DiscordChatExporter."""
    found = [
        {"id": str(n), "type": "Default", "timestamp": f"2024-03-12T10:{n:02}:00+00:00", "content": text,
         "author": {"id": name, "name": name.lower(), "nickname": name}, "attachments": [], **more}
        for n, (name, text) in enumerate(messages)
    ]  # fmt: skip
    channel = {"id": "1", "type": "DirectTextChat", "name": "x"}
    return json.dumps({"guild": {"id": "0", "name": "DM"}, "channel": channel, "messages": found}, ensure_ascii=False)


def one_of_each(text: str = "Once upon a time, a fox ran.") -> dict[str, bytes]:
    """A sound file of every kind, by its name, with this text in it."""
    page = f"<html><body><p>{text}</p></body></html>"
    line = json.dumps({"text": text})
    files: dict[str, str | bytes] = {
        "a.txt": text, "a.md": text, "a.jsonl": line, "a.json": f"[{line}]", "a.csv": rows([text]),
        "a.tsv": rows([text], "\t"), "a.parquet": parquet({"text": [text]}), "a.html": page, "a.htm": page,
        "a.epub": epub({"one": page}), "a.docx": docx(paragraph(text)),
        "a.xlsx": xlsx([["id", "text"], ["1", text]]),
        "a.odt": odt(f"<text:p>{text}</text:p>"), "a.rtf": f"{{\\rtf1\\ansi {text}\\par}}", "a.pdf": pdf([text]),
        "a.srt": f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n", "a.zip": zipped({"in/a.txt": text}),
        "a.txt.gz": gzip.compress(text.encode(), mtime=0), "a.ndjson": line, "a.xhtml": page, "a.py": text,
        "README": text,
        "a.vtt": f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n", "a.tar": tarred({"in/a.txt": text.encode()}),
        "a.txt.bz2": bz2.compress(text.encode()), "a.txt.xz": lzma.compress(text.encode()),
        "a.ipynb": notebook([("markdown", text)]), "a.tex": text, "a.latex": text,
        "a.eml": f"Subject: a\n\n{text}\n", "a.mbox": mailbox([text]), "a.xml": wiki([("", text)]),
        "telegram.json": telegram([("", text)]),
        "discord.json": discord([("", text)]),
        "a.txt.zst": zstd(text.encode()), "a.tgz": gzip.compress(tarred({"in/a.txt": text.encode()}), mtime=0),
        "a.tbz2": bz2.compress(tarred({"in/a.txt": text.encode()})),
        "a.txz": lzma.compress(tarred({"in/a.txt": text.encode()})),
        "a.tzst": zstd(tarred({"in/a.txt": text.encode()})),
    }  # fmt: skip
    return {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
