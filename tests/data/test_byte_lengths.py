"""Bits per byte: bytes come from the texts, special tokens have none, and vocabularies compare."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from llm_studio.config import SPECIAL_TOKENS
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import baselines
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.data.tokens.byte_lengths import byte_lengths, bytes_per_token
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.project import Project

TEXTS = (
    "Once upon a time there was a little fox.",
    "Il était une fois, dans l’île, un garçon naïf : « ça va ? »",
    "漢字かな 👩\u200d👧 🇫🇷 e\u0301",
    " \t\r\n\n  \0",
    "<|endoftext|> written in a text is text, <|user|> too",
    "",
)


@pytest.fixture
def tokenizer(project: Project) -> Tokenizer:
    return Tokenizer.load(project.tokenizer_file)


@pytest.fixture
def tokens(project: Project) -> Iterator[Tokens]:
    with open_tokens(project.processed) as found:
        yield found


@pytest.mark.parametrize("text", TEXTS)
def test_the_bytes_of_its_tokens_are_those_of_the_text(tokenizer: Tokenizer, text: str) -> None:
    assert byte_lengths(tokenizer)[tokenizer.encode(text)].sum() == len(text.encode())


def test_special_tokens_have_no_bytes(tokenizer: Tokenizer) -> None:
    lengths = byte_lengths(tokenizer)
    assert [lengths[tokenizer.markers[name]] for name in SPECIAL_TOKENS] == [0] * len(SPECIAL_TOKENS)
    assert np.count_nonzero(lengths == 0) == len(SPECIAL_TOKENS)


def test_the_end_of_a_text_counts_as_a_token_without_bytes(tokenizer: Tokenizer) -> None:
    text = "the little fox"
    ids = np.array([*tokenizer.encode(text), tokenizer.end_of_text])
    assert bytes_per_token(ids, tokenizer) == pytest.approx(len(text) / len(ids))
    assert bytes_per_token(ids[-1:], tokenizer) is None
    assert bytes_per_token(ids[:0], tokenizer) is None


def test_a_uniform_model_over_bytes_needs_eight_bits_for_each() -> None:
    assert bits_per_byte(math.log(256), 1.0) == pytest.approx(8.0)
    assert bits_per_byte(2 * math.log(256), 2.0) == pytest.approx(8.0)


@pytest.mark.parametrize(("loss", "length"), [(None, 2.0), (1.0, None), (1.0, 0.0), (math.nan, 2.0), (math.inf, 2.0)])
def test_without_a_loss_or_bytes_there_are_none(loss: float | None, length: float | None) -> None:
    assert bits_per_byte(loss, length) is None


def test_baselines_are_about_the_bytes_of_the_validation_texts(tokens: Tokens, tokenizer: Tokenizer) -> None:
    targets = tokens.validation[1:].tolist()  # the first one isn't predicted
    text = "".join(tokenizer.decode([token]) for token in targets if token != tokenizer.end_of_text)
    assert baselines.bytes_per_token(tokens, tokenizer) == pytest.approx(len(text.encode()) / len(targets))
