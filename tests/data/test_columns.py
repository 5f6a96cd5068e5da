"""The column of the text is guessed from names and values."""

from collections.abc import Mapping, Sequence

import pytest

from llm_studio.data.sources.columns import guess_text_column

LONG = "A long text with many words in it. " * 20


@pytest.mark.parametrize(("columns", "guess"), [
    ({"id": ["1", "2"], "text": ["a b", "c d"]}, "text"),
    ({"url": ["https://" + "x" * 400], "title": ["A title"], "body": [LONG]}, "body"),
    ({"prompt": [LONG], "text": [LONG]}, "text"),
    ({"french-tinystories": [LONG], "n": [3]}, "french-tinystories"),
    ({"id": [1, 2], "lines": [["one line", "another"], ["a third"]]}, "lines"),
    ({"translation.en": ["one two"], "translation.fr": ["un deux trois quatre"]}, "translation.fr"),
    ({"text": [None, None], "content": [LONG, None]}, "content"),
    ({"id": [1], "label": [0.5]}, None), ({}, None), ({"text": []}, None),
])  # fmt: skip
def test_the_most_likely_column_is_taken(columns: Mapping[str, Sequence[object]], guess: str | None) -> None:
    assert guess_text_column(columns) == guess
