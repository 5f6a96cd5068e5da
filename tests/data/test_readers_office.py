"""OpenDocument and RTF: what is written in them is read again; notes, tables, hidden text; damage is refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.sources import expansion
from llm_studio.data.sources.readers import rtf
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, left_out, odt, written, xlsx, zipped

again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
WORDS = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from("\\{}<>&;éœ’—я日😀"), min_size=1, max_size=12
)
PARAGRAPHS = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=6)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_rtf(text: str) -> str:
    units = text.encode("utf-16-le")
    codes = [int.from_bytes(units[n : n + 2], "little") for n in range(0, len(units), 2)]
    return "".join(
        f"\\{chr(code)}" if chr(code) in "\\{}" else chr(code) if code < 128 else f"\\u{code - (code >> 15 << 16)}?"
        for code in codes
    )


@again
@given(PARAGRAPHS, st.integers(80, 400))
def test_what_is_written_as_rtf_or_odt_is_read_again(tmp_path: Path, paragraphs: list[str], block: int) -> None:
    body = "".join(f"<text:p>{escaped(text)}</text:p>" for text in paragraphs)
    assert documents(written(tmp_path, "a.odt", odt(body))) == ["\n\n".join(paragraphs)]
    content = "{\\rtf1\\ansi\\uc1 " + "\\par\n".join(map(as_rtf, paragraphs)) + "}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rtf, "_BLOCK", block)
        assert documents(written(tmp_path, "a.rtf", content)) == ["\n\n".join(paragraphs)]


# --- OpenDocument --------------------------------------------------------------------------------------------------


def test_an_opendocument_text_with_all_that_it_can_hold(tmp_path: Path) -> None:
    note = (
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p>"
        "</text:note-body></text:note>"
    )
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:h>Title</text:h>"
        f'<text:p>One{note} <text:span>word</text:span>,<text:tab/>two<text:s text:c="3"/>three<text:line-break/>four.'
        "<office:annotation><text:p>remark</text:p></office:annotation></text:p>"
        "<text:list><text:list-item><text:p>a</text:p></text:list-item><text:list-item><text:p>b</text:p>"
        "</text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>x</text:p><text:p>y</text:p></table:table-cell>"
        "<table:table-cell><text:p>z</text:p></table:table-cell></table:table-row></table:table>"
        "<text:p>seen<text:hidden-text>not seen</text:hidden-text></text:p>"
    )
    path = written(tmp_path, "a.odt", odt(body))
    assert documents(path) == ["Title\n\nOne word,\ttwo   three\nfour.\n\na\nb\nx y\tz\n\nseen\n\nA note."]
    assert left_out(account_of(path)) == {"hidden text": ["a.odt"], "comments": ["a.odt"]}


def test_a_protected_or_damaged_opendocument_text_is_refused(tmp_path: Path) -> None:
    manifest = "<manifest><encryption-data/></manifest>"
    with pytest.raises(SourceError, match="protected by a password"):
        documents(written(tmp_path, "a.odt", zipped({"content.xml": b"\0\1", "META-INF/manifest.xml": manifest})))
    for content in (zipped({"x": "y"}), odt("<text:p>a</text:p>")[:-40], b"x", zipped({"content.xml": "<a><b>"})):
        with pytest.raises(SourceError, match="damaged"):
            documents(written(tmp_path, "b.odt", content))
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">]>'
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "c.odt", odt("<text:p>&a;</text:p>", laughs)))


# --- RTF -----------------------------------------------------------------------------------------------------------

WORDPAD = r"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil\fcharset0 Calibri;}{\f1\fnil\fcharset204 Arial;}}
{\colortbl ;\red255\green0\blue0;}{\*\generator Riched20 10.0;}{\info{\title A title}}
{\header\pard The header\par}
\viewkind4\uc1\pard\sa200\f0\fs22\lang12 L'\'e9t\'e9, \b d\'e9j\'e0\b0  l\rquote hiver\par
\f1\'cf\'f0\'e8\'e2\'e5\'f2\f0\par
See{\super 1}{\footnote\pard\plain {\super 1} A note.} here.\par
{\v hidden}{\pict\wmetafile8 0102030405}Line\line break.\par
\trowd\cellx100\cellx200\pard\intbl x\cell y\cell\row\trowd\pard\intbl 1\cell 2\cell\row
{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt a link}}\par
}"""


def test_an_rtf_document_of_a_word_processor(tmp_path: Path) -> None:
    path = written(tmp_path, "a.rtf", WORDPAD)
    assert documents(path) == [
        "L'été, déjà l’hiver\n\nПривет\n\nSee1 here.\n\nLine\nbreak.\n\nx\ty\n1\t2\na link\n\n1 A note."
    ]
    assert left_out(account_of(path)) == {"hidden text": ["a.rtf"]}


def test_binary_data_and_deep_groups_in_an_rtf_document(tmp_path: Path) -> None:
    content = b"{\\rtf1 before {\\pict\\bin9 }}}\\par{}}after}"
    assert documents(written(tmp_path, "a.rtf", content)) == ["before after"]
    assert documents(written(tmp_path, "b.rtf", b"{\\rtf1 " + b"{" * 100_000 + b"deep")) == ["deep"]
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "c.rtf", "no such document"))


def test_hidden_text_and_line_ends_within_a_paragraph_of_an_rtf_document(tmp_path: Path) -> None:
    path = written(tmp_path, "a.rtf", r"{\rtf1 seen\v  secret\v0  again\line{ }\tab next\v  secret\plain  end}")
    assert documents(path) == ["seen again\nnext end"]
    assert left_out(account_of(path)) == {"hidden text": ["a.rtf"]}


def test_of_an_rtf_document_no_more_is_held_than_a_paragraph_and_the_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtf, "_BLOCK", 1 << 10)
    monkeypatch.setattr(rtf, "_MAX_HELD", 1 << 14)
    long, many = "word " * 10_000, "word\\par " * 10_000
    assert documents(written(tmp_path, "a.rtf", f"{{\\rtf1 {many}}}")) == ["\n\n".join(["word"] * 10_000)]
    picture = "0a1b" * 10_000
    assert documents(written(tmp_path, "b.rtf", f"{{\\rtf1 text{{\\pict {picture}}}}}")) == ["text"]
    for content in (long, f"a{{\\footnote {long}}}", f"a{{\\footnote {many}}}"):
        with pytest.raises(SourceError, match="too large"):
            documents(written(tmp_path, "c.rtf", f"{{\\rtf1 {content}}}"))


# --- Spreadsheets --------------------------------------------------------------------------------------------------


@again
@given(st.lists(st.tuples(WORDS, PARAGRAPHS.map("\n".join)), min_size=1, max_size=6))
def test_what_is_written_in_a_spreadsheet_is_read_again(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = written(tmp_path, "a.xlsx", xlsx([["key", "", "text"], *([key, "", text] for key, text in rows)]))
    assert documents(path, text_field="text") == [text for _key, text in rows]


def test_the_sheets_of_a_spreadsheet_are_read_in_order_and_hidden_ones_left_out(tmp_path: Path) -> None:
    head = ["id", "texte"]
    first = [["Export du 3 mars"], head, ["1", "Un premier texte."], ["2"], ["3", "Un deuxième texte."]]
    path = written(tmp_path, "a.xlsx", xlsx(first, [head, ["4", "caché"]], [head, ["5", "Un autre."]], hidden=[1]))
    assert documents(path) == ["Un premier texte.", "Un deuxième texte.", "Un autre."]
    assert left_out(account_of(path)) == {
        "hidden sheets": ["a.xlsx: S1"], "above the header of a table": ["a.xlsx, row 1"],
        "without text": ["a.xlsx, row 4"],
    }  # fmt: skip
    seen = inspect_path(path, ReadOptions(), Job())
    assert [column.name for column in seen.columns] == head and seen.text_field == "texte"


def test_cells_of_every_kind_and_damaged_spreadsheets(tmp_path: Path) -> None:
    cells = (
        '<row><c t="inlineStr"><is><t>text</t></is></c><c t="str"><v>n</v></c></row>'
        '<row><c t="inlineStr"><is><r><t>rich </t></r><r><t>words here</t></r></is></c><c><f>1+1</f><v>2</v></c></row>'
        '<row><c t="s"><v>99</v></c><c t="e"><v>#DIV/0!</v></c></row><row><c r="ZZZ9" t="str"><v>far</v></c></row>'
    )
    parts = {"xl/workbook.xml": "<workbook/>", "xl/worksheets/sheet1.xml": f"<worksheet>{cells}</worksheet>"}
    assert documents(written(tmp_path, "a.xlsx", zipped(parts))) == ["rich words here"]
    laughs = {**parts, "xl/workbook.xml": '<!DOCTYPE x [<!ENTITY a "ha">]><workbook>&a;</workbook>'}
    for content in (zipped({"x": "y"}), xlsx([["a"]])[:-40], b"x", zipped(laughs)):
        with pytest.raises(SourceError, match="damaged"):
            documents(written(tmp_path, "b.xlsx", content))
    with pytest.raises(SourceError, match="protected by a password"):
        documents(written(tmp_path, "c.xlsx", b"\xd0\xcf\x11\xe0" + b"x" * 500))


def test_a_text_that_is_in_a_spreadsheet_many_times_counts_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 1 << 20)
    path = written(tmp_path, "a.xlsx", xlsx([["text"], *[["word " * 2000]] * 2000]))
    assert path.stat().st_size < 50_000
    with pytest.raises(SourceError, match="like an archive bomb"):
        documents(path)
