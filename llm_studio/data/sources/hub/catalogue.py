"""The catalogue: recommended datasets of the hub, from `resources/datasets.yaml`."""

import functools
from dataclasses import dataclass
from typing import Any

from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.errors import DownloadError
from llm_studio.i18n import _, language
from llm_studio.paths import resource

_EVERY = "*"


@dataclass(frozen=True)
class Entry:
    """One dataset. `documents` and `size` (megabytes of text) are rounded, None if unknown.

    An empty `field` means conversations with the question and the answer in separate columns. `about` is a one-sentence
    description by language. `max_documents` is the suggested size of a first download, None for the whole dataset.
    """

    key: str
    name: str
    dataset: str
    config: str | None
    split: str
    field: str
    conversations: bool
    languages: tuple[str, ...]
    licence: str | None
    documents: int | None
    size: int | None
    max_documents: int | None
    about: dict[str, str]
    in_languages: dict[str, str]

    @property
    def description(self) -> str:
        """The description in the user's language."""
        return self.about.get(language()) or self.about["en"]

    @property
    def url(self) -> str:
        """The web page of the dataset."""
        return f"https://huggingface.co/datasets/{self.dataset}"

    @property
    def any_language(self) -> bool:
        """Whether it is available in any language."""
        return _EVERY in self.languages

    def request(self, lang: str | None = None) -> DownloadRequest:
        """The download request. `lang`: the language, for datasets with a configuration for each."""
        config = self.config
        if config is not None and "{lang}" in config:
            config = config.format(lang=lang or self.languages[0])
        return DownloadRequest(self.dataset, config, self.split, self.field)


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All datasets of the catalogue, in the order of the cards."""
    import yaml

    with resource("datasets.yaml").open(encoding="utf-8") as stream:
        rows: list[dict[str, Any]] = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for row in rows:
        row["languages"] = tuple(row["languages"])
    return tuple(Entry(**row) for row in rows)


def find(key: str, lang: str | None = None) -> Entry | None:
    """The entry `key`, or its counterpart in the language `lang`; None if `key` is unknown.

    Raises DownloadError if there is no counterpart in that language.
    """
    known = {entry.key: entry for entry in entries()}
    entry = known.get(key)
    if entry is None or lang is None or entry.any_language or lang in entry.languages:
        return entry
    if lang in entry.in_languages:
        return known[entry.in_languages[lang]]
    raise DownloadError(
        _("“{name}” isn't available in the language “{language}”.").format(name=entry.name, language=lang),
        _("Its languages: {names}. Find other datasets with “llm-studio search”.").format(
            names=", ".join(entry.languages) or _("none")),
    )  # fmt: skip
