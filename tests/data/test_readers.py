"""The user's files: texts, encodings, folders, and what can't be read."""

import codecs
import gzip
import io
import itertools
import json
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.data.sources.readers import text as plain
from llm_studio.data.sources.readers.options import BLANK, END_OF_TEXT, ReadOptions
from llm_studio.data.sources.readers.read import read_path
from llm_studio.errors import Cancelled, SourceError
from llm_studio.jobs import Job

FRENCH = "« L'été, à l'école, où êtes-vous ? » — Ça dépend : le garçon naïf préfère Noël. L’œuvre coûte 5 €.\n" * 40

RUSSIAN = """Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.
Всё смешалось в доме Облонских. Жена узнала, что муж был в связи с бывшею в их доме француженкою-гувернанткой.
"""


def read(
    path: Path, separator: str | None = None, field: str | None = None, notices: list[str] | None = None
) -> list[str]:
    """The documents in `path`. A notice that isn't expected fails the test."""
    said: list[str] = []
    out, text = [], ""
    for chunk in read_path(path, ReadOptions(separator, field), (said if notices is None else notices).append, Job()):
        text += chunk.text
        if chunk.ends:
            out.append(text)
            text = ""
    assert text == ""
    assert said == []
    return out


def file(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- Documents ---------------------------------------------------------------------------------------------------


def test_a_file_is_one_document(tmp_path: Path) -> None:
    assert read(file(tmp_path, "one\n\ntwo\n")) == ["one\n\ntwo\n"]
    assert read(file(tmp_path, "# Title\n", "b.MD")) == ["# Title\n"]
    assert read(file(tmp_path, "no extension", "README")) == ["no extension"]


@pytest.mark.parametrize(
    ("separator", "content", "documents"),
    [
        (BLANK, "a\nb\n\nc\n \t\n\n\nd", ["a\nb", "c", "d"]),
        (BLANK, "\n\n  a\n\n", ["  a"]),
        (BLANK, "a\r\n\r\nb\r\rc", ["a", "b", "c"]),
        (END_OF_TEXT, "a\n<|endoftext|>\nb\n\nc<|endoftext|>d<|endoftext|><|endoftext|>\n", ["a", "b\n\nc", "d"]),
        ("***", "a\n***\nb\n\n  *** \n\nc ***\n", ["a", "b", "c ***"]),
        ("  ", "a\n\nb", ["a", "b"]),
        ("***", "a ***\n** *\n", ["a ***\n** *"]),
    ],
)
def test_a_separator_makes_documents(tmp_path: Path, separator: str, content: str, documents: list[str]) -> None:
    assert read(file(tmp_path, content), separator) == documents


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.text("ab<|endoftx>.", min_size=1, max_size=40), min_size=1), st.integers(4, 30))
def test_no_separator_is_lost_between_blocks(tmp_path: Path, documents: list[str], block: int) -> None:
    documents = [text for text in documents if END_OF_TEXT not in text] + ["z"]
    for separator, between in ((END_OF_TEXT, END_OF_TEXT), (BLANK, "\n \n\n"), ("===", "\n===\n")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain, "BLOCK", block)
            path = file(tmp_path, between.join(documents))
            expected = path.read_text().split(between)
            assert read(path, separator) == [text for text in expected if text]


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    lines = [{"text": "one\r\ntwo\u2028"}, {"id": 1, "text": "été"}, {"text": None}, {"text": ""}]
    content = "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert read(file(tmp_path, content, "a.jsonl"), BLANK) == ["one\ntwo\u2028", "été"]
    assert read(file(tmp_path, '{"story": "x"}\r\n{"story": "y"}', "b.jsonl"), field="story") == ["x", "y"]


def test_line_ends_become_one_kind(tmp_path: Path) -> None:
    assert read(file(tmp_path, "a\r\nb\rc\nd\x85e")) == ["a\nb\nc\nd\x85e"]


def test_a_folder_is_read_in_order_with_its_subfolders(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/b/c.jsonl", ".hidden.txt", ".git/a.txt", "picture.png", "c.TXT"):
        file(tmp_path, '{"text": "c.jsonl"}' if name.endswith("jsonl") else Path(name).name, name)
    assert read(tmp_path) == ["c.jsonl", "z.md", "b.txt", "c.TXT"]


def test_a_hidden_folder_can_be_chosen_itself(tmp_path: Path) -> None:
    file(tmp_path, "text", ".secret/a.txt")
    assert read(tmp_path / ".secret") == ["text"]


def test_names_with_spaces_and_accents_work(tmp_path: Path) -> None:
    assert read(file(tmp_path, "texte", "Jérôme/Mes modèles/l'été.txt")) == ["texte"]


def test_one_endless_line_passes_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(200):
            stream.write("été word " * 10_000)
    tracemalloc.start()
    try:
        chunks = sum(1 for _ in read_path(path, ReadOptions(BLANK), print, Job()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert chunks == 37
    assert peak < 12_000_000


def test_reading_can_be_stopped(tmp_path: Path) -> None:
    job = Job()
    chunks = read_path(file(tmp_path, "word " * 500_000), ReadOptions(), print, job)
    next(chunks)
    job.request_stop()
    with pytest.raises(Cancelled):
        next(chunks)


# --- Encodings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_without_a_word(tmp_path: Path, codec: str) -> None:
    assert read(file(tmp_path, FRENCH.encode(codec))) == [FRENCH]


def test_utf16_of_either_byte_order_is_read(tmp_path: Path) -> None:
    assert read(file(tmp_path, codecs.BOM_UTF16_BE + FRENCH.encode("utf-16-be"))) == [FRENCH]


@pytest.mark.parametrize(
    ("codec", "name", "text"),
    [
        ("cp1252", "Windows-1252", FRENCH),
        ("cp1252", "Windows-1252", "It’s a naïve café.\n"),
        ("cp1252", "Windows-1252", "Elève à l'école, où il a été très sage. Ça va bien, merci."),
        ("mac_roman", "Mac Roman", FRENCH),
        ("mac_roman", "Mac Roman", "Elève à l'école, où il a été très sage. Ça va bien, merci."),
        ("cp1250", "Windows-1250", "Była sobie mała łódka, a w niej dziewczęta śpiewały wesołą pieśń."),
        ("cp850", "CP850", FRENCH.replace("—", "-").replace("’", "'").replace("œ", "oe").replace("€", "F")),
        ("cp1251", "Windows-1251", RUSSIAN),
        ("shift_jis", "Shift JIS", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 9),
    ],
)
def test_an_older_encoding_is_found_and_said(tmp_path: Path, codec: str, name: str, text: str) -> None:
    notices: list[str] = []
    assert read(file(tmp_path, text.encode(codec)), notices=notices) == [text]
    assert notices == [f"a.txt was read as {name}."]


def test_a_first_accent_far_into_the_file_is_found(tmp_path: Path) -> None:
    notices: list[str] = []
    text = "Plain words in a row. " * 100_000 + FRENCH
    assert read(file(tmp_path, text.encode("cp1252")), notices=notices) == [text]
    assert notices == ["a.txt was read as Windows-1252."]


def test_a_few_damaged_bytes_do_not_change_the_encoding(tmp_path: Path) -> None:
    notices: list[str] = []
    content = FRENCH.encode() + b"\xe9\xff " + FRENCH.encode() + b"\xc3"
    assert read(file(tmp_path, content), notices=notices) == [FRENCH + "�� " + FRENCH + "�"]
    assert notices == ["a.txt was read as UTF-8. Unreadable characters, replaced by �: 3."]


def test_a_damaged_utf16_file_is_read_with_a_word(tmp_path: Path) -> None:
    notices: list[str] = []
    read(file(tmp_path, FRENCH.encode("utf-16") + b"x"), notices=notices)
    assert notices == ["a.txt was read as UTF-16. Unreadable characters, replaced by �: 1."]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_read_or_refused_with_their_name(tmp_path: Path, content: bytes) -> None:
    for name in ("a.txt", "a.jsonl"):
        try:
            assert read(file(tmp_path, content, name), BLANK, notices=[])
        except SourceError as error:
            assert name in error.what


# --- Bad input ---------------------------------------------------------------------------------------------------


def refusal(path: Path, field: str | None = None) -> SourceError:
    """What reading `path` raises; the sentence names the path."""
    with pytest.raises(SourceError) as caught:
        read(path, field=field, notices=[])
    assert str(path) in caught.value.what
    assert caught.value.to_do
    return caught.value


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "ghost.txt").what


@pytest.mark.parametrize("content", [b"", b" \n\r\n\t", codecs.BOM_UTF8, " \n".encode("utf-16"), "\u3000".encode()])
def test_a_file_without_text_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "no text" in refusal(file(tmp_path, content)).what


def test_a_file_of_separators_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no text"):
        read(file(tmp_path, "<|endoftext|>\n" * 3), END_OF_TEXT)
    assert "no text" in refusal(file(tmp_path, '{"text": ""}\n', "a.jsonl")).what


def test_a_folder_without_texts_says_which_kinds_are_read(tmp_path: Path) -> None:
    file(tmp_path, "x", "a.xls")
    assert "Files that can be read: .txt, .md, " in refusal(tmp_path).what


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr("a.txt", "text")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (archive(), "a ZIP archive or an office document"),
        (gzip.compress(b"text", mtime=0), "a compressed archive"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0text\0with\0a\0NUL\0for\0each\0space\0in\0it", "contains binary data"),
        (bytes(itertools.chain(range(1, 9), range(65, 91))) * 50, "contains binary data"),
        (random.Random(0).randbytes(5000), "contains binary data"),
    ],
)
def test_what_is_not_text_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    for name in ("a.txt", "a.jsonl", "unknown.bin"):
        assert what in refusal(file(tmp_path, content, name)).what


def test_a_kind_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert (
        "is of a kind that can't be read. Files that can be read: .txt, .md, "
        in refusal(file(tmp_path, "a,b\n1,2", "a.unknown")).what
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"text": "unfinished', "line 2: this is not JSON"),
        ("plain text", "line 2: this is not JSON"),
        ("[" * 100_000, "line 2: this is not JSON"),
        ('["a", "list"]', "line 2: this is JSON, but not an object"),
        ('{"a": 1, "b": "x"}', "line 2: there is no field “text”; its fields are: a, b."),
        ('{"text": 12}', "line 2: the field “text” holds a number, not a text."),
    ],
)
def test_a_file_of_wrong_lines_is_refused_with_the_first(tmp_path: Path, line: str, sentence: str) -> None:
    assert sentence in refusal(file(tmp_path, f"\n{line}\n{line}\n", "a.jsonl"), field="text").what
    # and beside good lines, it alone is left out
    good = '{"text": "fine"}\n'
    assert read(file(tmp_path, f"{good * 5}\n{line}\n{good}", "b.jsonl")) == ["fine"] * 6


def test_the_remedy_for_an_absent_field_is_named(tmp_path: Path) -> None:
    assert "--text-field" in refusal(file(tmp_path, '{"text": "x"}', "a.jsonl"), field="story").to_do


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    path = file(tmp_path, "text")

    def refuse(*_args: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr("llm_studio.data.sources.readers.items.open_regular", refuse)
    assert "read" in refusal(path).what


def test_bad_files_in_a_folder_are_left_out_with_their_reasons(tmp_path: Path) -> None:
    file(tmp_path, "good", "a.txt")
    file(tmp_path, "", "b.txt")
    file(tmp_path, b"\0", "c.txt")
    file(tmp_path, '{"text"', "d.jsonl")
    file(tmp_path, "good too", "e.md")
    notices: list[str] = []
    assert read(tmp_path, notices=notices) == ["good", "good too"]
    assert len(notices) == 3
    assert all(notice.startswith("Skipped: ") for notice in notices)
    assert [name in notice for name, notice in zip(("b.txt", "c.txt", "d.jsonl"), notices, strict=True)] == [True] * 3


def test_a_folder_of_bad_files_is_refused(tmp_path: Path) -> None:
    file(tmp_path, "", "a.txt")
    file(tmp_path, b"\0", "b.txt")
    assert "None of the 2 files" in refusal(tmp_path).what
