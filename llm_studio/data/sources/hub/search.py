"""Search on the hub, and a preview of the first rows of a dataset."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from llm_studio.data.sources.hub import fields, libraries, plan, requests, resolve
from llm_studio.data.sources.nested import flatten
from llm_studio.errors import DownloadError
from llm_studio.jobs import Job

_SHOWN_CHARACTERS = 600
"""Length limit of a value in a preview."""
_MAX_LIST_ITEMS = 20


@dataclass(frozen=True)
class SearchResult:
    """A dataset found by a search. `size`: bytes of its files, None if the hub doesn't provide it.

    `documents`: the hub's size category, by number of records ("1M<n<10M"). `gated`: only available to users who have
    accepted its conditions.
    """

    dataset: str
    downloads: int
    likes: int
    size: int | None
    documents: str
    licence: str
    languages: tuple[str, ...]
    gated: bool
    updated: str


@dataclass(frozen=True)
class Preview:
    """The first rows of a split. `columns`: their types by name; `field`: the detected text column, if any.

    The values in `rows` are shortened. `text`: the first document as it would be downloaded, shortened. `texts`: for
    each field that can be used (nested ones with a dot), the first documents as they would be downloaded, shortened.
    """

    dataset: str
    config: str
    split: str
    configs: tuple[str, ...]
    splits: tuple[str, ...]
    columns: dict[str, str]
    rows: tuple[dict[str, str], ...]
    field: str | None
    conversations: bool
    text: str
    documents: int | None
    size: int
    licence: str
    texts: dict[str, tuple[str, ...]]


def search(text: str, job: Job, limit: int = 20) -> list[SearchResult]:
    """The datasets whose names contain `text`, the most downloaded first. Raises HubError, Cancelled."""
    if not text.strip():
        return []

    def get() -> list[Any]:
        properties = ["downloads", "likes", "gated", "tags", "lastModified", "mainSize"]
        found = libraries.api().list_datasets(search=text.strip(), sort="downloads", limit=limit,
                                              expand=cast("Any", properties))  # fmt: skip
        return list(found)

    requests.require_connection(job)
    return [_search_result(about) for about in requests.call(job, text.strip(), get, seconds=30.0)]


def _search_result(about: Any) -> SearchResult:
    tags: Sequence[str] = about.tags or []

    def tagged(kind: str) -> list[str]:
        return [tag.partition(":")[2] for tag in tags if tag.startswith(f"{kind}:")]

    size = getattr(about, "main_size", None) or getattr(about, "mainSize", None)
    changed = getattr(about, "last_modified", None)
    return SearchResult(
        about.id, about.downloads or 0, about.likes or 0, size if isinstance(size, int) else None,
        ", ".join(tagged("size_categories")), ", ".join(tagged("license")), tuple(tagged("language")),
        bool(about.gated), changed.date().isoformat() if changed else "",
    )  # fmt: skip


def first_rows(dataset: str, config: str | None, split: str | None, job: Job, count: int = 10) -> Preview:
    """The first rows of a split, from the beginning of its first file. Raises HubError, DownloadError, Cancelled."""
    requests.require_connection(job)
    resolved = resolve.resolve(dataset, config, split, job)
    records = plan.first_records(resolved, job, max(count, fields.SAMPLE))
    field, conversations = fields.guess_field(records)
    text = fields.text_of(records[0], field, conversations) if records and field is not None else ""
    return Preview(
        dataset, resolved.config, resolved.split, resolved.configs, resolved.splits,
        {name: _kind([record.get(name) for record in records]) for name in (records[0] if records else ())},
        tuple({name: shorten(value) for name, value in record.items()} for record in records[:count]),
        field, conversations, shorten(text or "", 4 * _SHOWN_CHARACTERS), resolved.documents,
        sum(shard.size for shard in resolved.shards), resolved.licence, _texts(records[:count], field, conversations),
    )  # fmt: skip


def _texts(
    records: Sequence[Mapping[str, Any]], guessed: str | None, conversations: bool
) -> dict[str, tuple[str, ...]]:
    """The first documents for each field that can be used as text, the guessed one first."""
    first = [guessed] if guessed is not None else []
    found: dict[str, tuple[str, ...]] = {}
    for name in [*first, *(name for name in flatten(records[0]) if name != guessed)] if records else []:
        with contextlib.suppress(DownloadError):  # the field holds something else
            texts = (fields.text_of(record, name, conversations and name == guessed) for record in records)
            found[name] = tuple(shorten(text, 2 * _SHOWN_CHARACTERS) for text in texts if text)
    return {name: texts for name, texts in found.items() if texts}


def _kind(values: Sequence[object]) -> str:
    """The name of the Python type of a column's values."""
    return next((type(value).__name__ for value in values if value is not None), "")


def shorten(value: object, length: int = _SHOWN_CHARACTERS) -> str:
    """A value as text of at most `length` characters."""
    if isinstance(value, bytes):
        return f"… {len(value)}"
    if isinstance(value, list):
        value = cast("list[object]", value)[:_MAX_LIST_ITEMS]
    elif isinstance(value, Mapping):
        value = dict(list(cast("Mapping[str, object]", value).items())[:_MAX_LIST_ITEMS])
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text if len(text) <= length else text[: length - 1] + "…"
