"""Detection of the column of a table that holds the text."""

from collections.abc import Mapping, Sequence

from llm_studio.data.sources.nested import joined

_LIKELY = {
    "text", "texte", "content", "contenu", "story", "stories", "document", "article", "body", "poem", "poeme", "poème",
    "raw_content", "page_content", "markdown", "lyrics", "transcript", "plain_text", "code",
}  # fmt: skip
_UNLIKELY = {
    "id", "_id", "url", "uri", "link", "title", "titre", "date", "source", "file", "path", "file_path", "filename",
    "meta", "metadata", "label", "language", "lang", "hash", "author", "auteur", "license", "licence", "dump", "prompt",
    "instruction", "timestamp", "category", "repo_name", "summary",
}  # fmt: skip
_MAX_LENGTH = 4000


def guess_text_column(columns: Mapping[str, Sequence[object]]) -> str | None:
    """The column that looks most like text, judging by some values of each; None if none does.

    A column of lists of strings (lines, paragraphs) counts as text. Between columns of similar length, names decide.
    """
    scores = {name: _score(name, values) for name, values in columns.items()}
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] > 0 else None


def _score(name: str, values: Sequence[object]) -> float:
    present = [value for value in values if value is not None and value != ""]
    texts = [text for value in present if (text := joined(value, "\n")) is not None]
    if not texts or len(texts) * 2 < len(present):
        return 0.0
    length = sum(min(len(text), _MAX_LENGTH) for text in texts) / len(texts)
    words = sum(any(map(str.isspace, text)) for text in texts) / len(texts)
    simple_name = name.rpartition(".")[2].lower()
    weight = 5.0 if simple_name in _LIKELY else 0.1 if simple_name in _UNLIKELY else 1.0
    return length * (0.02 + words) * weight
