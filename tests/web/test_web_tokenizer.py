"""The tokenizer on the page gives the program's ids, whatever the text."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer import patterns
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import ProjectError
from llm_studio.export.web_tokenizer import KNOWN, for_page
from tests.tokenizers import added, byte_level, of_pairs, words
from tests.web.browser import Browser

VARIETIES = {
    "qwen2": words(patterns.QWEN2),
    "llama3": words(patterns.LLAMA3),
    "o200k": words(KNOWN[3]),
    "gpt2": byte_level(),
    "digits": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level()],
    },
    "digits together": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": False}, byte_level()],
    },
}
TEXTS = (
    "", " ", "\n", "Il était une fois, dans l’été 1987, une « fée »\u00a0! Elle dit : « Ça va\u202f? »",
    "it's I'LL don't 'Sſ", "'s 't ' 're'd", "def f(x):\n\treturn x**2  # carré\r\n\r\n\tif x: pass\n",
    "a  b   c\t\td \n \n  e\n\n\n", "   \u00a0 \u202f  x", "12345 1,234.56 ½ Ⅳ ٣ 2²", "e\u0301 ﬁ İ ß ǅ",
    "👩\u200d👧 🇫🇷 😀!!! …—–", "漢字かな 한국어 العربية हिन्दी עברית ไทย", "\0\x1c\x85\ufeff\u180e\u2028\u3000x",
    "<|endoftext|><|user|>", "http://exemple.fr/a_b?c=d&e=%20", "a" * 33,
)  # fmt: skip
_ODD = " \n\t\r'’.,!/0123456789aéEsſKİ\x85\ufeff\u00a0\u202f\u200d\u180e\u0301"
_ANY_TEXT = st.text(st.sampled_from(_ODD) | st.characters(exclude_categories=["Cs", "Cn"]), max_size=60)


def install(page: Browser, plain: Path, tokenizer: Tokenizer) -> None:
    """Give the page a tokenizer."""
    page.open(plain)
    page.run(f"globalThis.tokenizer = new Tokenizer({json.dumps(for_page(tokenizer))}); 0")


def documents() -> list[str]:
    """Difficult texts, and stories in French and English."""
    return [*TEXTS, *generate_stories("fr", 250), *generate_stories("en", 250)]


def trained(pre_tokenizer: dict[str, Any]) -> Tokenizer:
    """A tokenizer trained on these, which merges whole words."""
    from tokenizers import Tokenizer as Library
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    library = Library.from_str(of_pairs(300, pre_tokenizer))
    library.train_from_iterator(
        documents(),
        BpeTrainer(vocab_size=1500, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=ByteLevel.alphabet(),
                   show_progress=False),
    )  # fmt: skip
    return Tokenizer.from_json(library.to_str())


@pytest.mark.parametrize("name", VARIETIES)
def test_many_documents_have_the_programs_ids_and_come_back(page: Browser, plain: Path, name: str) -> None:
    tokenizer, texts = trained(VARIETIES[name]), documents()
    install(page, plain, tokenizer)
    found = page.run(f"{json.dumps(texts)}.map((text) => tokenizer.encode(text))")
    for text, ids in zip(texts, found, strict=True):
        assert ids == tokenizer.encode(text), text
    assert page.run(f"{json.dumps(found)}.map((ids) => tokenizer.decode(ids))") == texts

    @given(many=st.lists(_ANY_TEXT, min_size=20, max_size=40))
    @examples(max_examples=15, deadline=None)
    def any_text(many: list[str]) -> None:
        for text, ids in zip(many, page.run(f"{json.dumps(many)}.map((text) => tokenizer.encode(text))"), strict=True):
            assert ids == tokenizer.encode(text), repr(text)

    any_text()


def test_bytes_that_are_no_characters_are_decoded_as_in_the_program(page: Browser, plain: Path) -> None:
    tokenizer = Tokenizer.from_json(of_pairs(300))
    install(page, plain, tokenizer)

    @given(ids=st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=30))
    @examples(max_examples=60, deadline=None)
    def any_ids(ids: list[int]) -> None:
        assert page.run(f"tokenizer.decode({ids})") == tokenizer.decode(ids)

    any_ids()


def test_tokens_that_were_added_are_words_of_their_own_and_whole_words_may_be_one_token(
    page: Browser, plain: Path
) -> None:
    content = json.loads(of_pairs(300))
    names = ["<tool>", "<tool>+", "a.b"]
    content["added_tokens"] += [added(name, 301 + n, special=False) for n, name in enumerate(names)]
    content["model"]["vocab"]["Ġ<to"] = 300
    content["model"]["ignore_merges"] = True
    tokenizer = Tokenizer(content)
    install(page, plain, tokenizer)
    for text in ("x<tool>+y <tool> a.b aXb", "<tool", " <to", "<|user|><tool><|user|>"):
        assert page.run(f"tokenizer.encode({json.dumps(text)})") == tokenizer.encode(text), text


def test_half_a_character_that_is_typed_is_replaced(page: Browser, plain: Path) -> None:
    page.open(plain)
    assert page.run(r"page.tokenizer.decode(page.tokenizer.encode('a\ud83d b'))") == "a\ufffd b"


@pytest.mark.parametrize("pre_tokenizer", [
    words(r"\p{L}+|."),
    {"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "Isolated"}, byte_level()]},
    {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"String": "x"}, "behavior": "Removed", "invert": False},
        byte_level(use_regex=False)]},
], ids=["pattern", "kind", "behaviour"])  # fmt: skip
def test_a_tokenizer_that_cuts_in_another_way_is_refused(pre_tokenizer: dict[str, Any]) -> None:
    content = json.loads(of_pairs(300))
    content["pre_tokenizer"] = pre_tokenizer
    tokenizer = Tokenizer.__new__(Tokenizer)  # one that removes characters isn't even read by the program
    tokenizer._content = content
    with pytest.raises(ProjectError, match="cuts texts into words in a way"):
        for_page(tokenizer)
