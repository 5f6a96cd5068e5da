"""The texts that a tokenizer is trained on: the memory that they need, and words without end."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import TokenizerSettings
from llm_studio.data.corpus.corpus import TextSpan
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.sample import (
    BLOCK_CHARACTERS,
    MEMORY_BYTES,
    LongWords,
    MemoryForecast,
    SampleTooLargeError,
    sample_texts,
)
from llm_studio.data.tokenizer.tokenizer import SEGMENT_CHARACTERS, is_safe_cut
from llm_studio.data.tokenizer.training import train_tokenizer
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from tests.data.test_tokenizer import Texts

MEGA = 1_000_000


def sampled(*documents: str, spans: int = 1, fraction: float = 4) -> tuple[list[str], LongWords]:
    """Texts of the documents, each read in so many spans; all of them where the `fraction` is at least 4."""
    words = LongWords()
    parts = [
        TextSpan("source", text[start:end], end == len(text))
        for text in documents
        for start, end in pairwise(len(text) * n // spans for n in range(spans + 1))
    ]
    characters = sum(map(len, documents))
    return list(sample_texts(parts, characters, round(fraction * characters), words)), words


# --- Words without end ---------------------------------------------------------------------------------------

RUNS = st.lists(st.tuples(st.sampled_from("aé漢1=-!"), st.sampled_from([1, 3, 511, 512, 513, 1024, 1500])), max_size=6)


@given(RUNS, st.sampled_from([" ", "。", "\n"]))
def test_only_words_that_are_too_long_are_cut(runs: list[tuple[str, int]], mark: str) -> None:
    text = mark.join(character * length for character, length in runs)
    parts, words = sampled(text)
    assert "".join(parts) == text
    ends = [0, *(p for p in range(1, len(text)) if is_safe_cut(text, p)), len(text)]
    long = [(start, end) for start, end in pairwise(ends) if end - start > BLOCK_CHARACTERS]
    position, cuts = 0, list[int]()
    for part in parts[:-1]:
        position += len(part)
        cuts.append(position)
    assert cuts == [cut for start, end in long for cut in range(start + BLOCK_CHARACTERS, end, BLOCK_CHARACTERS)]
    assert (words.count, words.longest) == (len(long), max((end - start for start, end in long), default=0))


@pytest.mark.parametrize("spans", [1, 2, 7])
def test_a_word_of_millions_of_letters_is_one_word_of_that_length(spans: int) -> None:
    letters = "abcdefg" * 30_000
    parts, words = sampled(f"Once {letters} upon a time.", f"{letters[:40_000]}.", spans=spans)
    assert (words.count, words.longest) == (2, len(f" {letters}"))
    assert max(map(len, parts)) <= SEGMENT_CHARACTERS
    assert sum(len(part) > 2 * BLOCK_CHARACTERS for part in parts) == 0


def test_a_word_has_its_length_even_if_only_a_part_is_sampled() -> None:
    parts, words = sampled("Once " + "a" * 1_000_000 + " upon", fraction=0.1)
    assert sum(map(len, parts)) < 100_001
    assert (words.count, words.longest) == (1, 1_000_001)


def test_two_documents_are_two_words() -> None:
    _parts, words = sampled("a" * 40_000, "a" * 30_000)
    assert (words.count, words.longest) == (2, 40_000)


def test_usual_texts_are_not_cut() -> None:
    stories = list(generate_stories("en", 100))
    assert sampled(*stories)[0] == stories


# --- Memory --------------------------------------------------------------------------------------------------


def distinct(count: int) -> list[str]:
    """Texts in which no word occurs twice, of letters alone: digits would be words of their own."""
    letters = str.maketrans("0123456789", "abcdefghij")
    return [" ".join(f"word{text}x{n}".translate(letters) for n in range(1000)) for text in range(count)]


def test_words_that_repeat_need_no_more_memory() -> None:
    texts = ["the cat sat on the mat " * 700] * 1000  # 16 MB
    forecast = MemoryForecast(str.split, 16 * MEGA, MEMORY_BYTES)
    assert list(forecast.watch(texts)) == texts
    assert forecast.memory(16 * MEGA) < 10_000


def test_the_estimate_grows_in_proportion_where_every_word_is_new() -> None:
    forecast = MemoryForecast(str.split, 10 * MEGA, 10**12)
    texts = distinct(800)
    size = sum(map(len, texts))
    list(forecast.watch(texts))
    letters, words = size - 800 * 999, 800_000
    assert forecast.memory(size) == pytest.approx(80 * words + 125 * letters, rel=0.05)


@pytest.mark.parametrize("first", [True, False])
def test_the_estimate_does_not_depend_on_the_order_of_the_texts(first: bool) -> None:
    new, old = distinct(300), ["the cat sat on the mat " * 600] * 900
    forecast = MemoryForecast(str.split, 16 * MEGA, 10**12)
    list(forecast.watch(new + old if first else old + new))
    letters = sum(map(len, new)) - 300 * 999
    assert forecast.memory(sum(map(len, new + old))) == pytest.approx(80 * 300_000 + 125 * letters, rel=0.1)


def test_too_many_words_end_the_reading_with_a_size_that_fits() -> None:
    texts = distinct(400)
    total = sum(map(len, texts))
    with pytest.raises(SampleTooLargeError) as raised:
        list(MemoryForecast(str.split, total, 100 * MEGA).watch(texts))
    assert raised.value.size == total
    again = MemoryForecast(str.split, raised.value.fitting, 100 * MEGA)
    fewer = list(sample_texts((TextSpan("s", t, True) for t in texts), total, raised.value.fitting))
    assert list(again.watch(fewer)) == fewer
    assert 60 * MEGA < again.memory(raised.value.fitting) < 100 * MEGA


def test_training_says_what_it_left_out_and_cut() -> None:
    heard: list[Event] = []
    texts = Texts((*distinct(60), "a" * 3_000_000))
    train_tokenizer(texts, 300, TokenizerSettings(), Job(heard.append), memory=30 * MEGA)  # type: ignore[arg-type]
    fewer, cut = (event.text for event in heard if isinstance(event, Notice))
    assert "memory suffices for" in fewer and "\u00a0MB of 4\u00a0MB" in fewer
    assert "up to 3,000,000 characters" in cut and "(1 longer than 512)" in cut


@pytest.mark.slow
def test_text_without_spaces_is_learned_from_in_bounded_memory() -> None:
    """4 MB of it would need 470 MB. Measured: 103 MB above what Python and the libraries take."""
    pytest.importorskip("resource", reason="Windows tells no peak memory this way")

    def peak(*arguments: str) -> float:
        command = [sys.executable, "-m", "tests.benchmarks.tokenizer", "--step", *arguments]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)["peak_mb"]

    assert peak("chinese", "4", str(100 * MEGA)) - peak("chinese", "0.01") < 150
