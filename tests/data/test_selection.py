"""Which documents stay: the rules between documents, in the plan of the corpus."""

import itertools
import pickle
import random
from pathlib import Path
from typing import get_args
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llm_studio.config import DataSettings
from llm_studio.data.chunks import CHUNK_CHARACTERS, Chunk
from llm_studio.data.cleaning import TEXT_RULES, clean
from llm_studio.data.corpus import text_stats
from llm_studio.data.corpus.corpus import Corpus, CorpusPlan, Split
from llm_studio.data.corpus.selection import Verdict, draw_validation, find_duplicates
from llm_studio.data.corpus.text_stats import TextStats
from llm_studio.data.sources.store import write_source
from llm_studio.errors import DataError
from llm_studio.jobs import Job

from .test_corpus import plan_of, sentences, texts_in
from .test_languages import SENTENCES

second = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
ALL = dict.fromkeys((*TEXT_RULES, "remove_duplicates", "remove_near_duplicates"), True)


def both(plan: CorpusPlan) -> list[str]:
    return [text for name in get_args(Split) for text in texts_in(plan, name)]


def test_long_documents_are_left_out(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"a": ["a" * 60, "b" * 100, "c" * 101]}, DataSettings(max_characters=100))
    assert sorted(map(len, both(plan))) == [60, 100]
    assert plan.removed[Verdict.TOO_LONG] == 1


def test_lengths_are_those_of_the_cleaned_texts(tmp_path: Path) -> None:
    texts = ["x" + " " * 200 + "y" * 48, "z" * 60, "t" * 60]
    plan = plan_of(tmp_path, {"a": texts}, DataSettings(tidy_spaces=True))
    assert plan.too_short == 0
    assert "x " + "y" * 48 in both(plan)


def test_documents_in_other_languages_are_left_out_and_unsure_ones_stay(tmp_path: Path) -> None:
    texts = [*SENTENCES.values(), "1 + 1 = 2; 2 + 2 = 4; 3 + 3 = 6; 4 + 4 = 8; 5 + 5 = 10"]
    plan = plan_of(tmp_path, {"a": texts}, DataSettings(languages=("fr", "de"), min_characters=1))
    assert sorted(both(plan)) == sorted([SENTENCES["fr"], SENTENCES["de"], texts[-1]])
    assert plan.removed[Verdict.OTHER_LANGUAGE] == len(texts) - 3


def test_near_duplicates_are_left_out(tmp_path: Path) -> None:
    texts = [sentences(30, seed) for seed in range(200)]
    copies = [text.replace("river", "stream", 1) + " The end." for text in texts[:50]]
    plan = plan_of(tmp_path, {"a": texts, "b": copies}, DataSettings(remove_near_duplicates=True))
    assert plan.removed[Verdict.NEAR_DUPLICATE] == 50
    assert not set(both(plan)) & set(texts[:50])  # of each pair the longer stays


texts_lists = st.lists(
    st.one_of(
        st.integers(1, 20).map(sentences),
        st.sampled_from(["<p>same</p>", "same ", "same", "e\u0301", "HEADER\nsame", "Le chat dort.", "", "\xad"]),
        st.text(max_size=30),
    ),
    min_size=3,
    max_size=20,
)
chosen_settings = st.fixed_dictionaries({name: st.booleans() for name in ALL}).map(
    lambda chosen: DataSettings.model_validate({**chosen, "min_characters": 1, "validation_share": 0.3})
)


@second
@given(texts_lists, chosen_settings)
def test_no_document_nor_its_duplicate_is_on_both_sides(tmp_path: Path, texts: list[str], chosen: DataSettings) -> None:
    assume(any(text.strip() for text in texts[::2]))  # a source without text is refused
    for old in tmp_path.iterdir():
        old.unlink()
    try:
        plan = plan_of(tmp_path, {"a": texts, "b": texts[::2]}, chosen)
    except DataError:
        return  # nothing left, or all alike
    train, validation = set(texts_in(plan, "train")), set(texts_in(plan, "validation"))
    if not plan.cut:
        assert not train & validation
        assert train | validation <= {clean(text, chosen) for text in texts}
    assert plan.documents + sum(plan.removed.values()) == len(texts) + len(texts[::2])


spread_hashes = st.sampled_from([n << bits for bits in (0, 20, 58, 61) for n in range(8)])


@given(st.lists(st.tuples(spread_hashes, st.integers(1, 50), st.booleans()), max_size=40), st.floats(0.01, 0.5),
       st.sampled_from([1, 3, 7, 1000]))  # fmt: skip
def test_what_is_decided_is_what_one_pass_in_the_order_of_the_hashes_decides(
    documents: list[tuple[int, int, bool]], share: float, bucket: int
) -> None:
    hashes, lengths = (np.array([row[n] for row in documents], kind) for n, kind in ((0, np.uint64), (1, np.uint32)))
    with mock.patch.object(text_stats, "_BUCKET", bucket):
        check_decisions(documents, share, TextStats(hashes, lengths))


def check_decisions(documents: list[tuple[int, int, bool]], share: float, stats: TextStats) -> None:
    hashes = [row[0] for row in documents]
    allowed = np.array([row[2] for row in documents], np.bool_)
    seen: set[int] = set()
    again = [
        place for place, (value, _length, may) in enumerate(documents) if may and (value in seen or seen.add(value))
    ]
    assert sorted(find_duplicates(stats, allowed)) == again
    some = stats.select(allowed)
    assert (stats.count, stats.total) == (len(documents), sum(row[1] for row in documents))
    assert some.hashes.tolist() == [row[0] for row in documents if row[2]]
    assert some.total == sum(row[1] for row in documents if row[2]) == stats.characters(allowed)
    assert some.longest == max((row[1] for row in documents if row[2]), default=0)

    aside: set[int] = set()
    room = int(sum(row[1] for row in documents) * share)
    lengths = {value: sum(row[1] for row in documents if row[0] == value) for value in sorted(set(hashes))}
    for value, length in lengths.items():
        if length <= room:
            aside.add(value)
            room -= length
    if len(lengths) > 1 and not aside:
        aside = {min(lengths, key=lambda value: lengths[value])}
    expected = [len(lengths) > 1 and value in aside for value in hashes]
    assert draw_validation(stats, share).tolist() == expected


@pytest.mark.parametrize("chosen", [DataSettings(), DataSettings.model_validate(ALL)])
def test_no_near_duplicate_is_on_both_sides_and_the_order_of_sources_changes_nothing(
    tmp_path: Path, chosen: DataSettings
) -> None:
    draw_validation = random.Random(3)
    texts = [sentences(12, seed) for seed in range(300)]
    texts += [text.replace("garden", "yard", draw_validation.randrange(2)) for text in texts[:150]]
    sides = []
    for number, order in enumerate((texts, texts[::-1], draw_validation.sample(texts, len(texts)))):
        names = ["a", "b"] if number % 2 else ["z", "c"]
        plan = plan_of(tmp_path / str(number), {names[0]: order[:200], names[1]: order[200:]}, chosen)
        sides.append([sorted(texts_in(plan, name)) for name in get_args(Split)])
    assert sides[0] == sides[1] == sides[2]
    if chosen.remove_near_duplicates:
        train, validation = ({frozenset(text.split(". ")) for text in texts} for texts in sides[0])
        shared = [len(a & b) / len(a | b) for a, b in itertools.product(train, validation)]
        assert max(shared) < 0.8


def test_headers_of_a_source_go_and_those_of_another_stay(tmp_path: Path) -> None:
    pages = [f"The Daily News\n\n{sentences(6, seed)}\nPage {seed}" for seed in range(60)]
    other = [f"The Daily News {sentences(6, seed)}" for seed in range(100, 120)]
    plan = plan_of(tmp_path, {"a": pages, "b": other}, DataSettings(remove_repeated_lines=True))
    texts = both(plan)
    assert sum("The Daily News\n" in text for text in texts) == 0
    assert sum(text.startswith("The Daily News ") for text in texts) == 20
    assert not any("Page" in text for text in texts)


def test_a_long_document_is_cleaned_in_stretches_as_one(tmp_path: Path) -> None:
    text = "<p>One  &amp; two</p>\n\n\n\n\n    three\xad \r\n" * (CHUNK_CHARACTERS // 20)
    chosen = DataSettings.model_validate({**ALL, "validation_share": 0.5})
    plan = plan_of(tmp_path, {"a": [text, *(sentences(90, n) for n in range(300))]}, chosen)
    assert clean(text, chosen) in both(plan) or plan.cut
    assert sum(map(len, both(plan))) == plan.characters


def test_the_fingerprint_changes_when_a_rule_that_matters_changes_and_only_then(tmp_path: Path) -> None:
    write_source(tmp_path, "a", "", [Chunk("text", True)], Job())

    def print_of(**chosen: object) -> str:
        return Corpus(tmp_path, DataSettings.model_validate(chosen)).fingerprint()

    plain = print_of()
    assert plain == print_of(near_duplicate_similarity=0.7)  # none are looked for
    assert print_of(languages=["fr", "en"]) == print_of(languages=["en", "fr"])
    others = [print_of(**{name: not getattr(DataSettings(), name)}) for name in ALL]
    others += [print_of(max_characters=9000), print_of(languages=["fr"]), print_of(min_characters=9)]
    others += [print_of(remove_near_duplicates=True, near_duplicate_similarity=0.7), print_of(validation_share=0.1)]
    assert len({plain, *others}) == len(others) + 1


def test_a_project_of_before_keeps_its_fingerprint(tmp_path: Path) -> None:
    """What was prepared before these rules came is not out of date."""
    from llm_studio.files import fingerprint

    source = write_source(tmp_path, "a", "", [Chunk("text", True)], Job())
    before = {"normalize_unicode": True, "remove_duplicates": True, "min_characters": 50, "validation_share": 0.05}
    assert Corpus(tmp_path, DataSettings()).fingerprint() == fingerprint([("a", source.sha256)], before)


def test_what_is_left_out_is_said_when_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of 2, 1 too short, 0 too long, 1 in another language"):
        plan_of(tmp_path, {"a": ["short", SENTENCES["en"]]}, DataSettings(languages=("fr",)))


def test_a_plan_with_all_rules_is_small_and_can_be_sent(tmp_path: Path) -> None:
    texts = [f"The Daily News\n{sentences(9, seed)}\n{seed}" for seed in range(2000)]
    plan = plan_of(tmp_path, {"a": texts}, DataSettings.model_validate(ALL))
    content = pickle.dumps(plan)
    assert len(content) < 3 * len(texts)
    assert list(pickle.loads(content).texts("train")) == list(plan.texts("train"))
