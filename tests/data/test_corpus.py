"""The corpus: what is kept, what is kept aside."""

import itertools
import pickle
import random
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llm_studio.config import DataSettings
from llm_studio.data.chunks import Chunk
from llm_studio.data.cleaning import clean
from llm_studio.data.corpus import corpus
from llm_studio.data.corpus.corpus import Corpus, CorpusPlan, Split, TextSpan, unit_end
from llm_studio.data.sources.store import write_source
from llm_studio.errors import Cancelled, DataError
from llm_studio.events import Progress
from llm_studio.jobs import Job

second = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
SHORT = DataSettings(min_characters=1)


def plan_of(folder: Path, sources: dict[str, list[str]], settings: DataSettings = SHORT) -> CorpusPlan:
    for name, texts in sources.items():
        write_source(folder, name, "a test", [Chunk(text, True) for text in texts], Job())
    return Corpus(folder, settings).plan(Job())


def texts_in(plan: CorpusPlan, name: Split) -> list[str]:
    """The texts of one side, joined until they end."""
    out, text = [], ""
    for span in plan.texts(name):
        text += span.text
        if span.ends:
            out.append(text)
            text = ""
    assert text == ""
    return out


def sentences(count: int, seed: int = 0) -> str:
    """A text of `count` different sentences in paragraphs of five."""
    draw = random.Random(seed)
    words = ["river", "stone", "a", "the", "quiet", "garden", "she", "walked", "under", "evening", "light", "été"]
    out = []
    for number in range(count):
        out.append(" ".join(draw.choices(words, k=draw.randint(4, 14))).capitalize() + f" {number}.")
        out.append("\n\n" if number % 5 == 4 else " ")
    return "".join(out)


documents = st.lists(
    st.one_of(st.text(max_size=30), st.integers(1, 60).map(sentences), st.sampled_from(["same", "e\u0301", "\x00"])),
    min_size=1,
    max_size=12,
)
data_settings = st.builds(
    DataSettings,
    min_characters=st.sampled_from([0, 1, 20]),
    remove_duplicates=st.booleans(),
    normalize_unicode=st.booleans(),
    validation_share=st.sampled_from([0.01, 0.05, 0.5]),
)


@second
@given(st.lists(documents, min_size=1, max_size=3), data_settings)
def test_both_sides_together_are_every_kept_document(
    tmp_path: Path, lists: list[list[str]], settings: DataSettings
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    sources = {f"s{n}": [*texts, f"A text that is in this source alone: {n}."] for n, texts in enumerate(lists)}
    expected: list[str] = []
    for text in (clean(text, settings) for texts in sources.values() for text in texts):
        if len(text) >= max(1, settings.min_characters) and not (settings.remove_duplicates and text in expected):
            expected.append(text)
    assume(len(set(expected)) > 1)
    plan = plan_of(tmp_path, sources, settings)
    train, validation = texts_in(plan, "train"), texts_in(plan, "validation")

    assert sum(map(len, train)) == plan.train_characters
    assert sum(map(len, validation)) == plan.validation_characters > 0
    assert plan.train_characters + plan.validation_characters == plan.characters == sum(map(len, expected))
    assert plan.documents == len(expected)
    assert plan.documents + plan.duplicates + plan.too_short == sum(map(len, sources.values()))
    assert not set(train) & set(validation) or plan.cut
    if not plan.cut:
        assert sorted(train + validation) == sorted(expected)
    assert_reassembled(plan, expected)


def assert_reassembled(plan: CorpusPlan, expected: list[str]) -> None:
    """Each document is made of texts of the two sides, taken from their fronts."""
    sides = [list(plan.texts("train")), list(plan.texts("validation"))]
    at = [0, 0]

    def fits(document: str, rest: list[str], at: list[int]) -> bool:
        if not document:
            return not rest or fits(rest[0], rest[1:], at)
        for which in (0, 1):
            if at[which] < len(sides[which]):
                span = sides[which][at[which]]
                after = [at[0] + (which == 0), at[1] + (which == 1)]
                if span.text and document.startswith(span.text) and fits(document[len(span.text) :], rest, after):
                    return True
        return False

    assert fits("", expected, at)


def test_the_same_result_on_every_run(tmp_path: Path) -> None:
    sources = {"a": [sentences(9, seed) for seed in range(300)], "b": [sentences(2000, 999)]}
    first = plan_of(tmp_path, sources)
    again = Corpus(tmp_path, SHORT).plan(Job())
    for name in get_args(Split):
        assert list(first.texts(name)) == list(again.texts(name))


def test_the_order_of_the_sources_changes_no_side(tmp_path: Path) -> None:
    texts = [sentences(9, seed) for seed in range(400)] + [sentences(3000, 999)]
    one = plan_of(tmp_path / "one", {"a": texts[:100], "b": texts[100:]})
    other = plan_of(tmp_path / "other", {"a": texts[:99:-1], "z": texts[:100]})
    assert sorted(texts_in(one, "validation")) == sorted(texts_in(other, "validation"))


def test_a_document_and_its_duplicates_are_on_one_side(tmp_path: Path) -> None:
    texts = [sentences(9, seed) for seed in range(400)]
    plan = plan_of(tmp_path, {"a": texts, "b": texts}, DataSettings(remove_duplicates=False))
    train, validation = texts_in(plan, "train"), texts_in(plan, "validation")
    assert len(train) + len(validation) == 800
    assert not set(train) & set(validation)


def test_the_first_of_several_duplicates_stays(tmp_path: Path) -> None:
    texts = [sentences(9, seed) for seed in range(50)]
    plan = plan_of(tmp_path, {"a": texts, "b": [*texts, "e\u0301 and more", "é and more"]})
    assert plan.duplicates == 51
    assert {s.source for s in [*plan.texts("train"), *plan.texts("validation")] if "é" not in s.text[:1]} == {"a"}


def test_short_documents_are_counted_after_cleaning(tmp_path: Path) -> None:
    texts = ["x" * 49 + "\x00" * 10, "y" * 50, "z" * 60, ""]
    plan = plan_of(tmp_path, {"a": texts}, DataSettings(min_characters=50))
    assert (plan.documents, plan.too_short) == (2, 2)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
def test_many_documents_give_validation_its_share(tmp_path: Path, share: float) -> None:
    texts = [sentences(20, seed) for seed in range(2500)]
    plan = plan_of(tmp_path, {"a": texts}, DataSettings(validation_share=share))
    assert not plan.cut
    assert share * 0.99 <= plan.validation_characters / plan.characters <= share


def test_a_novel_gives_validation_its_share(real_text: Path, tmp_path: Path) -> None:
    text = (real_text / "french-novels" / "Verne.txt").read_text(encoding="utf-8")
    plan = plan_of(tmp_path, {"verne": [text]}, DataSettings())
    assert plan.cut
    assert 0.04 <= plan.validation_characters / plan.characters <= 0.06
    assert len(texts_in(plan, "validation")) >= 4


def test_neighbouring_units_of_one_side_are_one_text(tmp_path: Path) -> None:
    text = sentences(5000)
    plan = plan_of(tmp_path, {"a": [text]})
    train, validation = list(plan.texts("train")), list(plan.texts("validation"))
    assert any(not span.ends for span in train)
    assert_reassembled(plan, [text])
    for whole in texts_in(plan, "train") + texts_in(plan, "validation"):
        assert whole in text
    assert len(texts_in(plan, "train")) <= len(validation) + 1


def test_units_begin_at_paragraphs(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"a": [sentences(5000)]})
    begins = [span.text[:2] for span in plan.texts("validation")]
    assert begins.count("\n\n") >= len(begins) - 1


@given(st.text(st.sampled_from("ab .!»\n\t\u00a0é"), min_size=60, max_size=100), st.sampled_from([8, 20, 30]))
def test_a_unit_ends_before_white_space_or_has_none(text: str, size: int) -> None:
    cut = unit_end(text, 0, size)
    assert 0 < cut <= size * 3 // 2
    before, after = text[cut - 1], text[cut]
    words = " \n\t"
    safe = any(a not in words + "\xa0" and b in words for a, b in itertools.pairwise(text[: size + 1]))
    assert (after in words + "\xa0" and before not in words + "\xa0") or not safe


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("a. b\nc\n\nd e" + " f" * 50, "\n\nd"),
        ("a. b c d\ne e" + " f" * 50, "\ne"),
        ("« a b c d ! » e" + " f" * 50, " e"),
        ("a b c d, e e e" + " f" * 50, " e"),
        ("x" * 100, "x"),
    ],
)
def test_a_unit_ends_at_the_best_place(text: str, begins: str) -> None:
    assert text[unit_end(text, 0, 13) :].startswith(begins)


def test_a_conversation_is_cut_before_a_question() -> None:
    talk = "".join(f"<|user|>Who are you?\n\n{n}<|assistant|>I am.\n\nNobody." for n in range(50))
    cut = unit_end(talk, 0, 500, conversation=True)
    assert 250 < cut <= 750 and talk[cut:].startswith("<|user|>")
    assert not talk[unit_end(talk, 0, 500) :].startswith("<|user|>")
    long_answer = "<|user|>Tell.<|assistant|>" + "One day it rained. " * 200
    assert unit_end(long_answer, 0, 500, conversation=True) == unit_end(long_answer, 0, 500)


def test_a_text_of_one_line_is_cut_too(tmp_path: Path) -> None:
    draw = random.Random(0)
    for letters in ("abcdef ", "字文書本語文字列", "abcdefgh"):
        plan = plan_of(tmp_path, {"a": ["".join(draw.choices(letters, k=300_000))]})
        assert plan.cut
        assert plan.validation_characters >= 10_000
        assert_characters(plan)


def assert_characters(plan: CorpusPlan) -> None:
    for name, expected in (("train", plan.train_characters), ("validation", plan.validation_characters)):
        assert sum(len(span.text) for span in plan.texts(name)) == expected


def test_a_tiny_text_gives_a_few_pieces(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"a": [sentences(400)]})
    assert plan.characters < 30_000
    assert plan.cut
    assert 0.03 <= plan.validation_characters / plan.characters <= 0.05


def test_two_short_documents_can_be_split(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"a": ["a short one", "another, longer one"]})
    assert texts_in(plan, "validation") == ["a short one"]
    assert texts_in(plan, "train") == ["another, longer one"]


@pytest.mark.parametrize("texts", [["one short text"], ["the same text", "the same text"]])
def test_one_short_text_cannot_be_split(tmp_path: Path, texts: list[str]) -> None:
    for unique in (True, False):
        with pytest.raises(DataError, match=r"Nothing can be set aside.*Add more text"):
            plan_of(tmp_path, {"a": texts}, DataSettings(min_characters=1, remove_duplicates=unique))


def test_nothing_left_is_said_with_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 3 are shorter than 50 characters"):
        plan_of(tmp_path, {"a": ["one", "two", "two"]}, DataSettings())


def test_a_project_without_texts_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no texts yet"):
        Corpus(tmp_path, SHORT).plan(Job())


def test_the_fingerprint_changes_with_texts_names_and_settings(tmp_path: Path) -> None:
    def print_of(folder: Path, settings: DataSettings = SHORT) -> str:
        return Corpus(folder, settings).fingerprint()

    for folder, name, text in (("1", "a", "text"), ("2", "a", "text"), ("3", "b", "text"), ("4", "a", "other")):
        write_source(tmp_path / folder, name, folder, [Chunk(text, True)], Job())
    prints = [print_of(tmp_path / folder) for folder in "1234"]
    assert prints[0] == prints[1]
    assert len({*prints, print_of(tmp_path / "1", DataSettings())}) == 4


def test_a_plan_can_be_sent_to_another_process(tmp_path: Path) -> None:
    for texts in ([sentences(9, seed) for seed in range(400)], [sentences(3000)]):
        plan = plan_of(tmp_path, {"a": texts})
        content = pickle.dumps(plan)
        assert len(content) < 4000
        assert list(pickle.loads(content).texts("train")) == list(plan.texts("train"))


def test_texts_that_changed_since_the_scan_are_noticed(tmp_path: Path) -> None:
    for texts in ([sentences(9, seed) for seed in range(400)], [sentences(3000)]):
        plan = plan_of(tmp_path, {"a": texts})
        for changed in ([*texts, sentences(3000, 7)], ["one"]):
            write_source(tmp_path, "a", "", [Chunk(text, True) for text in changed], Job())
            with pytest.raises(DataError, match="changed while they were being read"):
                list(plan.texts("train"))


def test_a_scan_reports_and_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_REPORT_CHARACTERS", 10_000)
    plan_of(tmp_path, {"a": [sentences(9, seed) for seed in range(200)]})
    events: list[Progress] = []
    Corpus(tmp_path, SHORT).plan(Job(events.append))
    assert all(event.total and event.done <= event.total for event in events)
    assert len(events) > 5
    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        Corpus(tmp_path, SHORT).plan(job)


def test_a_document_longer_than_a_piece_comes_in_stretches(tmp_path: Path) -> None:
    long = "word " * 150_000
    plan = plan_of(
        tmp_path, {"a": [long, *(sentences(300, seed) for seed in range(40))]}, DataSettings(validation_share=0.1)
    )
    assert not plan.cut
    first, second = itertools.islice(plan.texts("train"), 2)
    assert not first.ends
    assert second == TextSpan("a", long[len(first.text) :], True)
