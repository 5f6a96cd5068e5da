"""Archives, traps among them, and what a first look shows."""

import gzip
import io
import json
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from llm_studio.data.sources import expansion
from llm_studio.data.sources.readers.inspect import MAX_SHOWN, inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.errors import Cancelled, SourceError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from tests.data.making import account_of, documents, docx, epub, one_of_each, paragraph, rows, written, zipped

sparse = pytest.mark.skipif(os.name == "nt", reason="Windows fills a file that is made longer")
TEXT = "Once upon a time, a fox ran."


def test_every_kind_is_read_alone_in_a_folder_in_a_zip_and_packed(tmp_path: Path) -> None:
    files = one_of_each(TEXT)
    for name, content in files.items():
        assert documents(written(tmp_path, f"in/{name}", content)) == [TEXT], name
    notices: list[str] = []
    assert documents(tmp_path / "in", notices) == [TEXT] * len(files)
    assert notices == []
    assert documents(written(tmp_path, "all.zip", zipped(files))) == [TEXT] * len(files)
    for name in ("a.pdf", "a.docx", "a.parquet", "a.zip", "a.csv"):
        assert documents(written(tmp_path, f"{name}.gz", gzip.compress(files[name]))) == [TEXT], name


def test_members_that_fail_are_left_out_with_their_reasons(tmp_path: Path) -> None:
    members = {"b.txt": b"\0\0", "a.txt": "one", "c/d.jsonl": '{"text"', "c/.hidden.txt": "x",
               "__MACOSX/a.txt": "x", "z.txt": "two", "picture.png": b"\x89PNG"}  # fmt: skip
    notices: list[str] = []
    assert documents(written(tmp_path, "a.zip", zipped(members)), notices) == ["one", "two"]
    assert [notice.split(" › ")[1].split()[0] for notice in notices] == ["b.txt", "c/d.jsonl,"]
    with pytest.raises(SourceError, match="None of the 2 files"):
        documents(written(tmp_path, "b.zip", zipped({"a.txt": "", "b.txt": b"\0"})))
    with pytest.raises(SourceError, match="There are no texts in"):
        documents(written(tmp_path, "c.zip", zipped({"picture.png": b"x"})))


def test_names_that_lead_elsewhere_lead_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "deep" / "in"
    inside.mkdir(parents=True)
    names = [
        "../../evil.txt",
        "/evil.txt",
        "C:\\evil.txt",
        "..\\..\\evil.txt",
        "a/../../evil.txt",
        "\x1b[31mevil\n.txt",
    ]
    names = list({name.replace(os.sep, "/"): name for name in names}.values())  # two are one on Windows
    path = written(inside, "a.zip", zipped(dict.fromkeys(names, "text")))
    before = sorted(tmp_path.rglob("*"))
    assert documents(path) == ["text"] * len(names)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/evil.txt").exists()


@pytest.fixture
def small_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 1 << 20)


@pytest.mark.usefixtures("small_bombs")
def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    bomb = b"word " * 4_000_000
    as_docx = docx(paragraph("word " * 4_000_000))
    as_epub = epub({"a": "<p>" + "word " * 4_000_000})
    for name, content in (("a.zip", zipped({"a.txt": bomb})), ("a.txt.gz", gzip.compress(bomb)), ("a.docx", as_docx),
                          ("a.epub", as_epub), ("b.zip", zipped({"in.zip": zipped({"a.txt": bomb})})),
                          ("c.zip", zipped({"in.csv": b"id,text\n1," + bomb}))):  # fmt: skip
        with pytest.raises(SourceError, match="like an archive bomb"):
            documents(written(tmp_path, name, content))


@pytest.mark.usefixtures("small_bombs")
def test_members_that_are_harmless_one_by_one_are_counted_together(tmp_path: Path) -> None:
    members = {f"{n:03}.txt": "word " * 20_000 for n in range(200)}
    notices: list[str] = []
    with pytest.raises(SourceError, match="like an archive bomb"):
        documents(written(tmp_path, "in/a.zip", zipped(members)), notices)
    assert notices == []
    written(tmp_path, "in/b.txt", "text")
    assert documents(tmp_path / "in", notices)[-1] == "text"
    assert len(notices) == 1
    assert notices[0].startswith("Only the beginning was read: ")


def test_archives_are_read_two_deep_and_no_deeper(tmp_path: Path) -> None:
    two = zipped({"in.zip": zipped({"a.txt": "text"})})
    assert documents(written(tmp_path, "a.zip", two)) == ["text"]
    with pytest.raises(SourceError, match="archive in an archive in an archive"):
        documents(written(tmp_path, "b.zip", zipped({"out.zip": two})))
    packed = b"text"
    for _ in range(5):
        packed = gzip.compress(packed)
    with pytest.raises(SourceError, match="archive in an archive in an archive"):
        documents(written(tmp_path, "a.txt.gz.gz.gz.gz.gz", packed))


def test_a_zip_with_a_password_says_so(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.txt": "text"}))
    content[6] |= 1  # the flag, where the member begins and in the list of members
    content[content.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(SourceError, match="protected by a password"):
        documents(written(tmp_path, "a.zip", bytes(content)))


@sparse
def test_a_member_packed_by_lzma_is_read_and_one_that_wants_gigabytes_of_memory_is_left_out(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a.txt", TEXT)
        out.writestr("b.txt", TEXT * 2)
    content = bytearray(stream.getvalue())
    assert documents(written(tmp_path, "sound.zip", bytes(content))) == [TEXT, TEXT * 2]
    dictionary = content.index(b"a.txt") + len("a.txt") + 5
    assert struct.unpack_from("<L", content, dictionary)[0] <= 1 << 28
    struct.pack_into("<L", content, dictionary, 0xFFFFFFFF)
    path = written(tmp_path, "a.zip", bytes(content))
    assert documents(path) == [TEXT * 2]
    (entry,) = account_of(path).left_out
    assert [named.name for named in entry.first] == ["a.txt"]
    assert "more than 268.4\xa0MB of memory" in entry.first[0].detail
    for name, inner in (("a.docx", docx(paragraph(TEXT))), ("a.odt", one_of_each(TEXT)["a.odt"])):
        assert documents(written(tmp_path, name, packed_by_lzma(inner, 1 << 16))) == [TEXT]
        with pytest.raises(SourceError, match="of memory to be unpacked"):
            documents(written(tmp_path, name, packed_by_lzma(inner, 0xFFFFFFFF)))


def packed_by_lzma(document: bytes, dictionary: int) -> bytes:
    """The files of a zip, packed again so that they ask for a dictionary of so many bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as found, zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as out:
        for name in found.namelist():
            out.writestr(name, found.read(name))
    with zipfile.ZipFile(stream) as out:
        places = [info.header_offset + 30 + len(info.filename) + 5 for info in out.infolist()]
    content = bytearray(stream.getvalue())
    for place in places:
        struct.pack_into("<L", content, place, dictionary)
    return bytes(content)


def test_a_list_of_members_too_long_for_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as stream:
        stream.truncate(300_000_000)
        stream.seek(0, io.SEEK_END)
        stream.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 300_000_000, 0, 0))
    with pytest.raises(SourceError, match="too many files"):
        documents(path)


@sparse
@pytest.mark.parametrize("comment", [0, 65_535])
def test_a_list_of_members_of_another_length_in_the_record_for_large_archives(tmp_path: Path, comment: int) -> None:
    path, length = tmp_path / "a.zip", 300_000_000
    with path.open("wb") as stream:
        stream.truncate(length)
        stream.seek(0, io.SEEK_END)
        stream.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, length, 0))
        stream.write(struct.pack("<4sLQL", b"PK\6\7", 0, length, 1))
        stream.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 0, comment) + bytes(comment))
    with pytest.raises(SourceError, match="too many files"):
        documents(path)


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"  # fmt: skip


def test_entities_that_multiply_are_never_filled_in(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "a.docx", docx(paragraph("&j;"), LAUGHS)))
    for name, content in (("a.html", f"{LAUGHS}<p>&j; text</p>"), ("a.epub", epub({"a": f"{LAUGHS}<p>&j; text</p>"}))):
        (text,) = documents(written(tmp_path, name, content))
        assert text.endswith("text")
        assert len(text) < 2000
    container = f'{LAUGHS}<container><rootfiles><rootfile full-path="&j;"/></rootfiles></container>'
    with pytest.raises(SourceError, match="damaged"):
        documents(written(tmp_path, "b.epub", zipped({"META-INF/container.xml": container})))


def test_a_file_of_a_system_is_never_brought_in_by_an_entity(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret.txt", "the secret")
    head = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'
    for name, content in (("a.docx", docx(paragraph("&a; text"), head)), ("a.epub", epub({"a": f"{head}<p>&a; text"})),
                          ("a.html", f"{head}<p>&a; text")):  # fmt: skip
        try:
            assert "secret" not in "".join(documents(written(tmp_path, name, content)))
        except SourceError as error:
            assert "damaged" in error.what


@sparse
def test_sparse_files_of_two_gigabytes_are_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    for name in one_of_each():
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(2_000_000_000)
        with pytest.raises(SourceError, match="a\\."):
            documents(tmp_path / name)
        (tmp_path / name).unlink()
    assert time.monotonic() - began < 10


def test_a_member_can_be_stopped_while_it_is_unpacked(tmp_path: Path) -> None:
    job = Job()
    job.request_stop()
    for name, content in one_of_each().items():
        with pytest.raises(Cancelled):
            documents(written(tmp_path, name, content), job=job)


# --- A first look ------------------------------------------------------------------------------------------------


def seen(path: Path, **options: str):
    return inspect_path(path, ReadOptions(**options), Job())


def test_a_look_at_a_table_shows_its_columns_and_the_chosen_one(tmp_path: Path) -> None:
    texts = [f"L'été de l'élève n° {n} à l'école." for n in range(50)]
    shown = seen(written(tmp_path, "a.csv", rows(texts, ";", ["id", "titre", "corps"]).encode("cp1252")))
    assert (shown.kind, shown.encoding, shown.encoding_guessed) == ("csv", "Windows-1252", True)
    assert [column.name for column in shown.columns] == ["id", "titre", "corps"]
    assert (shown.text_field, shown.field_guessed, shown.conversations) == ("corps", True, False)
    assert shown.columns[2].examples == tuple(texts[:3])
    assert shown.documents == tuple(texts[:5])
    wrong = seen(tmp_path / "a.csv", text_field="ghost")
    assert "no field “ghost”" in wrong.problem
    assert len(wrong.columns) == 3


def test_a_look_at_a_folder_and_an_archive_counts_and_names_what_fails(tmp_path: Path) -> None:
    files = {"a.txt": "one", "b.txt": b"\0", "c.jsonl": json.dumps({"story": "two words"}), "d.md": "x" * 5000}
    for name, content in files.items():
        written(tmp_path, f"in/{name}", content)
    for path in (tmp_path / "in", written(tmp_path, "a.zip", zipped(files))):
        shown = seen(path)
        assert (shown.files, shown.tried, dict(shown.counts)) == (4, 4, {".txt": 2, ".jsonl": 1, ".md": 1})
        assert [name.endswith("b.txt") for name, _reason in shown.refused] == [True]
        assert "not a text file" in shown.refused[0][1]
        assert shown.documents == ("one", "two words", "x" * (MAX_SHOWN - 1) + "…")
        assert shown.text_field == "story"


def test_a_look_at_a_mixed_folder_shows_documents_of_every_kind_and_every_encoding(tmp_path: Path) -> None:
    table = rows([f"Row number {n} of the table." for n in range(50)], ",", ["text"])
    files = {
        "a.csv": table,
        "b.txt": "Plain text.",
        "c.md": "# Notes",
        "d.txt": ("L'été à l'école, déjà fêté. " * 30).encode("cp1252"),
    }
    for name, content in files.items():
        written(tmp_path, f"in/{name}", content)
    shown = seen(tmp_path / "in")
    assert shown.origins == ("a.csv", "b.txt", "c.md", "a.csv", "d.txt")
    assert shown.documents[1:3] == ("Plain text.", "# Notes") and shown.documents[4].startswith("L'été")
    assert (shown.encoding, dict(shown.encodings)) == ("", {"UTF-8": 3, "Windows-1252": 1})
    alike = seen(written(tmp_path, "plain/a.txt", "One.").parent)
    assert (alike.encoding, alike.encodings) == ("UTF-8", (("UTF-8", 1),))


@sparse
def test_a_look_at_what_is_huge_is_quick(tmp_path: Path) -> None:
    line = json.dumps({"text": "a story " * 100}).encode() + b"\n"
    with (tmp_path / "a.jsonl").open("wb") as stream:
        stream.write(line * 20_000)
        stream.truncate(3_000_000_000)
    with gzip.open(tmp_path / "b.txt.gz", "wb", compresslevel=1) as stream:
        for n in range(40):
            stream.write(zlib.compress(os.urandom(10)).hex().encode() * 30_000 + str(n).encode())
    for name in ("a.jsonl", "b.txt.gz"):
        began = time.monotonic()
        assert seen(tmp_path / name).documents
        assert time.monotonic() - began < 2


def test_a_look_shows_conversations_and_every_other_kind(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    shown = seen(written(tmp_path, "chat.jsonl", json.dumps({"messages": turns})))
    assert (shown.conversations, shown.text_field) == (True, None)
    assert shown.documents == ("<|user|>Who?<|assistant|>Me.",)
    for name, content in one_of_each(TEXT).items():
        assert seen(written(tmp_path, name, content)).documents == (TEXT,), name
    with pytest.raises(SourceError, match="does not exist"):
        seen(tmp_path / "ghost")


# --- Into a project ----------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return projects.new_project(tmp_path / "p", "nano", "en")


def test_what_was_left_out_is_in_the_notes_of_the_source(project: Project, tmp_path: Path) -> None:
    for n in range(count := 130):
        written(tmp_path, f"in/{n:03}.txt", "" if n else "text")
    source = sources.add_files(project, tmp_path / "in", Job())
    assert source.documents == 1
    assert len(source.notes) == 101
    assert source.notes[-1] == f"{count - 101} more files were skipped."
    assert sources.add_files(project, written(tmp_path, "b.txt.gz", gzip.compress(b"text")), Job()).name == "b"
