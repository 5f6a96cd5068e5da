"""Text to ids and back, and how a tokenizer is learned and how its learning ends."""

import json
import multiprocessing
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import SPECIAL_TOKENS, TokenizerSettings
from llm_studio.data.corpus.corpus import TextSpan
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.sample import sample_texts
from llm_studio.data.tokenizer.tokenizer import Tokenizer, is_safe_cut, split_safely
from llm_studio.data.tokenizer.training import MAX_TOKEN_BYTES, measure_quality, train_tokenizer
from llm_studio.errors import Cancelled, SourceError, TokenizerError
from llm_studio.events import Event, Progress
from llm_studio.jobs import Job

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
DIFFICULT = st.text("aé漢\u0301🇫👩\u200d\0\x1c\x85\u00a0\u3000\ufeff\ufffd \t\r\n1½'s!<|>")
NAMES = st.lists(st.sampled_from([*SPECIAL_TOKENS, " ", "a", "<|", "endoftext"])).map("".join)
TEXTS = UNICODE | DIFFICULT | NAMES


@dataclass(frozen=True)
class Texts:
    """Stands for a corpus that is nothing but training texts; asking for others is an error."""

    texts_: tuple[str, ...]
    conversations: frozenset[str] = frozenset()

    @property
    def train_characters(self) -> int:
        return sum(map(len, self.texts_))

    def texts(self, side: str) -> Iterator[TextSpan]:
        assert side == "train", "the tokenizer saw validation text"
        return (TextSpan("source", text, True) for text in self.texts_)


@dataclass(frozen=True)
class BrokenTexts(Texts):
    """A corpus whose file was damaged."""

    def texts(self, side: str) -> Iterator[TextSpan]:
        yield from super().texts(side)
        raise SourceError("The file is damaged.", "Add it again.")


def slow_to_merge() -> Texts:
    """Words of thousands of letters: they are read at once and merged for many seconds."""
    letters = np.random.default_rng(0).integers(ord("a"), ord("z"), 1_000_000, dtype=np.uint8, endpoint=True)
    return Texts((letters.tobytes().decode(),))


def learned(texts: Texts, vocab_size: int = 1000, job: Job | None = None, **changes: Any) -> Tokenizer:
    return train_tokenizer(texts, vocab_size, TokenizerSettings(**changes), job or Job())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    stories = list(generate_stories("en", 200))
    return learned(Texts((*stories, "Émile a 1984 ans. " * 50, "à la fin, 😀 " * 50)))


# --- There and back ------------------------------------------------------------------------------------------


@given(text=TEXTS)
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(len(SPECIAL_TOKENS) <= token < tokenizer.vocab_size for token in ids), "a text made a special token"


@given(text=TEXTS)
def test_a_stream_shows_the_text_and_never_half_a_character(tokenizer: Tokenizer, text: str) -> None:
    stream = tokenizer.stream()
    shown = ""
    for token in tokenizer.encode(text):
        shown += stream.push(token)
        assert text.startswith(shown)
    assert stream.finish() == ""
    assert shown == text


@given(ids=st.lists(st.integers(0, 300), max_size=30))
def test_a_stream_of_any_ids_equals_decoding_them_at_once(tokenizer: Tokenizer, ids: list[int]) -> None:
    stream = tokenizer.stream()
    shown = "".join([*map(stream.push, ids), stream.finish()])
    assert shown == tokenizer.decode(ids)
    assert shown == b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", errors="replace")


def test_decoding_agrees_with_the_library(tokenizer: Tokenizer) -> None:
    from tokenizers import Tokenizer as Library

    library = Library.from_str(tokenizer.to_json())
    every = list(range(tokenizer.vocab_size))
    assert tokenizer.decode(every) == library.decode(every, skip_special_tokens=False)
    np.random.default_rng(0).shuffle(every)
    assert tokenizer.decode(every) == library.decode(every, skip_special_tokens=False)


def test_half_a_character_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"U\+D83D, at position 3"):
        tokenizer.encode("oh \ud83d!")
    with pytest.raises(TokenizerError, match=r"U\+DE00"):
        tokenizer.encode_many(["fine", "\ude00"])


def test_an_id_beyond_the_vocabulary_has_no_bytes(tokenizer: Tokenizer) -> None:
    for token in (tokenizer.vocab_size, -1):
        with pytest.raises(IndexError):
            tokenizer.token_bytes(token)


# --- Long texts ----------------------------------------------------------------------------------------------


@given(text=DIFFICULT, limit=st.integers(1, 12))
def test_segments_are_short_whole_and_cut_safely_where_that_is_possible(text: str, limit: int) -> None:
    segments = list(split_safely(text, limit))
    assert "".join(segments) == text
    position = 0
    for segment in segments[:-1]:
        assert 0 < len(segment) <= limit
        end = position + len(segment)
        possible = [cut for cut in range(position + 1, position + limit + 1) if is_safe_cut(text, cut)]
        assert end == (possible[-1] if possible else position + limit)
        position = end
    assert len(segments[-1]) <= limit


# --- Files ---------------------------------------------------------------------------------------------------


def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.fingerprint == tokenizer.fingerprint
    assert again.to_json() == tokenizer.to_json()
    assert (again.vocab_size, again.end_of_text) == (tokenizer.vocab_size, 0)
    assert again.encode("Once <|endoftext|> 😀") == tokenizer.encode("Once <|endoftext|> 😀")


def test_another_vocabulary_has_another_fingerprint(tokenizer: Tokenizer) -> None:
    content = json.loads(tokenizer.to_json())
    content["model"]["merges"].pop()
    assert Tokenizer(content).fingerprint != tokenizer.fingerprint


def test_settings_for_batches_and_noise_are_left_behind(tokenizer: Tokenizer) -> None:
    content = json.loads(tokenizer.to_json())
    content["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                          "pad_type_id": 0, "pad_token": "<|endoftext|>"}  # fmt: skip
    content["model"]["dropout"] = 0.5
    imported = Tokenizer(content)
    assert imported.fingerprint == tokenizer.fingerprint
    assert imported.encode("Once upon a time") == tokenizer.encode("Once upon a time")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            content = content[name]
        content[last] = value

    return apply


def rename_end_of_text(content: dict[str, Any]) -> None:
    content["added_tokens"][0]["content"] = "</s>"
    content["model"]["vocab"]["</s>"] = content["model"]["vocab"].pop(SPECIAL_TOKENS[0])


FOREIGN = {
    "not BPE": change("model.type", "WordPiece"),
    "normalizer": change("normalizer", {"type": "Lowercase"}),
    "ends of words": change("model.end_of_word_suffix", "</w>"),
    "bytes": change("pre_tokenizer", {"type": "Whitespace"}),
    "space before each text": change("pre_tokenizer.pretokenizers", [{"type": "ByteLevel", "add_prefix_space": True}]),
    "reproduce": lambda content: content["pre_tokenizer"]["pretokenizers"].insert(0, {"type": "WhitespaceSplit"}),
    "bytes have no token": lambda content: content["model"]["vocab"].pop("a"),
    "gaps": change("model.vocab.a", 10**9),
    "is missing": rename_end_of_text,
    "name of a special token": lambda content: content["added_tokens"][0].update(special=False),
    "absorb": lambda content: content["added_tokens"][1].update(special=False, rstrip=True),
    "damaged": change("model.vocab", "text"),
    "no such token": change("model.merges", [["a", "no such token"]]),
}


@pytest.mark.parametrize("reason", FOREIGN)
def test_a_tokenizer_that_loses_something_is_refused_with_the_reason(tokenizer: Tokenizer, reason: str) -> None:
    content = json.loads(tokenizer.to_json())
    FOREIGN[reason](content)
    with pytest.raises(TokenizerError, match=reason) as raised:
        Tokenizer.from_json(json.dumps(content))
    assert raised.value.to_do


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"model": {}}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizer.json")


def enlarged(tokenizer: Tokenizer, tokens: int, merges: int, as_text: bool) -> str:
    """The tokenizer with so many more tokens and merges, which need not make sense."""
    content = json.loads(tokenizer.to_json())
    content["model"]["vocab"] |= {f"t{n}": len(content["model"]["vocab"]) + n for n in range(tokens)}
    content["model"]["merges"] = ["a b" if as_text else ["a", "b"]] * merges
    return json.dumps(content)


@pytest.mark.parametrize(("tokens", "merges", "as_text"), [
    (1_000_000, 1_000_000, False), (1_000_000, 1_000_000, True), (0, 700_000, True), (301_000, 0, False),
])  # fmt: skip
def test_a_tokenizer_of_a_million_merges_is_refused_soon(
    tokenizer: Tokenizer, tokens: int, merges: int, as_text: bool
) -> None:
    text = enlarged(tokenizer, tokens, merges, as_text)
    began = time.perf_counter()
    with pytest.raises(TokenizerError, match=r"more than 300,000 tokens or 600,000 merges"):
        Tokenizer.from_json(text)
    print(f"{tokens} tokens, {merges} merges, {len(text) / 1e6:.0f} MB: {time.perf_counter() - began:.2f} s")


def test_millions_of_values_in_its_place_are_refused_unparsed() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TokenizerError, match=r"more than 300,000 tokens"):
            Tokenizer.from_json("[" + "{}," * 4_000_000 + "1]")
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_a_file_far_larger_than_any_tokenizer_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as stream:
        stream.truncate(50_000_000_000)  # sparse
    with pytest.raises(TokenizerError, match="larger than"):
        Tokenizer.load(path)


def test_an_absent_file_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="There is no tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.json")


# --- Learning ------------------------------------------------------------------------------------------------


def test_a_learned_tokenizer_has_the_special_tokens_first_and_frequent_words_whole(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == 1000
    assert [tokenizer.decode([token]) for token in range(3)] == list(SPECIAL_TOKENS)
    assert len(tokenizer.encode("Once upon")) == 2
    assert len(tokenizer.encode("1984")) == 4


def test_up_to_three_digits_are_joined_where_that_is_wished() -> None:
    numbers = Texts(("198 1984 " * 100,))
    joined = learned(numbers, split_digits=False)
    assert [joined.decode([token]) for token in joined.encode("1984")] == ["198", "4"]


def test_the_library_of_the_tokenizer_cuts_as_qwen2_or_llama_3() -> None:
    """transformers and llama.cpp know these patterns: see their `qwen2` and `llama-bpe`."""
    for split_digits, digits in ((True, r"\p{N}"), (False, r"\p{N}{1,3}")):
        content = json.loads(learned(Texts(("Once",)), 300, split_digits=split_digits).to_json())
        split, on_bytes = content["pre_tokenizer"]["pretokenizers"]
        assert split == {"type": "Split", "behavior": "Isolated", "invert": False, "pattern": {"Regex":
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits
            + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}}  # fmt: skip
        assert (on_bytes["type"], on_bytes["add_prefix_space"], on_bytes["use_regex"]) == ("ByteLevel", False, False)
        assert content["normalizer"] is None


def test_no_token_is_longer_than_the_limit() -> None:
    endless = Texts(("=" * 1000 + "\n", "漢字かな" * 300, "abcdefghijklmnopqrstuvwxyz" * 40, " " * 999 + "x") * 3)
    tokenizer = learned(endless, 3000)
    lengths = [len(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)]
    assert MAX_TOKEN_BYTES - 4 <= max(lengths) <= MAX_TOKEN_BYTES


def test_a_pair_that_is_too_rare_is_not_merged() -> None:
    text = Texts(("zyxw", "zyxw", "aaab", "aaab", "aaab"))
    assert len(learned(text, min_frequency=3).encode("zyxw")) == 4
    assert len(learned(text, min_frequency=2).encode("zyxw")) == 1


def test_a_small_corpus_gives_a_small_vocabulary() -> None:
    assert 259 < learned(Texts(("hello hello",)), vocab_size=50_000).vocab_size < 270


@pytest.mark.parametrize("megabytes", [1, 2, 100])
def test_the_texts_read_are_spread_evenly_within_the_limit(megabytes: int) -> None:
    spans = [TextSpan("source", f"é{index % 10}" * 50_000, True) for index in range(40)]  # 4 M characters, 6 MB
    chosen = list(sample_texts(spans, 4_000_000, megabytes * 1_000_000))
    size = sum(len(text.encode()) for text in chosen)
    wanted = min(megabytes * 1_000_000, 6_000_000)
    assert 0.97 * wanted < size <= wanted
    for digit in range(10):
        assert sum(text.count(str(digit)) for text in chosen) * 3 == pytest.approx(size / 10, rel=0.25)


def test_quality_counts_tokens_words_and_characters_up_to_the_limit(tokenizer: Tokenizer) -> None:
    measured = measure_quality(tokenizer, ["Once upon a time", " there was", " never read"], limit=26)
    assert (measured.characters, measured.words) == (26, 6)
    assert measured.tokens == len(tokenizer.encode("Once upon a time")) + len(tokenizer.encode(" there was"))
    assert measured.characters_per_token == 26 / measured.tokens
    assert measured.tokens_per_word == measured.tokens / 6


def test_what_goes_wrong_with_the_texts_is_reported_as_it_is() -> None:
    with pytest.raises(SourceError, match="The file is damaged") as raised:
        learned(BrokenTexts(("hello",)))
    assert raised.value.to_do == "Add it again."


class Merging(Job):
    """A job that does something to the other process as soon as that is busy merging."""

    def __init__(self, action: Callable[[psutil.Process], object]) -> None:
        super().__init__(self.look)
        self.action = action
        self.times: list[float] = []
        self.other: psutil.Process | None = None

    def look(self, event: Event) -> None:
        if isinstance(event, Progress) and event.total is None:
            self.times.append(time.monotonic())
            if len(self.times) == 4:
                (child,) = multiprocessing.active_children()
                assert child.pid is not None
                self.other = psutil.Process(child.pid)
                self.action(self.other)


def test_a_cancel_while_merging_ends_at_once_and_leaves_no_process() -> None:
    job = Merging(lambda _process: job.request_stop())
    with pytest.raises(Cancelled):
        learned(slow_to_merge(), 200_000, job)
    assert time.monotonic() - job.times[-1] < 3
    assert max(later - earlier for earlier, later in pairwise(job.times)) < 1, "no sign of life for a second"
    assert job.other is not None
    assert not job.other.is_running()
    assert not multiprocessing.active_children()


def test_a_process_that_dies_is_explained() -> None:
    with pytest.raises(TokenizerError, match="for lack of memory") as raised:
        learned(slow_to_merge(), 200_000, Merging(psutil.Process.kill), max_megabytes=37)
    assert "less than 37" in raised.value.to_do
    assert not multiprocessing.active_children()


def test_the_other_process_dies_with_its_parent() -> None:
    code = (
        "from tests.data.test_tokenizer import Merging, learned, slow_to_merge\n"
        "learned(slow_to_merge(), 200_000, Merging(lambda process: print(process.pid, flush=True)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        other = psutil.Process(int(parent.stdout.readline()))
        assert other.is_running()
        parent.kill()
    other.wait(timeout=3)
