"""Cleaning: the rules for texts."""

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.config import DataSettings
from llm_studio.data.chunks import Chunk, rechunk
from llm_studio.data.cleaning import TEXT_RULES, Cleaner, clean, pipeline
from llm_studio.data.cleaning.lines import RepeatedLineFinder, pattern

OFF = DataSettings.model_validate(dict.fromkeys(TEXT_RULES, False))
REPEATED = frozenset({"Page #", "HEADER", "a", "#"})
COMBINATIONS = [
    OFF.model_copy(update=dict(zip(TEXT_RULES, chosen, strict=True)))
    for chosen in itertools.product((False, True), repeat=len(TEXT_RULES))
]


def only(*names: str) -> DataSettings:
    return OFF.model_copy(update=dict.fromkeys(names, True))


_MARKS = (
    "a b ; / = & < > « » ! 1 <b> </b> <p> <br/> <a!href='x'> <a!href= <td> <!-- --> &amp; &lt; &gt; &nbsp; &shy; "
    "&#769; &#x37e; &#13; &#10; lt; amp; b> HEADER HEADER\n Page!7\n 12\n a\n é \u037e \u0301 \u0338 \u1100 \u1161 "
    "\u11a8 \xad \u200b \ufeff \x7f \x00 \x1b"
)
fragments = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from([mark.replace("!", " ") for mark in _MARKS.split(" ")]),
    st.sampled_from([" ", "  ", "\t", "\n", "\n\n\n\n", "\r\n", "\r", "\x85", "\xa0", "\u202f", "\u3000"]),
)
many = settings(max_examples=300, deadline=None)
texts = st.lists(fragments, max_size=30).map("".join)


@many
@given(texts, st.sampled_from(COMBINATIONS))
def test_cleaning_twice_changes_nothing_more(text: str, chosen: DataSettings) -> None:
    once = clean(text, chosen, REPEATED)
    assert clean(once, chosen, REPEATED) == once


def test_cleaning_twice_changes_nothing_more_for_every_combination_of_rules() -> None:
    text = (
        "*** START OF THE PROJECT GUTENBERG EBOOK TALES ***\n\ufeff\r\n  HEADER \r\nwrongly dÃ©codÃ©d\n"
        "<p>Le caf\u0065\u0301&nbsp;: &amp;lt;b&amp;gt; 3 &lt; 4</p>\r\n\r\n\r\n\r\n\r\nPage 12\n"
        "exam\xadple   of\u3000blanks \t\n    indented  code  # remark\n&l<i></i>t;b> <<b>b> &amp;&#59; \x00end\n12\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK TALES ***\nlicence\n"
    )
    results = {clean(text, chosen, REPEATED) for chosen in COMBINATIONS}
    for chosen in COMBINATIONS:
        once = clean(text, chosen, REPEATED)
        assert clean(once, chosen, REPEATED) == once
    assert len(results) == len(COMBINATIONS)  # each rule does something here


@many
@given(texts, st.sampled_from(COMBINATIONS), st.integers(8, 24))
def test_cleaning_pieces_equals_cleaning_the_whole(text: str, chosen: DataSettings, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", longest)
        chunks = list(rechunk([Chunk(text, True)]))
    cleaner = Cleaner(chosen, REPEATED)
    for _again in range(2):  # nothing of one document stays for the next
        parts = [cleaner.feed(chunk.text, chunk.ends) for chunk in chunks]
        assert "".join(parts) == clean(text, chosen, REPEATED)


@given(texts, st.sampled_from(COMBINATIONS), st.integers(8, 24))
def test_the_rules_one_after_the_other_are_all_rules(text: str, chosen: DataSettings, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", longest)
        chunks = list(rechunk([Chunk(text, True)]))
    whole = clean(text, chosen, REPEATED)
    for name in TEXT_RULES:
        cleaner = Cleaner(chosen, REPEATED, only=(name,))
        chunks = [Chunk(cleaner.feed(chunk.text, chunk.ends), chunk.ends) for chunk in chunks]
    assert "".join(chunk.text for chunk in chunks) == whole


words = st.sampled_from(["word", "<b>bold</b>", "&amp;", "a < b", "<a href='x y'>link</a>", "x\xa0!", "  ", "&nbsp;"])


@settings(max_examples=50, deadline=None)
@given(st.lists(words, min_size=20, max_size=120).map(" ".join), st.sampled_from(COMBINATIONS), st.integers(30, 60))
def test_one_long_line_is_cleaned_in_parts_alike(text: str, chosen: DataSettings, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", longest)
        patch.setattr(pipeline, "_LONG_LINE", 100)
        chunks = list(rechunk([Chunk(text, True)]))
        cleaner = Cleaner(chosen, REPEATED)
        parts = [cleaner.feed(chunk.text, chunk.ends) for chunk in chunks]
    assert "".join(parts) == clean(text, chosen, REPEATED)
    waits = chosen.remove_licence  # for the beginning of the book, in 50,000 characters
    assert len(text) < 600 or waits or any(parts[:-1])  # not all waits for the end


@given(texts)
def test_parts_end_where_a_token_does(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", 12)
        chunks = list(rechunk([Chunk(text + " and\n\n more\n" * 5, True)]))
    for rules in (["remove_html"], ["tidy_spaces"], ["normalize_unicode"], ["remove_html", "tidy_spaces"]):
        cleaner = Cleaner(only("remove_controls", "remove_invisible", *rules))
        parts = [cleaner.feed(chunk.text, chunk.ends) for chunk in chunks]
        before = [part for part in parts[:-1] if part]
        assert all(not part[-1].isspace() for part in before)


# --- Single rules -----------------------------------------------------------------------------------------------


@given(texts)
def test_by_default_only_control_characters_and_ways_of_writing_change(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    visible = "".join(character for character in lines if character >= " " or character in "\n\t")
    assert clean(text, DataSettings(normalize_unicode=False)) == visible
    assert clean(text, DataSettings()) == unicodedata.normalize("NFC", visible)
    assert clean(text, OFF) == text


def test_an_accent_becomes_one_character_only_when_set() -> None:
    assert clean("e\u0301te\u0301", DataSettings()) == "été"
    assert clean("e\u0301te\u0301", DataSettings(normalize_unicode=False)) == "e\u0301te\u0301"
    assert clean("½ ﬁ", DataSettings()) == "½ ﬁ"


def test_control_characters_go_and_line_ends_become_one_kind() -> None:
    assert clean("a\x00b\x1b\x0bc\td\r\ne\rf\n", DataSettings()) == "abc\td\ne\nf\n"


def test_what_nobody_sees_goes_and_what_joins_letters_stays() -> None:
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert (
        clean(f"\ufeffex\xadam\u200bple {family} {persian}", only("remove_invisible")) == f"example {family} {persian}"
    )


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<p>One.</p><p>Two.</p>", "\nOne.\n\nTwo.\n"),
        ('l\'<i>Odyssée</i>, <b class="x">big</b>ger', "l'Odyssée, bigger"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<td>1</td><td>2</td>", " 1  2 "),
        (
            "AT&amp;T &eacute;t&eacute; &#233; &#xE9; &quot;x&quot; it&#39;s &hellip; &#150;",
            'AT&T été é é "x" it\'s … –',
        ),
        ("&amp;amp;nbsp;", "\xa0"),
        ("x <!-- remark --> y <!DOCTYPE html> z", "x  y  z"),
        ("<img src='a.png' alt=\"a picture\" width=10/>", ""),
    ],
)
def test_remains_of_html_go(text: str, cleaned: str) -> None:
    assert clean(text, only("remove_html")) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d", "if a<b and c>d:", "x <y> z", "<unk> the <|endoftext|>", "List<String> Map<K, V>",
        "<3 <- ->",         "<me@home.org> <https://example.org/a>", "A & B; C &co; R&D;", "&unknown; & &; &#; &#xZZ;",
        "a <b and c> d",
    ],
)  # fmt: skip
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert clean(text, only("remove_html")) == text


@given(texts)
def test_no_entity_brings_back_what_an_earlier_rule_removes(text: str) -> None:
    chosen = only("remove_controls", "remove_invisible", "normalize_unicode", "remove_html")
    cleaned = clean(text, chosen)
    assert clean(cleaned, only("remove_controls", "remove_invisible", "normalize_unicode")) == cleaned


def test_indentation_of_code_and_of_verse_stays() -> None:
    code = "def f(x):\n    if x:\n\t\treturn 1\n\n\nclass A:\n    y = 1\n"
    assert clean(code, only("tidy_spaces")) == code.rstrip("\n")
    verse = "    Tyger Tyger,\n        burning bright,\n\n  In the forests"
    assert clean(verse, only("tidy_spaces")) == verse


def test_needless_white_space_goes() -> None:
    text = " \n\n  a  b \u3000c \t\nd\u2003e\n\n\n\n\n\nf\t\tg  \n \n"
    assert clean(text, only("tidy_spaces")) == "  a b c\nd e\n\n\nf\t\tg"


def test_french_spaces_stay_and_others_become_plain() -> None:
    french = "«\xa0Oui\xa0!\xa0» dit-il\u202f; 10\xa0000\u202f%\n—\xa0Non."
    assert clean(french, only("tidy_spaces")) == french
    assert clean("le\xa0chat\xa0\xa0dort 10\xa0km", only("tidy_spaces")) == "le chat dort 10 km"


# --- Repeated lines ---------------------------------------------------------------------------------------------


def found(documents: list[str]) -> frozenset[str]:
    lines = RepeatedLineFinder()
    for text in documents:
        for start in range(0, len(text), 1000):
            lines.add(text[start : start + 1000], start + 1000 >= len(text))
    return lines.patterns()


def book(pages: int, header: str = "THE BOOK") -> str:
    page = "\n".join(
        f"Line {{page}} of the story number {n}: it goes on and on, and nobody knows why." for n in range(25)
    )
    return "\n".join(
        f"{header}\n\n{page.replace('{page}', chr(97 + n % 26) * (n % 7 + 1))}\n\nPage {n + 1} of {pages}\n{n + 1}"
        for n in range(pages)
    )


def test_headers_and_page_numbers_of_a_book_are_found() -> None:
    assert found([book(12)]) == {"THE BOOK", "Page # of #", "#"}
    assert found([book(3)]) == frozenset()


def test_a_play_keeps_its_speakers_and_a_song_its_refrain(real_text) -> None:
    play = (real_text / "tinyshakespeare.txt").read_text(encoding="utf-8")
    assert found([play]) == frozenset()
    assert found(play.split("\n\n")) == frozenset()


def test_novels_lose_nothing(real_text) -> None:
    novels = [path.read_text(encoding="utf-8") for path in sorted((real_text / "french-novels").glob("*.txt"))]
    assert found(novels) <= {"#"}  # chapters numbered in figures, in one of them


def test_the_menu_of_a_site_is_found_across_its_pages() -> None:
    about = ["cats", "dogs", "rain", "snow", "bread", "wine", "maps", "ships", "stars", "songs"]
    pages = [
        f"Home | News | Contact\n\nOn {one} and {other}.\nBoth {one} and {other} are old.\n\n© {year} The Site"
        for year, (one, other) in enumerate(itertools.permutations(about, 2))
    ]
    assert found(pages) == {"Home | News | Contact", "© # The Site"}


def test_few_documents_are_no_pages() -> None:
    assert found(["Same first line\na\nb\nc"] * 9) == frozenset()


def test_a_found_line_goes_with_its_end_however_it_is_spaced() -> None:
    chosen = only("remove_repeated_lines")
    assert clean("one\n  HEADER \ntwo\nPage 3\n7\nPage III", chosen, REPEATED) == "one\ntwo\nPage III"
    assert clean("HEADER\nHEADER", chosen, REPEATED) == ""
    assert clean("the HEADER of\n", chosen, REPEATED) == "the HEADER of\n"


@given(st.text())
def test_white_space_and_figures_make_no_other_pattern(line: str) -> None:
    line = line.replace("\n", " ")
    assert pattern(clean(line, only("tidy_spaces"))) == pattern(line)
    assert pattern(line.replace("1", "23")) in (pattern(line), "")


# --- Licence ----------------------------------------------------------------------------------------------------

BOOK = "It was a dark night.\n\n*** The stars were out ***\n\nThe end.\n"
GUTENBERG = (
    f"Title: Tales\nLicence terms.\n*** START OF THE PROJECT GUTENBERG EBOOK TALES ***\n{BOOK}"
    "*** END OF THE PROJECT GUTENBERG EBOOK TALES ***\n" + "Section 1. Terms of use.\n" * 50
)


def test_the_licence_of_a_book_is_removed_and_nothing_else() -> None:
    assert clean(GUTENBERG, only("remove_licence")).strip() == BOOK.strip()
    for text in (BOOK, "START OF THE PROJECT GUTENBERG EBOOK, she said.", "a " * 40_000 + GUTENBERG[:80]):
        assert clean(text, only("remove_licence")) == text


@given(st.integers(5, 200))
def test_the_licence_is_found_whatever_the_chunks(size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_studio.data.chunks.CHUNK_CHARACTERS", size)
        chunks = [*rechunk([Chunk(GUTENBERG, True)]), *rechunk([Chunk("Another text.", True)])]
    cleaner = Cleaner(only("remove_licence"))
    texts = "".join(cleaner.feed(chunk.text, chunk.ends) + "|" * chunk.ends for chunk in chunks)
    assert [text.strip() for text in texts.split("|")] == [BOOK.strip(), "Another text.", ""]
