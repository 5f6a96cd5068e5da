"""Texts from the Hugging Face hub: finding a dataset, its preview, and downloads that can be resumed."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.errors import Cancelled, DownloadError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data import accounts

if TYPE_CHECKING:
    from llm_studio.data.sources.hub.catalogue import Entry
    from llm_studio.data.sources.hub.plan import DownloadPlan, DownloadRequest
    from llm_studio.data.sources.hub.search import Preview, SearchResult
    from llm_studio.data.sources.manifest import Source

HUB = "hf:"
"""Prefix of the name of a dataset on the hub."""


@dataclass(frozen=True)
class Unfinished:
    """A source whose download can be resumed, with its `documents` and `bytes` of text so far.

    `known`: the number of documents of the dataset, if known. `state`: "incomplete" if the download was stopped,
    "capped" if it reached its limits.
    """

    name: str
    wanted: "DownloadRequest"
    documents: int
    bytes: int
    known: int | None
    state: str


def catalogue() -> "tuple[Entry, ...]":
    """The recommended datasets, in the order in which they are shown."""
    from llm_studio.data.sources.hub.catalogue import entries

    return entries()


def search(text: str, job: Job, limit: int = 20) -> "list[SearchResult]":
    """The datasets on the hub whose names contain these words, at most `limit`. Raises DownloadError, Cancelled."""
    from llm_studio.data.sources.hub.search import search as ask

    return ask(text, job, limit)


def preview(dataset: str, config: str | None, split: str | None, job: Job) -> "Preview":
    """The first rows of a dataset, before it is downloaded. Raises DownloadError, Cancelled."""
    from llm_studio.data.sources.hub.search import first_rows

    return first_rows(dataset, config, split, job)


def wanted(
    name: str, *, lang: str | None = None, split: str | None = None, text_field: str | None = None,
    max_documents: int | None = None, max_megabytes: int | None = None,
) -> "DownloadRequest | None":  # fmt: skip
    """The request for a name, “hf:owner/name[:config]” or an entry of the catalogue; None if it is neither.

    Raises DownloadError if what follows “hf:” is malformed, or an entry isn't available in the language `lang`.
    """
    from llm_studio.data.sources.hub.catalogue import find
    from llm_studio.data.sources.hub.plan import DownloadRequest

    if name.startswith(HUB):
        dataset, _colon, config = name.removeprefix(HUB).partition(":")
        if dataset.count("/") != 1 or not all(dataset.split("/")) or any(map(str.isspace, dataset)):
            what = _("“{name}” is not the name of a dataset.").format(name=name)
            if dataset and Path(dataset).exists():
                raise DownloadError(what, _("For the file or folder {path}, leave out “hf:”.").format(path=dataset))
            raise DownloadError(what, _("It is written hf:owner/name or hf:owner/name:configuration."))
        found = DownloadRequest(dataset, config or None)
    else:
        entry = find(name, lang)
        if entry is None:
            return None
        found = entry.request(lang)
    max_bytes = None if max_megabytes is None else max_megabytes * 1_000_000
    return replace(found, split=split or found.split, max_documents=max_documents, max_bytes=max_bytes,
                   text_field=found.text_field if text_field is None else text_field)  # fmt: skip


def requested(
    dataset: str, config: str | None, split: str | None, text_field: str | None, max_documents: int | None,
    max_megabytes: int | None,
) -> "DownloadRequest":  # fmt: skip
    """The request for the names given by a preview. None: to be detected or, for the last two, no limit."""
    from llm_studio.data.sources.hub.plan import DownloadRequest

    return DownloadRequest(dataset, config, split, text_field, max_documents,
                  None if max_megabytes is None else max_megabytes * 1_000_000)  # fmt: skip


def download(project: Project, wanted: "DownloadRequest", job: Job) -> "Source":
    """Download documents into a source of the project, or resume it. The limits are for the whole source.

    What was downloaded is kept whatever happens. If the job is cancelled during the download, the source is returned
    with the state "incomplete" in its options. Raises DownloadError, StorageError, and Cancelled if there is no source
    to return.
    """
    from llm_studio.data.sources import store
    from llm_studio.data.sources.hub import plan, requests
    from llm_studio.data.sources.hub.download import Download

    with project.writing("data"):
        plans = plan.load_plans(project.raw, job.report)
        kept = {name: found for name, found in plans.items() if found.matches(wanted)}
        name = next(iter(kept), None)
        if name in {source.name for source in store.scan_sources(project.raw).unusable if source.damaged}:
            _drop_damaged(project, str(name), kept[str(name)], job)
        if name is not None and (complete := _nothing_to_do(project, name, kept[name], wanted, job)):
            return complete
        requests.require_connection(job)
        if name is None:
            made = plan.make_plan(wanted, job)
            name = store.unused_name(project.raw, _name(made))
            plan.save_plan(project.raw, name, made)
        else:
            made = kept[name]
            _report_changes(made, job)
        running = Download(project.raw, name, made, wanted, job)
        try:
            running.run()
        except Cancelled:
            if (stopped := _source(project, name)) is None:
                raise
            return stopped
        source = _source(project, name)
        accounts.report(source.account if source else running.account, job)
    if source is None:
        raise DownloadError(_("“{name}” holds no texts.").format(name=made.dataset),
                            _("Choose another field, split or dataset."))  # fmt: skip
    return source


def resume_download(
    project: Project, name: str, job: Job, *, max_documents: int | None = None, max_bytes: int | None = None,
    everything: bool = False,
) -> "Source":  # fmt: skip
    """Resume the download of the source `name`, up to new limits, or without limits if `everything` is set.

    By default, up to the limits it was started with. Raises DownloadError, also if the source is complete,
    StorageError, Cancelled.
    """
    resumable = next((found for found in unfinished(project) if found.name == name), None)
    if resumable is None:
        raise DownloadError(_("“{name}” is complete: there is nothing more to download.").format(name=name))
    source = _source(project, name)
    if max_documents is None and max_bytes is None and not everything and source is not None:
        max_documents, max_bytes = (source.options.get(cap) for cap in ("max_documents", "max_bytes"))
    return download(project, replace(resumable.wanted, max_documents=max_documents, max_bytes=max_bytes), job)


def download_again(project: Project, name: str, job: Job) -> "Source":
    """Download the source `name` again from its first damaged or missing file on; the files before it are kept.

    Raises DownloadError, StorageError, Cancelled.
    """
    from llm_studio.data.sources import store
    from llm_studio.data.sources.hub import plan

    made = plan.load_plans(project.raw)[name]
    before = next((source for source in store.scan_sources(project.raw).all() if source.name == name), None)
    caps = {cap: before.options.get(cap) if before else None for cap in ("max_documents", "max_bytes")}
    with project.writing("data"):
        _drop_damaged(project, name, made, job)
    limits = {cap: value for cap, value in caps.items() if isinstance(value, int)}
    request = plan.DownloadRequest(made.dataset, made.config, made.split, made.field)
    return download(project, replace(request, **limits), job)


def _drop_damaged(project: Project, name: str, made: "DownloadPlan", job: Job) -> None:
    """Drop the files of a source from the first damaged one on, to be downloaded again, and report how many."""
    from llm_studio.data.sources.hub.accounting import account_of
    from llm_studio.data.sources.hub.plan import INCOMPLETE
    from llm_studio.data.sources.sharded import ShardedSourceWriter

    options = made.options | {"state": INCOMPLETE}
    source = ShardedSourceWriter(project.raw, name, made.origin, options, partial(account_of, made))
    parts = len(source.parts)
    source.drop_damaged(job)
    text = _("“{name}” is damaged: {n} of its {all} files are downloaded again.")
    job.report(Notice(text.format(name=name, n=number(parts - len(source.parts)), all=number(parts)), "warning"))


def unfinished(project: Project) -> list[Unfinished]:
    """The sources from the hub whose downloads can be resumed: those that are readable but not complete."""
    from llm_studio.data.sources.hub import plan

    found: list[Unfinished] = []
    from llm_studio.data.sources import store

    sources = store.scan_sources(project.raw)
    damaged = {source.name for source in sources.unusable}
    for name, made in plan.load_plans(project.raw).items():
        if name in damaged:  # must be replaced first
            continue
        source = next((source for source in sources.usable if source.name == name), None)
        reached = state(source) if source else plan.INCOMPLETE
        if reached != plan.COMPLETE:
            found.append(Unfinished(
                name, plan.DownloadRequest(made.dataset, made.config, made.split, made.field),
                source.documents if source else 0, source.bytes if source else 0, made.documents, reached,
            ))  # fmt: skip
    return found


def is_incomplete(source: "Source") -> bool:
    """Whether the download of a source was stopped before it reached its limits or the end of the dataset."""
    from llm_studio.data.sources.hub.plan import INCOMPLETE

    return state(source) == INCOMPLETE


def state(source: "Source") -> str:
    """The state of the download of a source: "incomplete", "capped" or "complete"; "" if it isn't from the hub."""
    return str(source.options.get("state", ""))


def _name(made: "DownloadPlan") -> str:
    """A name for the source: that of its entry in the catalogue, if any, otherwise the dataset's."""
    for entry in catalogue():
        if entry.dataset == made.dataset and entry.split == made.split:
            if entry.config in (None, made.asked_config):
                return entry.key
            if entry.config and "{lang}" in entry.config:
                return f"{entry.key}-{made.config.rpartition('.')[2]}"
    config = "" if made.config == "default" else f"-{made.config}"
    split = "" if made.split == "train" else f"-{made.split}"
    return made.dataset.rpartition("/")[2] + config + split


def _source(project: Project, name: str) -> "Source | None":
    from llm_studio.data.sources import store

    return next((source for source in store.list_sources(project.raw) if source.name == name), None)


def _nothing_to_do(
    project: Project, name: str, made: "DownloadPlan", wanted: "DownloadRequest", job: Job
) -> "Source | None":
    """The source if it has all that is `wanted`, otherwise None. Raises DownloadError if another field is wanted."""
    from llm_studio.data.sources.hub.plan import COMPLETE

    if wanted.text_field is not None and wanted.text_field != made.field:
        raise DownloadError(
            _("The source “{name}” holds the field “{field}” of this dataset.").format(name=name, field=made.field),
            _("Remove it first to take “{field}” instead.").format(field=wanted.text_field),
        )
    source = _source(project, name)
    if source is None:
        return None
    enough = (wanted.max_documents is not None and source.documents >= wanted.max_documents) or (
        wanted.max_bytes is not None and source.bytes >= wanted.max_bytes
    )
    if not enough and state(source) != COMPLETE:
        return None
    job.report(
        Notice(_("“{name}” is there already, with {n} documents.").format(name=name, n=number(source.documents)))
    )
    return source


def _report_changes(made: "DownloadPlan", job: Job) -> None:
    """Report if the dataset has another revision now than when the download was started."""
    from llm_studio.data.sources.hub import resolve

    newest = resolve.latest_revision(made.dataset, made.converted, job)
    if newest != made.revision:
        job.report(Notice(
            _("“{name}” has changed on the hub since. The source continues with the version it was begun with ({old})."
              ).format(name=made.dataset, old=made.revision[:8]),
            "info", _("To have the new one, remove the source and download it again."),
        ))  # fmt: skip
