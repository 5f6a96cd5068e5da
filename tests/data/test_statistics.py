"""What is told of a corpus is what a slow and simple count finds."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio import records
from llm_studio.config import DataSettings
from llm_studio.data.chunks import Chunk
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.corpus.statistics import Statistics, histogram, measure
from llm_studio.data.corpus.word_counts import WordCounts, words_of
from llm_studio.data.sources.store import write_source
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.errors import Cancelled
from llm_studio.events import Progress
from llm_studio.jobs import Job


def statistics_of(
    folder: Path, sources: dict[str, list[str]], talks: tuple[str, ...] = (), **changes: object
) -> Statistics:
    for name, documents in sources.items():
        chunks = (Chunk(text, True) for text in documents)
        write_source(folder, name, "test", chunks, Job(), conversations=name in talks)
    corpus = Corpus(folder, DataSettings.model_validate({"min_characters": 1, **changes}))
    return measure(corpus.plan(Job()), Job())


@pytest.mark.parametrize("text, words", [
    ("The cat can't SLEEP.", ["the", "cat", "can't", "sleep"]),
    ("L’arbre qu’il n'a pas vu aujourd’hui", ["l’", "arbre", "qu’", "il", "n'", "a", "pas", "vu", "aujourd’hui"]),
    ("3 dogs_and 2.5 œufs", ["3", "dogs", "and", "2", "5", "œufs"]),
    ("漢字 and かな", ["漢", "字", "and", "か", "な"]),
    ("漢字don't l'été", ["漢", "字", "don't", "l'", "été"]),
    ("", []),
])  # fmt: skip
def test_words_are_what_a_reader_calls_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_the_figures_are_those_of_a_simple_count(tmp_path: Path) -> None:
    english, french = list(generate_stories("en", 60)), list(generate_stories("fr", 40))
    found = statistics_of(tmp_path, {"en": english, "fr": french})
    assert list(found.sources) == ["en", "fr"]
    for figures, texts in (
        (found.sources["en"], english),
        (found.sources["fr"], french),
        (found.corpus, english + french),
    ):
        kept = list(dict.fromkeys(texts))
        counts = Counter(word for text in kept for word in words_of(text))
        assert (figures.documents, figures.characters) == (len(kept), sum(map(len, kept)))
        assert (figures.words, figures.distinct_words, figures.distinct_exact) == (counts.total(), len(counts), True)
        assert dict(figures.frequent) == {word: counts[word] for word, _n in figures.frequent}
        assert [n for _word, n in figures.frequent] == sorted(counts.values(), reverse=True)[:50]
        assert figures.lengths.median == int(np.median([len(text) for text in kept]))
        assert sum(figures.lengths.counts) == figures.lengths.documents == len(kept)
        assert 3 < figures.word_length < 6 and 4 < figures.sentence_length < 20
    shares = {code: part / found.corpus.characters for code, part in found.corpus.languages}
    assert shares["en"] + shares["fr"] > 0.99 and shares["en"] == pytest.approx(
        found.sources["en"].characters / found.corpus.characters, abs=0.01
    )
    assert records.decode(json.loads(json.dumps(found.to_json())), Statistics) == found


def test_duplicates_and_near_ones_are_reported_apart(tmp_path: Path) -> None:
    texts = ["A cat sat.", "A dog ran.", "A cat sat.", "a  cat, sat!", "A cat sat. Down."]
    found = statistics_of(tmp_path / "1", {"a": texts, "b": ["A dog ran", "Else."]}, remove_duplicates=False)
    assert (found.sources["a"].duplicates, found.sources["a"].near_duplicates) == (1, 1)
    assert (found.corpus.duplicates, found.corpus.near_duplicates) == (1, 2)
    kept = statistics_of(tmp_path / "2", {"a": texts, "b": ["x" * 3]}, min_characters=4)
    assert {reason: n for reason, n in kept.left_out.items() if n} == {"duplicate": 1, "too_short": 1}
    assert kept.corpus.duplicates == 0


def test_markers_of_conversations_are_no_words(tmp_path: Path) -> None:
    talk = [f"<|user|>who{number}<|assistant|>me" for number in range(3)]
    found = statistics_of(tmp_path, {"chat": talk, "tales": ["<|user|> said"]}, talks=("chat",))
    assert found.sources["chat"].words == 6 and "user" not in dict(found.sources["chat"].frequent)
    assert dict(found.sources["tales"].frequent) == {"user": 1, "said": 1}


def test_a_document_in_many_pieces_is_one(tmp_path: Path) -> None:
    novel = "\n\n".join(generate_stories("en", 1500))
    found = statistics_of(tmp_path, {"novel": [novel]}).corpus
    assert (found.documents, found.characters) == (1, len(novel)) and len(novel) > 1_000_000
    assert found.words == len(words_of(novel)) and found.lengths.longest == pytest.approx(len(novel), rel=0.01)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=12, unique=True))
def test_whatever_the_texts_are_they_are_measured(tmp_path: Path, texts: list[str]) -> None:
    from llm_studio.errors import StudioError

    try:
        found = statistics_of(tmp_path, {"a": texts})
    except StudioError:  # all are blank, or equal once cleaned
        return
    assert found.corpus.documents == sum(found.corpus.lengths.counts) > 0
    assert records.decode(json.loads(json.dumps(found.to_json())), Statistics) == found


# --- Many words --------------------------------------------------------------------------------------------------


def test_too_many_words_are_estimated_and_the_frequent_ones_stay() -> None:
    chance = np.random.default_rng(3)
    counts, exact = WordCounts(most=2000), Counter[str]()
    for start in range(0, 60_000, 1000):
        rare = [f"word{number}" for number in range(start, start + 1000)]
        common = [f"common{number}" for number in chance.integers(0, 30, 3000)]
        counts.add(rare + common)
        exact.update(common)
    other = WordCounts(most=2000)
    other.add([f"word{number}" for number in range(59_000, 61_000)])
    counts.merge(other)
    assert not counts.exact and counts.distinct == pytest.approx(61_030, rel=0.03)
    assert counts.total == 60 * 4000 + 2000
    assert [word for word, _n in counts.frequent(30)] == [
        word for word, _n in sorted(exact.items(), key=lambda e: (-e[1], e[0]))
    ]
    assert all(exact[word] - counts.error <= n <= exact[word] for word, n in counts.frequent(30))


@given(st.lists(st.integers(1, 300_000), min_size=1, max_size=50))
def test_bars_hold_every_document_and_the_median_is_the_median(lengths: list[int]) -> None:
    values = np.array(lengths, np.int64)
    found = histogram(values)
    different, counts = np.unique(values, return_counts=True)
    assert histogram(different, counts) == found
    assert sum(found.counts) == len(lengths) and found.median == int(np.median(values))
    assert found.edges[0] == min(lengths) and found.edges[-1] == max(lengths) + 1


def test_counting_reports_and_stops(tmp_path: Path) -> None:
    write_source(tmp_path, "a", "test", (Chunk(text, True) for text in generate_stories("en", 50)), Job())
    plan = Corpus(tmp_path, DataSettings()).plan(Job())
    events: list[object] = []
    job = Job(events.append)
    measure(plan, job)
    assert isinstance(events[-1], Progress) and events[-1].unit == "characters"
    job.request_stop()
    with pytest.raises(Cancelled):
        measure(plan, job)
