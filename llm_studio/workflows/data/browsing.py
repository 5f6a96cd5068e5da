"""Inspection of the texts of a project: one document, search, document lengths, and what cleaning leaves out."""

import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files
from llm_studio.errors import SourceError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.records import Count
from llm_studio.workflows.data.kept import recall, remember

if TYPE_CHECKING:
    from llm_studio.data.corpus.statistics import Lengths
    from llm_studio.data.sources.manifest import Source

EXCERPT = 20_000
"""Length limit of the excerpt of a document, in characters."""
QUICK = 50_000_000
"""Characters that can be read in about a second."""
_BEFORE = 500
"""Characters shown before a match that is far from the start of its document."""
_REPORT_EVERY = 500


# --- One document -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """A document, or an excerpt of a long one.

    `number`: its index in the source, which has `of` documents. `start`: offset of `text` in the document.
    """

    source: str
    number: int
    of: int
    text: str
    start: int = 0
    goes_on: bool = False
    """Whether the document continues after `text`."""


def read_document(project: Project, name: str, number: int, job: Job) -> Document:
    """The beginning of document `number`, counted from 0; a number that is too large gives the last document.

    The texts of earlier documents aren't read. Raises SourceError, Cancelled.
    """
    source = _source(project, name)
    number = max(0, min(number, source.documents - 1))
    return _excerpt(project, source, number, 0, job)


def _excerpt(project: Project, source: "Source", number: int, start: int, job: Job) -> Document:
    from llm_studio.data.sources.store import read_from

    kept: list[str] = []
    place = length = 0
    goes_on = False
    for chunk in read_from(project.raw, source, number):
        job.check()
        text = chunk.text[max(0, start - place) :]
        place += len(chunk.text)
        kept.append(text[: EXCERPT - length])
        length += len(kept[-1])
        goes_on = len(text) > len(kept[-1]) or (length == EXCERPT and not chunk.ends)
        if chunk.ends or goes_on:
            break
    return Document(source.name, number, source.documents, "".join(kept), start, goes_on)


def _source(project: Project, name: str) -> "Source":
    from llm_studio.data.sources import store

    for source in store.list_sources(project.raw):
        if source.name == name:
            return source
    raise SourceError(_("The source “{name}” is no longer there.").format(name=name), _("Choose another one."))


# --- Search -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """An excerpt with the match. `wrapped`: the search reached the end of the source and continued from its start."""

    document: Document
    wrapped: bool


def pattern(words: str) -> re.Pattern[str]:
    """The regular expression that finds `words`, ignoring case; any white space matches a space."""
    return re.compile(r"\s+".join(map(re.escape, words.split())), re.IGNORECASE)


def search(project: Project, name: str, words: str, number: int, start: int, job: Job) -> Found | None:
    """Find the next match of `words`, from character `start` of document `number` on, then from the first document.

    Reports progress in documents. Returns None if no document contains them. Raises SourceError, Cancelled.
    """
    if not words.strip():
        return None
    source = _source(project, name)
    for wrapped in (False, True):
        at = _first_match(project, source, words, (0, 0) if wrapped else (number, start), (number, wrapped), job)
        if at is not None:
            document, place = at
            fits = place + 4 * len(words) < EXCERPT
            shown = _excerpt(project, source, document, 0 if fits else place - _BEFORE, job)
            return Found(shown, wrapped)
    return None


def _first_match(
    project: Project, source: "Source", words: str, begin: tuple[int, int], requested: tuple[int, bool], job: Job
) -> tuple[int, int] | None:
    """(document, character) of the first match from `begin` on; None if there is none.

    `requested`: the document where the search started, and whether it has wrapped around, so that it ends there.
    """
    from llm_studio.data.sources.store import read_from

    wanted, reach = pattern(words), 4 * len(words)
    number, skip = begin
    first, wrapped = requested
    last = first if wrapped else source.documents - 1
    tail, place = "", 0
    for chunk in read_from(project.raw, source, number):
        job.check()
        text = tail + chunk.text
        found = wanted.search(text, max(0, skip - place))
        if found:
            return number, place + found.start()
        tail = "" if chunk.ends else text[-reach:]
        place += len(text) - len(tail)
        if chunk.ends:
            number, skip, place = number + 1, 0, 0
            if number > last:
                return None
            if number % _REPORT_EVERY == 0:
                done = number + source.documents - first if wrapped else number - first
                job.report(Progress(_("Searching"), done, source.documents, _("documents")))
    return None


# --- Document lengths -------------------------------------------------------------------------------------------


def lengths(project: Project, job: Job, *, whatever_it_takes: bool = True) -> "Lengths | None":
    """The lengths of all documents before cleaning, measured once and cached in the project; None without documents.

    `whatever_it_takes=False`: also None if nothing is cached and the texts have more than QUICK characters.
    """
    import numpy as np

    from llm_studio.data.corpus.statistics import Lengths, histogram
    from llm_studio.data.sources import store

    sources = store.list_sources(project.raw)
    key = files.fingerprint(sorted((source.name, source.sha256) for source in sources))
    known = recall(_cache_file(project, "lengths"), Lengths, key)
    if known:
        return known
    if not sources or (_is_large(sources) and not whatever_it_takes):
        return None
    total = sum(source.characters for source in sources)
    measured = histogram(np.frombuffer(_all_lengths(project.raw, sources, total, job), np.uint64).astype(np.int64))
    remember(_cache_file(project, "lengths"), measured, key)
    return measured


def _all_lengths(folder: Path, sources: "list[Source]", total: int, job: Job) -> "array[int]":
    from llm_studio.data.sources.store import read_chunks

    found = array("Q")
    length = done = reported = 0
    for source in sources:
        for chunk in read_chunks(folder, source):
            length += len(chunk.text)
            if chunk.ends:
                job.check()
                done += length
                found.append(length)
                length = 0
                if done - reported > QUICK // 10:
                    reported = done
                    job.report(Progress(_("Measuring the documents"), done, total, _("characters")))
    return found


# --- Effect of cleaning -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cleaned:
    """The corpus after cleaning. `cut`: long documents were cut to have enough validation text."""

    documents: Count
    left_out: dict[str, Count]
    """Number of documents that are not kept, by reason: see `cleaning.left_out`."""
    characters: Count
    validation_characters: Count
    cut: bool


def cleaned(project: Project, job: Job, *, whatever_it_takes: bool = True) -> Cleaned | None:
    """Apply the cleaning settings to all texts, without changing them; cached in the project. None without texts.

    `whatever_it_takes=False`: also None if nothing is cached and the texts have more than QUICK characters. Raises
    DataError if nothing would be left, Cancelled.
    """
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    key = corpus.readable_fingerprint()
    known = recall(_cache_file(project, "cleaned"), Cleaned, key)
    if known:
        return known
    if not corpus.sources or (_is_large(corpus.sources) and not whatever_it_takes):
        return None
    plan = corpus.plan(job)
    found = Cleaned(plan.documents, plan.left_out, plan.characters, plan.validation_characters, plan.cut)
    remember(_cache_file(project, "cleaned"), found, key)
    return found


def _is_large(sources: "list[Source]") -> bool:
    return sum(source.characters for source in sources) > QUICK


def _cache_file(project: Project, what: str) -> Path:
    return project.raw.parent / f".{what}.json"
