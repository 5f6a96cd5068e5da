"""Looking at the texts of a project: one document, a search, how long documents are, what cleaning leaves out."""

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
"""Characters of a document that are shown at once."""
QUICK = 50_000_000
"""Characters that are read through in about a second."""
_BEFORE = 500
"""Characters shown before a passage that was found far inside a document."""
_REPORT_EVERY = 500


# --- One document -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """A document, or an excerpt of a long one. `number` from 0, `of` so many; `start`: characters before `text`."""

    source: str
    number: int
    of: int
    text: str
    start: int = 0
    goes_on: bool = False
    """There is more of it after `text`."""


def read_document(project: Project, name: str, number: int, job: Job) -> Document:
    """The beginning of document `number`, counted from 0; those before it aren't read. Raises SourceError."""
    source = _source(project, name)
    number = max(0, min(number, source.documents - 1))
    return _excerpt(project, source, number, 0, job)


def _excerpt(project: Project, source: "Source", number: int, start: int, job: Job) -> Document:
    from llm_studio.data.sources.store import read_from

    kept: list[str] = []
    place = length = 0
    goes_on = False
    for piece in read_from(project.raw, source, number):
        job.check()
        text = piece.text[max(0, start - place) :]
        place += len(piece.text)
        kept.append(text[: EXCERPT - length])
        length += len(kept[-1])
        goes_on = len(text) > len(kept[-1]) or (length == EXCERPT and not piece.ends)
        if piece.ends or goes_on:
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
    """The passage that was searched for. `wrapped`: it stands before the place where the search began."""

    document: Document
    wrapped: bool


def pattern(words: str) -> re.Pattern[str]:
    """What `words` are searched as: upper and lower case alike, any white space for a space."""
    return re.compile(r"\s+".join(map(re.escape, words.split())), re.IGNORECASE)


def search(project: Project, name: str, words: str, number: int, start: int, job: Job) -> Found | None:
    """The next passage with `words`, from character `start` of document `number` on, then from the first document.

    Reports progress in documents. None where no document contains them. Raises SourceError, Cancelled.
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
    """(document, character) of the first match after `begin`; a search that wraps around ends at `requested`."""
    from llm_studio.data.sources.store import read_from

    wanted, reach = pattern(words), 4 * len(words)
    number, skip = begin
    first, wrapped = requested
    last = first if wrapped else source.documents - 1
    tail, place = "", 0
    for piece in read_from(project.raw, source, number):
        job.check()
        text = tail + piece.text
        found = wanted.search(text, max(0, skip - place))
        if found:
            return number, place + found.start()
        tail = "" if piece.ends else text[-reach:]
        place += len(text) - len(tail)
        if piece.ends:
            number, skip, place = number + 1, 0, 0
            if number > last:
                return None
            if number % _REPORT_EVERY == 0:
                done = number + source.documents - first if wrapped else number - first
                job.report(Progress(_("Searching"), done, source.documents, _("documents")))
    return None


# --- How long documents are ---------------------------------------------------------------------------------------


def lengths(project: Project, job: Job, *, whatever_it_takes: bool = True) -> "Lengths | None":
    """Measure all documents, before cleaning; kept in the project for the next time. None where there are none.

    Without `whatever_it_takes` None as well where it isn't known and there is much to read.
    """
    import numpy as np

    from llm_studio.data.corpus.statistics import Lengths, histogram
    from llm_studio.data.sources import store

    sources = store.list_sources(project.raw)
    key = files.fingerprint(sorted((source.name, source.sha256) for source in sources))
    known = recall(_kept(project, "lengths"), Lengths, key)
    if known:
        return known
    if not sources or (_much(sources) and not whatever_it_takes):
        return None
    total = sum(source.characters for source in sources)
    measured = histogram(np.frombuffer(_all_lengths(project.raw, sources, total, job), np.uint64).astype(np.int64))
    remember(_kept(project, "lengths"), measured, key)
    return measured


def _all_lengths(folder: Path, sources: "list[Source]", total: int, job: Job) -> "array[int]":
    from llm_studio.data.sources.store import read_chunks

    found = array("Q")
    length = done = summary = 0
    for source in sources:
        for piece in read_chunks(folder, source):
            length += len(piece.text)
            if piece.ends:
                job.check()
                done += length
                found.append(length)
                length = 0
                if done - summary > QUICK // 10:
                    summary = done
                    job.report(Progress(_("Measuring the documents"), done, total, _("characters")))
    return found


# --- What cleaning leaves out -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cleaned:
    """What the cleaning settings make of the corpus. `cut`: long documents were cut to have some for validation."""

    documents: Count
    left_out: dict[str, Count]
    """Documents by the reason why they are not kept: see `cleaning.left_out`."""
    characters: Count
    validation_characters: Count
    cut: bool


def cleaned(project: Project, job: Job, *, whatever_it_takes: bool = True) -> Cleaned | None:
    """Try the cleaning settings on all texts; kept in the project for the next time. None where there are no texts.

    Without `whatever_it_takes` None as well where it isn't known and there is much to read. Raises DataError where
    nothing would be left.
    """
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    key = corpus.readable_fingerprint()
    known = recall(_kept(project, "cleaned"), Cleaned, key)
    if known:
        return known
    if not corpus.sources or (_much(corpus.sources) and not whatever_it_takes):
        return None
    plan = corpus.plan(job)
    found = Cleaned(plan.documents, plan.left_out, plan.characters, plan.validation_characters, plan.cut)
    remember(_kept(project, "cleaned"), found, key)
    return found


def _much(sources: "list[Source]") -> bool:
    return sum(source.characters for source in sources) > QUICK


def _kept(project: Project, what: str) -> Path:
    return project.raw.parent / f".{what}.json"
