"""The text of PDF documents as a reader sees it: columns one after the other, words and paragraphs whole."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.data.sources.account import PAGE_WITHOUT_TEXT, RUNNING_HEADS, UNREADABLE_LETTERS
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.page_layout import Glyph, Line, Start, lines_of
from llm_studio.data.sources.readers.page_text import Page, texts, without_running_heads
from llm_studio.data.sources.readers.read import SourceReader
from llm_studio.jobs import Job
from tests.data.making import drawn, text_at, written

WIDE = 612.0


def read(folder: Path, content: bytes) -> tuple[str, dict[str, list[str]]]:
    """The text of a document, and what was left out by reason: where, and how much."""
    reading = SourceReader(written(folder, "a.pdf", content), ReadOptions(), lambda _text: None, Job())
    text = "".join(chunk.text for chunk in reading.chunks())
    return text, {entry.reason: [one.detail or one.name for one in entry.first] for entry in reading.account.left_out}


def column(words: str, lines: int = 30, side: int = 0) -> list[tuple[float, float, str]]:
    return [(72 + 260 * side, 700 - 14 * n, f"{words}{n:02} words run on and on to here") for n in range(lines)]


def in_order(text: str, marks: Sequence[str]) -> bool:
    places = [text.index(mark) for mark in marks]
    return places == sorted(places)


# --- Columns ----------------------------------------------------------------------------------------------------------


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    title = [(72, 740, "A title that stands above both of the columns and is as wide as these")]
    rows = [piece for pair in zip(column("L"), column("R", side=1), strict=True) for piece in pair]
    text, left_out = read(tmp_path, drawn(text_at([*title, *rows])))
    assert in_order(text, ["A title", *(f"L{n:02}" for n in range(30)), *(f"R{n:02}" for n in range(30))])
    assert not left_out


def test_what_crosses_the_columns_separates_them(tmp_path: Path) -> None:
    above, below = column("A", 10), [(x, y - 200, line) for x, y, line in column("B", 10)]
    right = [(x + 260, y, line.replace("A", "C").replace("B", "D")) for x, y, line in above + below]
    line = [(72, 535, "Figure 1. What both of the columns are about, in one line that crosses them")]
    text, _left_out = read(tmp_path, drawn(text_at([*above, *right, *line, *below])))
    assert in_order(text, ["A00", "A09", "C00", "C09", "Figure 1.", "B00", "B09", "D00", "D09"])


def test_a_table_stays_in_rows(tmp_path: Path) -> None:
    cells = [(72.0 + 150 * n, 700.0 - 16 * row, f"{row}{name}") for row in range(8) for n, name in enumerate("abc")]
    text, _left_out = read(tmp_path, drawn(text_at(cells)))
    assert text.split("\n")[:2] == ["0a\t0b\t0c", "1a\t1b\t1c"]


@pytest.mark.parametrize(("rotate", "turn"), [
    (0, "1 0 0 1 {x} {y}"), (90, "0 1 -1 0 {u} {x}"), (180, "-1 0 0 -1 {v} {u}"), (270, "0 -1 1 0 {y} {v}"),
])  # fmt: skip
def test_a_page_is_read_as_it_is_turned(rotate: int, turn: str, tmp_path: Path) -> None:
    shown = ""
    for n, line in enumerate(["A first line that is long", "and a second one", "and the end."]):
        x, y = 72, 500 - 20 * n
        place = turn.format(x=x, y=y, u=600 - y, v=WIDE - x).rsplit(" ", 2)
        shown += text_at([(float(place[1]), float(place[2]), line)], turn=place[0])
    text, _left_out = read(tmp_path, drawn(shown, rotate=rotate))
    assert text == "A first line that is long and a second one and the end."


def test_text_that_runs_upwards_beside_the_page_is_kept_apart(tmp_path: Path) -> None:
    beside = text_at([(30, 300, "A stamp at the margin")], turn="0 1 -1 0")
    text, _left_out = read(tmp_path, drawn(text_at(column("L", 5)) + beside))
    assert text.endswith("\n\nA stamp at the margin") and "L04 words run on and on to here\n" in text


# --- Words and paragraphs ---------------------------------------------------------------------------------------------


def page_of(*lines: str) -> Page:
    return Page(
        [Line(line, Start.CONTINUES if n else Start.COLUMN, 400, full=True) for n, line in enumerate(lines)], 792
    )


def joined(*lines: str) -> str:
    return "".join(texts([page_of(*lines)]))


@pytest.mark.parametrize("word", [
    "peut-être", "grand-père", "porte-monnaie", "dit-il", "a-t-elle", "va-t-en", "Jean-Paul", "celui-ci", "vingt-deux",
    "well-known", "twenty-one", "mother-in-law", "1914-1918", "XIX-XX", "non-sens",
])  # fmt: skip
def test_a_hyphen_of_the_word_stays_at_the_end_of_a_line(word: str) -> None:
    for place in (n for n, letter in enumerate(word) if letter == "-"):
        first, last = word[: place + 1], word[place + 1 :]
        assert joined(f"on dit {first}", f"{last} et puis") == f"on dit {word} et puis"


@pytest.mark.parametrize(
    "word", ["extraor-dinaire", "quo-tidien", "co-operation", "Fe-dern", "to-wards", "ma\u00adgique"]
)
def test_a_hyphen_that_divides_a_word_goes(word: str) -> None:
    cut = word.replace("\u00ad", "-").index("-") + 1
    assert joined(f"a {word[:cut]}", f"{word[cut:]} b") == f"a {word.replace('-', '').replace(chr(0xAD), '')} b"


def test_the_rest_of_the_text_decides() -> None:
    assert joined("le sur-", "lendemain, le surlendemain") == "le surlendemain, le surlendemain"
    assert joined("le sur-", "lendemain, le sur-lendemain") == "le sur-lendemain, le sur-lendemain"
    assert joined("une moissonneuse-", "batteuse, la batteuse, une moissonneuse") == (
        "une moissonneuse-batteuse, la batteuse, une moissonneuse"
    )
    assert joined("a dash -", "and more") == "a dash - and more"


def test_a_paragraph_goes_on_in_the_next_column_and_on_the_next_page() -> None:
    first, second = page_of("The first page ends in the middle of", "a sen-"), page_of("tence, and goes on.", "Next.")
    assert "".join(texts([first, second])) == "The first page ends in the middle of a sentence, and goes on. Next."
    assert "".join(texts([page_of("It ends."), page_of("A new one.")])) == "It ends.\n\nA new one."


def glyphs(lines: Sequence[tuple[float, float, str]], width: float = 6.0, height: float = 12.0) -> list[Glyph]:
    """Characters of equal width."""
    found: list[Glyph] = []
    for x, y, line in lines:
        space = False
        for n, letter in enumerate(line):
            if letter == " ":
                space = True
                continue
            found.append(Glyph(letter, x + n * width, x + (n + 1) * width, y, height, space))
            space = False
    return found


def test_verses_titles_and_indented_lines_begin_new_lines() -> None:
    prose = "a line of prose that is as long as the column"
    lines = lines_of(glyphs([
        (72, 700, "The Title"), (72, 660, prose), (72, 646, prose), (72, 632, "its end."), (84, 618, prose[:-2]),
        (72, 604, prose), (72, 570, "Roses are"), (72, 556, "red and"), (72, 542, "violets are"),
    ]))  # fmt: skip
    assert [line.start.name for line in lines] == [
        "COLUMN", "PARAGRAPH", "CONTINUES", "CONTINUES", "LINE", "CONTINUES", "PARAGRAPH", "LINE", "LINE"
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.text("abcdefghij", min_size=1, max_size=9), min_size=30, max_size=200), columns=st.integers(1, 3),
    shuffle=st.randoms(use_true_random=False),
)  # fmt: skip
def test_no_letter_is_lost_and_prose_stays_in_order(words: list[str], columns: int, shuffle: object) -> None:
    room, drawn_lines, line = 32, list[str](), ""
    for word in words:
        if len(line) + 1 + len(word) > room:
            drawn_lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    drawn_lines.append(line)
    share = max(8, -(-len(drawn_lines) // columns))
    places = [(40 + (n // share) * 220.0, 700 - (n % share) * 14.0, text) for n, text in enumerate(drawn_lines)]
    shuffle.shuffle(places)  # type: ignore[attr-defined]  the order in which a file draws its lines says nothing
    lines = lines_of(glyphs(places))
    text = "".join(texts([Page(lines, 792)]))
    assert Counter("".join(text.split())) == Counter("".join(words))
    if min(map(len, drawn_lines)) > 16 and len(places) % share not in (1, 2):  # fewer lines make no column
        assert text.split() == words


# --- What is left out -------------------------------------------------------------------------------------------------


def test_running_heads_and_page_numbers_are_left_out_and_counted(tmp_path: Path) -> None:
    pages = [
        text_at([
            (250, 770, "A TALE OF TWO FOXES"), (300, 30, f"– {n} –"),
            *((72.0, 700.0 - 14 * k, f"Page {n} has line {k} about the year {1900 + n}.") for k in range(20)),
        ])
        for n in range(3, 6)
    ]  # fmt: skip
    text, left_out = read(tmp_path, drawn(*pages))
    assert "FOXES" not in text and "–" not in text
    assert all(f"Page {n} has line {k} about the year {1900 + n}." in text for n in range(3, 6) for k in range(20))
    assert left_out == {RUNNING_HEADS: ["6 lines"]}


def test_lines_at_the_edge_that_are_no_running_heads_stay() -> None:
    lines = [Line(f"the line {n} of a page", Start.LINE, 700 - 14 * n) for n in range(30)]
    pages = [Page(lines, 792), Page([Line(f"other {line.text}", line.start, line.at) for line in lines], 792)]
    assert without_running_heads(pages) == (pages, 0)


def test_ligatures_are_letters_and_unreadable_characters_are_counted(tmp_path: Path) -> None:
    letters = {"{": "\ufb01", "}": "\ufb03", "|": "\ue000", "~": "\x00"}
    text, left_out = read(tmp_path, drawn(text_at([(72, 700, "The {rst o}ce was {ne.~|| End")]), letters=letters))
    assert text == "The first office was fine. End"
    assert left_out == {UNREADABLE_LETTERS: ["3 characters"]}


def test_pages_that_are_pictures_are_counted(tmp_path: Path) -> None:
    text, left_out = read(tmp_path, drawn(text_at([(72, 700, "A title page with text.")]), "", "", ""))
    assert text == "A title page with text." and left_out == {
        PAGE_WITHOUT_TEXT: [f"a.pdf, page {n}" for n in (2, 3, 4)]
    }


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_a_document_that_opens_without_a_password_is_read(algorithm: str, tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(written(tmp_path, "b.pdf", drawn(text_at([(72, 700, "Open to all.")])))))
    writer.encrypt("", "owner", algorithm=algorithm)
    writer.write(tmp_path / "c.pdf")
    assert read(tmp_path, (tmp_path / "c.pdf").read_bytes())[0] == "Open to all."
