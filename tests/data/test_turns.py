"""Conversations in tokens: the markers are tokens of their own, and the mask tells answers from the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio.config import TokenizerSettings
from llm_studio.data.corpus.corpus import TextSpan
from llm_studio.data.sources.conversations import ASSISTANT, END, USER
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.tokenizer import SEGMENT_CHARACTERS, Tokenizer
from llm_studio.data.tokenizer.training import train_tokenizer
from llm_studio.data.tokens.dataset import open_tokens, write_tokens
from llm_studio.data.tokens.turns import example_questions
from llm_studio.errors import DataError, TokenizerError
from llm_studio.jobs import Job


@dataclass
class Texts:
    """Stands for a corpus whose source “chat” holds conversations, and “tales” none."""

    spans: list[TextSpan]
    conversations: frozenset[str] = frozenset({"chat"})
    train_characters: int = 1
    validation_characters: int = 1

    def texts(self, side: str) -> Iterator[TextSpan]:
        yield from self.spans if side == "train" else [TextSpan("tales", "hello", True)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    stories = [TextSpan("tales", story, True) for story in generate_stories("en", 60)]
    texts = Texts(stories, train_characters=sum(len(s.text) for s in stories))
    return train_tokenizer(texts, 400, TokenizerSettings(), Job())  # type: ignore[arg-type]


def tokens_of(spans: list[TextSpan], tokenizer: Tokenizer, folder: Path) -> tuple[list[int], list[bool]]:
    """The training ids and what counts of them."""
    write_tokens(Texts(spans), tokenizer, folder, "corpus", Job())  # type: ignore[arg-type]
    with open_tokens(folder) as tokens:
        ids = tokens.train.tolist()
        counted = tokens.in_answer("train", np.arange(len(ids))).tolist()
        assert len(ids) == len(counted) == tokens.sources[-1].end
        assert [source.conversations for source in tokens.sources] == [s.name == "chat" for s in tokens.sources]
    return ids, counted


def expected(turns: list[tuple[str, str]], tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """The ids of a conversation and what counts of them, from its turns (marker, text)."""
    ids: list[int] = []
    counted: list[bool] = []
    answering = False
    for marker, text in turns:
        ids.append(tokenizer.markers[marker])
        counted.append(answering and marker == USER)
        answering = marker == ASSISTANT
        words = tokenizer.encode(text)
        ids += words
        counted += [answering] * len(words)
    return [*ids, tokenizer.markers[END]], [*counted, answering]


TEXT = st.text(max_size=30).map(lambda text: text.encode("utf-8", "ignore").decode().replace("<|", "< |"))
TURNS = st.lists(st.tuples(st.sampled_from([USER, ASSISTANT]), TEXT), min_size=1, max_size=6)
MIXED = st.lists(st.one_of(TURNS, TEXT), min_size=1, max_size=5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=MIXED)
def test_the_mask_fits_the_tokens_of_any_conversation(
    documents: list[list[tuple[str, str]] | str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Conversations and tales in any order, of any number of turns by anyone."""
    spans: list[TextSpan] = []
    ids: list[int] = []
    counted: list[bool] = []
    for document in documents:
        if isinstance(document, str):
            spans.append(TextSpan("tales", document, True))
            words = tokenizer.encode(document)
            ids += [*words, tokenizer.end_of_text]
            counted += [True] * (len(words) + 1)
        else:
            spans.append(TextSpan("chat", "".join(marker + text for marker, text in document), True))
            more = expected(document, tokenizer)
            ids += more[0]
            counted += more[1]
    assert tokens_of(spans, tokenizer, tmp_path) == (ids, counted)


@pytest.mark.parametrize("mark", [" ", "", "。"])
def test_long_turns_in_several_stretches_are_those_of_the_whole(
    mark: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Longer than what is encoded at once, without a space to cut at, and cut by the reader within an answer."""
    answer = mark.join(["dog"] * (SEGMENT_CHARACTERS // 2))
    turns = [(USER, "long?"), (ASSISTANT, answer), (USER, answer), (ASSISTANT, "end")]
    text = "".join(marker + words for marker, words in turns)
    cut = text.index(" dog", 2000) if mark == " " else len(USER + "long?")
    ids, counted = tokens_of(
        [TextSpan("chat", text[:cut], False), TextSpan("chat", text[cut:], True)], tokenizer, tmp_path
    )
    wanted = expected(turns, tokenizer)
    assert (ids, counted) == wanted if mark == " " else tokenizer.decode(ids[:-1]) == text
    assert ids.count(tokenizer.markers[USER]) == ids.count(tokenizer.markers[ASSISTANT]) == 2


def test_markers_in_other_texts_stay_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = f"{USER}not a question{ASSISTANT}"
    ids, counted = tokens_of([TextSpan("tales", text, True)], tokenizer, tmp_path)
    assert ids == [*tokenizer.encode(text), tokenizer.end_of_text] and all(counted)


def test_without_conversations_there_is_no_mask_and_an_old_one_goes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokens_of([TextSpan("chat", f"{USER}a{ASSISTANT}b", True)], tokenizer, tmp_path)
    assert (tmp_path / "train.mask").exists() and (tmp_path / "val.mask").exists()
    before = open_tokens(tmp_path)
    plain = Texts([TextSpan("tales", "a", True)], conversations=frozenset())
    before.close()
    write_tokens(plain, tokenizer, tmp_path, "corpus", Job())  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meta.json", "train.bin", "val.bin"]
    with open_tokens(tmp_path) as tokens:
        assert not tokens.has_conversations and tokens.in_answer("train", np.arange(2)).all()
        assert tokens.fingerprint != before.fingerprint


@pytest.mark.parametrize("damage, sentence", [
    (lambda mask: mask.unlink(), "train.mask is missing"), (lambda mask: mask.write_bytes(b"1"), "incomplete"),
])  # fmt: skip
def test_a_damaged_mask_is_refused(damage, sentence: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokens_of([TextSpan("chat", f"{USER}some words{ASSISTANT}more words", True)], tokenizer, tmp_path)
    damage(tmp_path / "train.mask")
    with pytest.raises(DataError, match=sentence):
        open_tokens(tmp_path)


def test_a_tokenizer_without_the_markers_is_refused_before_anything_is_written(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    import json

    content = json.loads(tokenizer.to_json())
    for token in content["added_tokens"]:
        token["content"] = token["content"].replace("user", "someone")
    content["model"]["vocab"] = {
        name.replace("|user|", "|someone|"): n for name, n in content["model"]["vocab"].items()
    }
    with pytest.raises(TokenizerError, match=r"no <\|user\|>.*“chat”"):
        tokens_of([TextSpan("chat", "a", True)], Tokenizer(content), tmp_path)
    assert not list(tmp_path.iterdir())


def test_questions_are_found_among_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    requested = ["Who is it?", "long " * 200, "Where?", "Who is it?"]
    texts = [*(f"{USER}{question}{ASSISTANT}The cat." for question in requested), f"{USER}no answer"]
    ids, _counted = tokens_of([TextSpan("chat", text, True) for text in texts], tokenizer, tmp_path)
    assert example_questions(np.array(ids), tokenizer, 5) == ("Who is it?", "Where?")
    assert example_questions(np.array(ids), tokenizer, 1) == ("Who is it?",)
