"""Near duplicates."""

import random
import tempfile
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.data.cleaning import near_duplicates
from llm_studio.data.cleaning.near_duplicates import NearDuplicate, NearDuplicateIndex
from llm_studio.data.corpus.text_stats import TextStats, TextStatsWriter
from llm_studio.errors import Cancelled
from llm_studio.jobs import Job

WORDS = [f"{a}{b}" for a in ("ba", "ce", "di", "fo", "gu", "ha", "ki") for b in ("ra", "no", "lis", "mer", "t", "vu")]


def found(texts: list[str], similarity: float = 0.8, job: Job | None = None) -> list[NearDuplicate]:
    stats = measured(texts)
    with NearDuplicateIndex(similarity) as compared:
        for number, text in enumerate(texts):
            compared.add(number, text)
        return compared.find(stats.hashes, stats.lengths, np.ones(len(texts), np.bool_), job or Job())


def measured(texts: Iterable[str]) -> TextStats:
    writer = TextStatsWriter()
    for text in texts:
        writer.add(text, True)
    return writer.stats()


def text_of(words: int, seed: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def jaccard(left: list[str], right: list[str]) -> float:
    """The share of phrases in common, by definition."""
    one, other = (
        {tuple(words[n : n + near_duplicates.SHINGLE_SIZE]) for n in range(len(words))} for words in (left, right)
    )
    return len(one & other) / len(one | other)


def changed(words: list[str], changes: int, seed: int = 0) -> list[str]:
    draw, out = random.Random(seed), list(words)
    for place in draw.sample(range(len(words)), changes):
        out[place] = f"other{place}"
    return out


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.8, 0.9])
def test_pairs_above_the_similarity_are_found_and_pairs_below_are_not(similarity: float) -> None:
    originals = [text_of(400, seed) for seed in range(60)]
    step = 1 if similarity < 0.7 else 2
    others = [changed(words, seed // step, seed) for seed, words in enumerate(originals)]
    real = [jaccard(left, right) for left, right in zip(originals, others, strict=True)]
    removed = {pair.removed % 60 for pair in found([" ".join(words) for words in originals + others], similarity)}
    margin = 3.5 * (similarity * (1 - similarity) / near_duplicates.NUM_PERM) ** 0.5  # standard errors
    surely = {n for n, share in enumerate(real) if share > similarity + margin}
    surely_not = {n for n, share in enumerate(real) if share < similarity - margin}
    assert min(len(surely), len(surely_not)) > 1
    assert surely <= removed
    assert not surely_not & removed


def test_the_similarity_that_is_reported_is_that_of_the_texts() -> None:
    words = text_of(2000, 1)
    other = changed(words, 30)
    [pair] = found([" ".join(words), " ".join(other)], 0.6)
    assert pair.similarity == pytest.approx(jaccard(words, other), abs=0.12)


def test_case_and_punctuation_make_no_difference() -> None:
    text = "The river runs quietly past the old mill and the children throw stones in it all day long."
    [pair] = found([text, text.upper().replace(" ", ", ") + "!!!", "Nothing of the kind was ever said in this house."])
    assert (pair.removed, pair.kept, pair.similarity) == (0, 1, 1.0)


def test_chinese_is_compared_by_characters() -> None:
    text = "今天天气很好我们去公园散步看见许多花和树还有小鸟在天空中飞来飞去非常高兴"
    assert len(found([text, "昨" + text[1:], "明天下雨所以大家都在家里读书写字没有出去玩"])) == 1


def test_texts_without_words_are_no_duplicates() -> None:
    assert found(["", "!!!", "...", "", "—"]) == []


def test_of_a_group_the_longest_stays_whatever_the_order() -> None:
    base = text_of(300, 5)
    group = [" ".join(base), " ".join([*base, "and", "more"]), " ".join(base[:-1])]
    others = [" ".join(text_of(300, seed)) for seed in range(10, 40)]
    texts = group + others
    for seed in range(5):
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        pairs = found([texts[n] for n in order])
        assert {order[pair.removed] for pair in pairs} == {0, 2}
        assert {order[pair.kept] for pair in pairs} == {1}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(24)))
def test_the_same_documents_stay_whatever_the_order(seed: int, order: list[int]) -> None:
    bases = [text_of(60, seed + n) for n in range(6)]
    texts = [" ".join(changed(bases[n % 6], n // 6, n)) for n in range(24)]

    def kept(texts: list[str]) -> set[str]:
        removed = {pair.removed for pair in found(texts, 0.7)}
        return {text for n, text in enumerate(texts) if n not in removed}

    assert kept(texts) == kept([texts[n] for n in order])


def test_no_two_that_stay_are_similar() -> None:
    bases = [text_of(200, n) for n in range(20)]
    texts = [" ".join(changed(bases[n % 20], 2 * (n // 20), n)) for n in range(200)]
    removed = {pair.removed for pair in found(texts, 0.7)}
    kept = [text.split() for n, text in enumerate(texts) if n not in removed]
    assert 20 <= len(kept) < 150
    for n, one in enumerate(kept):
        assert all(jaccard(one, other) < 0.8 for other in kept[:n])


def test_only_allowed_documents_count() -> None:
    texts = ["one two three four five six seven"] * 3
    stats = measured(texts)
    with NearDuplicateIndex(0.8) as compared:
        compared.add(1, texts[1])
        compared.add(2, texts[2])
        allowed = np.array([True, True, False])
        assert compared.find(stats.hashes, stats.lengths, allowed, Job()) == []


def test_comparing_can_be_stopped() -> None:
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        found(["one two three four five six"] * 2, job=job)


def test_many_documents_need_little_memory_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows with their number: the temporary file, and a few numbers for each."""
    import tracemalloc

    monkeypatch.setattr(near_duplicates, "_BATCH", 50_000)
    peaks: list[int] = []
    for count in (2_000, 8_000):
        texts = (" ".join(text_of(30, seed)) for seed in range(count))
        writer = TextStatsWriter()
        tracemalloc.start()
        with NearDuplicateIndex(0.8) as compared:
            for number, text in enumerate(texts):
                writer.add(text, True)
                compared.add(number, text)
            stats = writer.stats()
            assert compared.find(stats.hashes, stats.lengths, np.ones(count, np.bool_), Job()) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 6_000 * 150


def test_the_temporary_file_goes_away(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found(["one two three four five six"] * 2)
    assert not list(tmp_path.iterdir())
