"""The download plan of a source: the revision, the files, the text field. It is stored with it and never changes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from llm_studio import records as record_files
from llm_studio.data.sources.account import LeftOut
from llm_studio.data.sources.hub import fields, records, resolve
from llm_studio.data.sources.hub.remote_file import DatasetRevision, Shard
from llm_studio.data.sources.hub.resolve import ResolvedSplit
from llm_studio.data.sources.sharded import plan_files, write_plan
from llm_studio.errors import DownloadError, RecordError
from llm_studio.events import Event, Notice
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.records import Count, checked, reader

COMPLETE, CAPPED, INCOMPLETE = "complete", "capped", "incomplete"
"""States of a source: everything is downloaded; everything up to the requested limit is; neither."""
_VERSION = 1


@dataclass(frozen=True)
class DownloadRequest:
    """What to download. `config`, `split` and `text_field` are chosen automatically if None. The limits are for the
    whole source."""

    dataset: str
    config: str | None = None
    split: str | None = None
    text_field: str | None = None
    max_documents: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class DownloadPlan:
    """Where the documents come from. `asked_config`, `asked_split`: as given by the user. `others`: the other files of
    the repository, which are left out."""

    dataset: str
    revision: str
    asked_config: str | None
    asked_split: str | None
    config: str
    split: str
    kind: Annotated[str, checked(reader(str), resolve.READABLE.__contains__)]
    reading: Annotated[dict[str, Any], checked(reader(dict[str, Any]), resolve.OPTIONS.issuperset)]
    field: str
    conversations: bool
    shards: tuple[Shard, ...]
    documents: Count | None
    licence: str
    converted: bool
    others: tuple[LeftOut, ...] = ()

    @property
    def dataset_revision(self) -> DatasetRevision:
        """The dataset at its revision."""
        return DatasetRevision(self.dataset, self.revision)

    @property
    def origin(self) -> str:
        """The origin of the source, for the manifest."""
        config = "" if self.config == "default" else f":{self.config}"
        return f"hf:{self.dataset}{config} ({self.split})"

    @property
    def options(self) -> dict[str, Any]:
        """The options with which the texts are read, for the manifest."""
        return {
            "dataset": self.dataset, "config": self.config, "split": self.split, "text_field": self.field,
            "revision": self.revision, "licence": self.licence,
        }  # fmt: skip

    def columns(self) -> list[str] | None:
        """The columns to download; None for all."""
        if self.field == fields.WHOLE_RECORD:
            return None
        return [self.field.split(".")[0]]

    def matches(self, request: DownloadRequest) -> bool:
        """Whether this plan is for the same dataset, configuration and split."""
        return (
            self.dataset == request.dataset
            and request.config in (self.asked_config, self.config)
            and request.split in (self.asked_split, self.split)
        )


def make_plan(request: DownloadRequest, job: Job, conversations: bool | None = None) -> DownloadPlan:
    """Resolve the request into a plan. Raises HubError, DownloadError, Cancelled.

    `conversations`: whether the requested field holds conversations; None: to be detected.
    """
    resolved = resolve.resolve(request.dataset, request.config, request.split, job)
    if not resolved.shards:
        raise DownloadError(_("“{name}” has no files.").format(name=request.dataset), _("Choose another dataset."))
    sample = first_records(resolved, job)
    field = request.text_field
    if field is None:
        field, conversations = fields.guess_field(sample)
    elif field == fields.WHOLE_RECORD:
        conversations = True
    elif conversations is None and sample:
        value = fields.value_of(sample[0], field)
        conversations = isinstance(value, list) and fields.is_conversation({"messages": value})
    if field is None:
        raise DownloadError(
            _("None of the columns of “{name}” looks like text.").format(name=request.dataset),
            fields.list_fields(sample[0]) if sample else "",
        )
    for record in sample:
        fields.text_of(record, field, bool(conversations))  # raises DownloadError if the field isn't text
    return DownloadPlan(
        request.dataset, resolved.revision.revision, request.config, request.split, resolved.config, resolved.split,
        resolved.kind, dict(resolved.options), field, bool(conversations), resolved.shards, resolved.documents,
        resolved.licence, resolved.converted, resolved.others,
    )  # fmt: skip


def first_records(resolved: ResolvedSplit, job: Job, count: int = fields.SAMPLE) -> list[Mapping[str, Any]]:
    """The first records of a split, from its first file."""
    found: list[Mapping[str, Any]] = []
    for shard in resolved.shards[:1]:
        for row in records.rows(resolved.revision, shard, resolved.kind, resolved.options, job, preview=True):
            found.append(row.record)
            if len(found) == count:
                break
    return found


def save_plan(folder: Path, name: str, plan: DownloadPlan) -> None:
    """Write the plan of the source `name`. Raises StorageError."""
    write_plan(folder, name, {"version": _VERSION, **asdict(plan)})


def load_plans(folder: Path, report: Callable[[Event], object] = lambda _event: None) -> dict[str, DownloadPlan]:
    """The plans of the sources in `folder`, by name. A plan that can't be read is left out and reported."""
    found: dict[str, DownloadPlan] = {}
    for name, path in plan_files(folder).items():
        try:
            plan = record_files.read(path, DownloadPlan, newest=_VERSION, most=record_files.MOST_BYTES_OF_MANY)
        except RecordError as error:
            to_do = _("The download of “{name}” can't be continued: remove that source to download it again.")
            report(Notice(error.what, "warning", to_do.format(name=name)))
        else:
            found |= {name: plan} if plan else {}
    return found
