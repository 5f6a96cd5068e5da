"""Kinds of plain text that people have: subtitles, source code, tables of Excel, web pages with notes, archives."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_studio.data.sources import expansion
from llm_studio.data.sources.readers import tar_files
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.items import suffix_of
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import account_of, documents, epub, left_out, tarred, written, zipped, zstd

KIND = "of a kind that isn’t read"


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd
}  # fmt: skip


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_file_and_a_compressed_tar_are_read(tmp_path: Path, kind: str) -> None:
    text = "Once upon a time, a fox ran.\n" * 10_000
    path = written(tmp_path, f"a.txt.{kind}", PACK[kind](text.encode()))
    assert documents(path) == [text]
    assert inspect_path(path, ReadOptions(), Job()).kind == "txt"
    archive = PACK[kind](tarred({"in/a.txt": b"one", "b.md": b"two", "c.exe": b"MZ"}))
    for name in (f"a.tar.{kind}", f"b.t{kind}"):
        path = written(tmp_path, name, archive)
        assert documents(path) == ["two", "one"]
        assert left_out(account_of(path)) == {KIND: ["c.exe"]}
        assert inspect_path(path, ReadOptions(), Job()).files == 2
    whole = PACK[kind](b"some words in a row. " * 50_000)
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, f"cut.txt.{kind}", whole[: len(whole) // 2]))
    with pytest.raises(SourceError, match=r"damaged|no text"):
        documents(written(tmp_path, f"random.txt.{kind}", b"no such file at all"))


def test_several_streams_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    for kind in ("gz", "bz2", "xz"):
        content = PACK[kind](b"one ") + PACK[kind](b"two")
        assert documents(written(tmp_path, f"a.txt.{kind}", content)) == ["one two"]
    padded = PACK["xz"](b"one ") + bytes(200_000) + PACK["xz"](b"two")
    assert documents(written(tmp_path, "b.txt.xz", padded)) == ["one two"]


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_bomb_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 1 << 20)
    bomb = b"word " * 4_000_000
    for name, content in ((f"a.txt.{kind}", bomb), (f"a.tar.{kind}", tarred({"a.txt": bomb}))):
        with pytest.raises(SourceError, match="like an archive bomb"):
            documents(written(tmp_path, name, PACK[kind](content)))


def test_an_xz_that_wants_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    filters = [
        {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 3}
    ]
    try:
        content = lzma.compress(b"text", filters=filters)
    except MemoryError:
        pytest.skip("not enough memory to make one")
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "a.txt.xz", content))


def test_nothing_of_a_tar_leads_outside_and_every_member_is_counted(tmp_path: Path) -> None:
    written(tmp_path, "secret.txt", "the secret")
    content = tarred({"../up.txt": b"up", "/abs.txt": b"abs", "a.txt": b"a"},
                     {"link.txt": "../secret.txt", "to-a.txt": "a.txt"})  # fmt: skip
    path = written(tmp_path, "in/a.tar", content)
    before = sorted(tmp_path.rglob("*"))
    assert sorted(documents(path)) == ["a", "abs", "up"]
    assert sorted(tmp_path.rglob("*")) == before
    account = account_of(path)
    assert left_out(account) == {"links in an archive": ["link.txt", "to-a.txt"]}
    assert account.files_seen == 5


def test_a_tar_with_a_name_of_gigabytes_or_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    huge = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 5_000_000
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "a.tar", huge))
    monkeypatch.setattr(tar_files, "MAX_ENTRIES", 5)
    with pytest.raises(SourceError, match="too many files"):
        documents(written(tmp_path, "b.tar", tarred({f"{n}.txt": b"x" for n in range(6)})))


def test_a_tar_in_a_zip_and_a_zip_in_a_tar_are_read_and_nothing_deeper(tmp_path: Path) -> None:
    packed = gzip.compress(tarred({"a.txt": b"deep"}))
    assert documents(written(tmp_path, "a.zip", zipped({"in.tar.gz": packed}))) == ["deep"]
    assert documents(written(tmp_path, "b.tgz", gzip.compress(tarred({"in.zip": zipped({"a.txt": "deep"})})))) == [
        "deep"
    ]
    with pytest.raises(SourceError, match="archive in an archive in an archive"):
        documents(written(tmp_path, "c.zip", zipped({"b.zip": zipped({"in.tgz": packed})})))


@pytest.mark.parametrize("encoding", ["cp866", "shift_jis", "utf-8"])
def test_names_in_a_zip_are_shown_as_they_were_written(tmp_path: Path, encoding: str) -> None:
    name = {"cp866": "санузел с видом.txt", "shift_jis": "新しいはなし.txt", "utf-8": "été.txt"}[encoding]
    marker = "".join(chr(0x61 + n % 26) for n in range(len(name.encode(encoding)) - 4)) + ".txt"
    content = zipped({marker: "", "b.txt": "text"}).replace(marker.encode(), name.encode(encoding))
    account = account_of(written(tmp_path, "a.zip", content))
    assert left_out(account) == {"can’t be read": [name]}


# --- Text under other names ----------------------------------------------------------------------------------------


def test_text_under_many_endings_and_none_is_read(tmp_path: Path) -> None:
    names = ("a.text", "a.markdown", "a.rst", "a.log", "a.py", "a.js", "a.c", "a.tex", "README", "Chapter 1. The fox")
    for name in names:
        assert documents(written(tmp_path, f"in/{name}", "Some words.")) == ["Some words."], name
    assert documents(written(tmp_path, "in/a.ndjson", '{"text": "Some words."}')) == ["Some words."]
    assert documents(written(tmp_path, "in/a.xhtml", "<html><p>Some words.</p></html>")) == ["Some words."]
    assert len(documents(tmp_path / "in")) == len(names) + 2


@pytest.mark.parametrize(
    ("name", "what", "to_do"),
    [
        ("a.doc", "an old Word document", ".docx"),
        ("a.7z", "a 7z archive", "Unpack"),
        ("a.mobi", "an e-book of another kind", ".epub"),
        ("a.png", "a picture", "OCR"),
        ("a.mp3", "a sound recording or a film", "subtitles"),
        ("a.xls", "a spreadsheet", ".csv"),
    ],
)
def test_a_kind_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, name: str, what: str, to_do: str) -> None:
    path = written(tmp_path, f"in/{name}", b"PK\3\4 whatever it holds")
    with pytest.raises(SourceError, match=what) as caught:
        documents(path)
    assert to_do in caught.value.to_do
    written(tmp_path, "in/b.txt", "text")
    (entry,) = account_of(tmp_path / "in").left_out
    assert entry.reason == KIND and what in entry.first[0].detail and to_do in entry.first[0].detail


# --- Subtitles -----------------------------------------------------------------------------------------------------

SUBTITLES = """1
00:00:20 --> 00:00:24
No milliseconds here.

2
00:00:25,46 --> 00:00:27,46
Two digits.

3
00:00:28,000 -> 00:00:30,000
One arrow.

after a blank line.

4
00:00:31:500 --> 00:00:32:000
42

00:33,000 --> 00:34,000
No number, no hours.

5

00:00:35,000 --> 00:00:36,000

Blank after every line.

7
00:00:39,000 --> 00:00:40,000 X1:0 X2:100 Y1:0 Y2:100
{\\an8}<i>Coordinates</i>, <font color="#fff">colour</font>.
8
00:00:41.000 --> 00:00:42.000 align:start
Dots.

9
0:00:43,000 --> 0:00:44,000
1984
"""


def test_subtitles_as_people_have_them(tmp_path: Path) -> None:
    (text,) = documents(written(tmp_path, "a.srt", SUBTITLES))
    assert text == (
        "No milliseconds here.\nTwo digits.\nOne arrow.\nafter a blank line.\n42 No number, no hours.\n"
        "Blank after every line.\nCoordinates, colour.\nDots.\n1984"
    )
    assert documents(written(tmp_path, "b.srt", SUBTITLES.replace("\n", "\r\n"))) == [text]


WEBVTT = """WEBVTT - a title
Kind: captions

NOTE
A remark
of two lines

STYLE
::cue { color: white }

intro
00:01.000 --> 00:02.000 position:10%
<v Bob>Good &amp; bad.</v>

2
00:00:02.000 --> 00:00:03.000
<00:00:02.500><c>Next</c> words.
"""


@pytest.mark.parametrize("name", ["a.vtt", "a.srt"])
def test_webvtt_under_either_ending(tmp_path: Path, name: str) -> None:
    assert documents(written(tmp_path, name, WEBVTT)) == ["Good & bad.\nNext words."]


# --- Tables of Excel -----------------------------------------------------------------------------------------------


def test_the_line_that_names_the_separator_is_no_data(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "sep=;\ntext;n\nbonjour, toi;1,5\nbonsoir, lui;2,5\n")
    assert documents(path) == ["bonjour, toi", "bonsoir, lui"]
    assert inspect_path(path, ReadOptions(), Job()).text_field == "text"


def test_titles_above_a_table_are_left_out_and_said(tmp_path: Path) -> None:
    content = "Export du 3 mars;;\n;;\nid;auteur;texte\n1;Ada;Il était une fois\n2;Bob;Le chien dort\n"
    path = written(tmp_path, "a.csv", content)
    assert documents(path) == ["Il était une fois", "Le chien dort"]
    assert left_out(account_of(path)) == {"above the header of a table": ["a.csv, row 1"]}


def test_decimal_commas_are_no_separators(tmp_path: Path) -> None:
    content = "note;texte\n" + "".join(f"{n},5;Le texte numéro {n}\n" for n in range(9))
    assert documents(written(tmp_path, "a.csv", content)) == [f"Le texte numéro {n}" for n in range(9)]


def test_a_quotation_mark_that_is_never_closed_costs_its_own_line_alone(tmp_path: Path) -> None:
    rows = [f'"row {n}, of the table",{n}\n' for n in range(2000)]
    rows[1] = '"never closed,1\n'
    path = written(tmp_path, "a.csv", "text,n\n" + "".join(rows))
    assert documents(path) == [f"row {n}, of the table" for n in range(2000) if n != 1]
    assert left_out(account_of(path)) == {"with a quotation mark that is opened and never closed": ["a.csv, line 3"]}
    plain = [f"row {n} without quotation marks,{n}\n" for n in range(2000)]
    plain[7] = '"never closed,7\n'
    path = written(tmp_path, "b.csv", "text,n\n" + "".join(plain))
    assert len(documents(path)) == 1999
    assert left_out(account_of(path)) == {"with a quotation mark that is opened and never closed": ["b.csv, line 9"]}


# --- Notes in web pages and books ----------------------------------------------------------------------------------

PAGE = (
    '<p>Il était une fois<sup><a href="#n1">1</a></sup>, un chat.</p><p>The cat<sup class="reference">'
    '<a href="#c">[1]</a></sup> sleeps<sup>2</sup>. H<sub>2</sub>O, 3 m<sup>2</sup> and x<sup>2</sup>, the '
    'XIX<sup>e</sup> siècle<a class="x noteref" href="#n">12</a>.</p>'
)


def test_marks_of_notes_are_not_glued_to_words(tmp_path: Path) -> None:
    expected = "Il était une fois, un chat.\n\nThe cat sleeps. H2O, 3 m² and x², the XIXe siècle."
    assert documents(written(tmp_path, "a.html", f"<html><body>{PAGE}</body></html>")) == [expected]
    assert documents(written(tmp_path, "a.epub", epub({"one": PAGE}))) == [expected]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.TXT", ".txt"), ("a.b.txt", ".txt"), ("README", ""), (".bashrc", ""), ("1. The fox", ""), ("a.", "")],
)
def test_the_ending_of_a_name(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
