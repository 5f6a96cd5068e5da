"""Where a text is cut to be encoded in segments, the ids are those of the whole: for every pre-tokenizer in use."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from llm_studio.data.corpus.corpus import TextSpan
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer import patterns
from llm_studio.data.tokenizer.tokenizer import (
    SEGMENT_CHARACTERS,
    first_safe_cut,
    is_safe_cut,
    last_safe_cut,
    split_safely,
)
from llm_studio.data.tokenizer.tokenizer import Tokenizer as StudioTokenizer
from llm_studio.data.tokens.turns import ConversationSplitter

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
O200K = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTIONS + "?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTIONS + "?",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    )
)
DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
)
_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _pattern(*found: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([*(pre_tokenizers.Split(Regex(one), "isolated") for one in found), _BYTES])


def _digits(individual: bool) -> pre_tokenizers.PreTokenizer:
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=individual), gpt2])


MAKERS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "GPT-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "GPT-2, single digits": lambda: _digits(True),
    "StarCoder": lambda: _digits(False),
    "Qwen2": lambda: _pattern(patterns.QWEN2),
    "Llama 3": lambda: _pattern(patterns.LLAMA3),
    "cl100k": lambda: _pattern(CL100K),
    "o200k": lambda: _pattern(O200K),
    "DeepSeek": lambda: _pattern(*DEEPSEEK),
}


@cache
def made(name: str) -> pre_tokenizers.PreTokenizer:
    return MAKERS[name]()


PIECES = (
    *"aZé漢字かナ한ªß'’!?.,;:/-_=*#(«»。，！？；：、…0٣५½Ⅳ²一", *" \t\n\r\x0b\x0c\u0085\u00a0\u2028\u3000\u200b\ufeff",
    *"\x00\x1c\x1d\x1e\x1f\x7f\u0301\u093e\u0e31\u20e3\ufe0f\u200d\u00ad", "\r\n", "\n\n", "!\n", "/\n", ".\r\n", "  ",
    "'s", "'S", "'ll", "'LL", "'Re", "’s", "'ſ", "don't", "I'M", "word", "Word", "WORD", "1984", "3.14", "12 000",
    "👩\u200d👧", "🇫🇷", "👍🏽", "e\u0301", "l'eau", "<|endoftext|>", "คำ", "हिन्दी", "الكتاب", "i\u0307",
)  # fmt: skip
"""What patterns treat alike or apart: letters of several kinds, marks, digits, white space, contractions."""
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))


def cuts_of(text: str) -> list[int]:
    return [position for position in range(1, len(text)) if is_safe_cut(text, position)]


@pytest.mark.parametrize("name", MAKERS)
@given(text=TEXTS)
@example("Oui !\nNon.\r\n")
@example("他说：“好。”\n然后走了，再见！")
@example("it's\nIT'S.\n3.14\n!\n/\n")
@settings(max_examples=300)
def test_no_word_goes_across_a_safe_cut(name: str, text: str) -> None:
    def words(part: str) -> list[str]:
        return [word for word, _place in made(name).pre_tokenize_str(part)]

    whole, cuts = words(text), cuts_of(text)
    for cut in cuts:
        assert words(text[:cut]) + words(text[cut:]) == whole
    parts = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    assert [word for part in parts for word in words(part)] == whole


def test_every_letter_and_space_is_one_for_the_library() -> None:
    """A character that Python takes for a letter or digit, but the library for a mark, would be joined to others."""
    everything = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    letters = "".join(filter(str.isalnum, everything))
    assert not pre_tokenizers.Split(Regex(r"[\p{L}\p{N}]+"), "removed").pre_tokenize_str(letters)
    others = "".join(character for character in everything if not character.isspace())
    assert len(pre_tokenizers.Split(Regex(r"\s+"), "removed").pre_tokenize_str(others)) == 1


@given(text=TEXTS | st.text("a ", min_size=300, max_size=400), data=st.data())
def test_the_first_and_the_last_safe_cut_are_found(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    after = [cut for cut in cuts_of(text) if cut > start]
    assert first_safe_cut(text, start) == (after[0] if after else None)
    if start < len(text):
        stop = data.draw(st.integers(start, len(text) - 1))
        assert last_safe_cut(text, start, stop) == max((cut for cut in after if cut <= stop), default=None)


@pytest.mark.parametrize(
    "text", ["Sans virgule. Après", "她说，你好。我走了", "a\tb", "終わり　次", "a\nb", "l'eau, oui"]
)
def test_there_are_safe_cuts_in_usual_texts(text: str) -> None:
    assert cuts_of(text)


@pytest.mark.parametrize("text", ["it's", "!\n", ".\r\n", "\n\n", "  ", "a-b", "e\u0301\n", "«\u00a0", "ab", "漢字"])
def test_no_cut_where_some_pattern_joins(text: str) -> None:
    assert not cuts_of(text)


# --- Long texts ----------------------------------------------------------------------------------------------

LONG = {
    "stories": "\n".join(generate_stories("en", 150, seed=1)),
    "lines that end in marks": "\n".join(f"« Non ! », dit {n}.\r\n" for n in range(2500)),
    "no white space": "".join(f"她說了{'很' * (n % 7)}多話，然後走了。\n" for n in range(4000)),
    "one line of words": " ".join(f"word{n}" for n in range(9000)),
}


@cache
def tokenizer(name: str) -> StudioTokenizer:
    """A tokenizer with this pre-tokenizer, trained on all these texts."""
    library = Tokenizer(models.BPE())
    library.pre_tokenizer, library.decoder = made(name), decoders.ByteLevel()
    library.train_from_iterator(
        [text[:20_000] for text in LONG.values()],
        trainers.BpeTrainer(
            vocab_size=600, special_tokens=["<|endoftext|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    return StudioTokenizer.from_json(library.to_str())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", LONG)
def test_a_long_text_has_the_ids_of_the_whole(name: str, kind: str) -> None:
    text = LONG[kind]
    assert len(text) > 3 * SEGMENT_CHARACTERS
    assert tokenizer(name).encode(text) == tokenizer(name).encode_many([text])[0].tolist()


@given(st.lists(st.sampled_from(["a", " b", "!", "\n", "。", "漢"]), min_size=1).map("".join), st.data())
def test_segments_depend_on_the_text_not_on_its_spans(unit: str, data: st.DataObject) -> None:
    """A reader may cut a document between "!" and the end of the line, which some patterns join."""
    text = unit * (3 * SEGMENT_CHARACTERS // len(unit))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    spans = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    splitter = ConversationSplitter(())
    segments = [
        segment
        for number, span in enumerate([*spans, "the next document"], start=1)
        for segment in splitter.segments(TextSpan("source", span, number >= len(spans)))
    ]
    assert [segment.text for segment in segments] == [*split_safely(text, SEGMENT_CHARACTERS), "the next document"]
    assert [segment.ends for segment in segments] == [False] * (len(segments) - 2) + [True, True]
