"""The structure of a dataset on the hub: its revision, configurations, splits and files.

The library `datasets` finds them by the README or the file names. No code of a dataset is ever run: for a dataset with
a loading script, the hub's Parquet conversion is used, if there is one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from llm_studio.data.sources.account import (
    DESCRIPTION,
    EMPTY,
    FILES,
    HIDDEN,
    KIND,
    OTHER_SPLIT,
    AccountBuilder,
    LeftOut,
)
from llm_studio.data.sources.hub import libraries, requests
from llm_studio.data.sources.hub.remote_file import DatasetRevision, Shard
from llm_studio.data.sources.hub.requests import T
from llm_studio.errors import DownloadError
from llm_studio.i18n import _
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from datasets import DatasetBuilder
    from huggingface_hub import DatasetInfo

CONVERTED = "refs/convert/parquet"
"""The branch with the hub's automatic Parquet conversion."""
READABLE = ("parquet", "json", "csv", "text", "arrow")
"""Kinds of files that can contain texts; others contain images or audio, for example."""
OPTIONS = {"sep", "delimiter", "quotechar", "encoding", "field", "header", "names", "column_names", "skiprows"}
"""The options for reading files that are adopted from the authors of a dataset."""
_PATHS_PER_REQUEST = 500
_DATA = tuple(f".{kind}" for kind in ["parquet", "json", "jsonl", "ndjson", "csv", "tsv", "txt", "arrow"])
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_DESCRIPTIONS = ("readme", "license", "licence", "notice", "citation", "dataset_infos", "dataset_info", "dataset_dict",
                 "state")  # fmt: skip
"""Names of files about a dataset, without their suffix."""


@dataclass(frozen=True)
class ResolvedSplit:
    """One split of one configuration at one revision. `documents`: their number according to the authors, if given.

    `converted`: the files are the hub's Parquet conversion. `others`: the other files of the repository, which are
    left out.
    """

    revision: DatasetRevision
    config: str
    split: str
    configs: tuple[str, ...]
    splits: tuple[str, ...]
    kind: str
    options: Mapping[str, Any]
    shards: tuple[Shard, ...]
    documents: int | None
    licence: str
    converted: bool
    others: tuple[LeftOut, ...] = ()


def dataset_info(dataset: str, job: Job, revision: str | None = None) -> "DatasetInfo":
    """The hub's metadata of a dataset. Raises HubError."""

    def get() -> "DatasetInfo":
        return libraries.api().dataset_info(dataset, revision=revision, timeout=requests.READ_TIMEOUT)

    return requests.call(job, dataset, get)


def resolve(dataset: str, config: str | None, split: str | None, job: Job) -> ResolvedSplit:
    """Find the files of a split; None: “train”, or the first split if there is no “train”.

    Raises HubError, Cancelled, and a DownloadError that lists the valid names if a name doesn't exist.
    """
    libraries.set_up_datasets()
    about = dataset_info(dataset, job)
    if about.gated:
        _require_access(dataset, job)
    licence = licence_of(about)
    converted = _has_script(dataset, about)
    if converted:
        about = _parquet_conversion(dataset, job)
    revision = about.sha or "main"
    place = DatasetRevision(dataset, revision)
    configs = _configs(place, job)
    config = _choose_config(dataset, config, configs)
    builder = _call_datasets(place, job, lambda: _builder(place, config))
    kind = _kind(builder)
    files: Mapping[str, Sequence[str]] = {
        str(name): list(paths) for name, paths in (builder.config.data_files or {}).items()
    }
    splits = tuple(files)
    if kind not in READABLE or not splits:
        raise DownloadError(_("“{name}” holds no readable texts: its files are of the kind “{kind}”.").format(
            name=dataset, kind=kind), _("Choose another dataset."))  # fmt: skip
    if split is None:
        split = "train" if "train" in splits else splits[0]
    if split not in splits:
        raise DownloadError(_("“{name}” has no split “{split}”.").format(name=dataset, split=split),
                            _("Its splits are: {names}.").format(names=", ".join(splits)))  # fmt: skip
    figures = (builder.info.splits or {}).get(split)
    shards, empty = _shards(place, files[split], job)
    return ResolvedSplit(
        place, builder.config.name, split, configs, splits, kind, _options(builder.config),
        shards, getattr(figures, "num_examples", None) or None, licence, converted, _others(about, shards, empty),
    )  # fmt: skip


def _require_access(dataset: str, job: Job) -> None:
    """Raise HubError if the user must accept conditions first: `datasets` hides that behind other errors."""
    requests.call(job, dataset, lambda: libraries.api().auth_check(dataset, repo_type="dataset"))


def licence_of(about: "DatasetInfo") -> str:
    """The licence given by the authors, as abbreviated by the hub; "" if there is none."""
    names = [tag.partition(":")[2] for tag in about.tags or [] if tag.startswith("license:")]
    return ", ".join(names)


def _has_script(dataset: str, about: "DatasetInfo") -> bool:
    script = dataset.rpartition("/")[2] + ".py"
    return any(file.rfilename == script for file in about.siblings or [])


def latest_revision(dataset: str, converted: bool, job: Job) -> str:
    """The current revision on the hub; if `converted`, of the Parquet conversion. Raises HubError."""
    return dataset_info(dataset, job, CONVERTED if converted else None).sha or ""


def _parquet_conversion(dataset: str, job: Job) -> "DatasetInfo":
    """The hub's Parquet conversion of a dataset with a script. Raises DownloadError if there is none."""
    try:
        return dataset_info(dataset, job, CONVERTED)
    except requests.HubError as error:
        if error.status != 404:
            raise
        raise DownloadError(
            _("“{name}” can only be loaded by running code of its authors, which LLM Studio never does.").format(
                name=dataset),
            _("Choose another dataset, or one with the same content as Parquet files."),
        ) from error  # fmt: skip


def _call_datasets(place: DatasetRevision, job: Job, action: Callable[[], T]) -> T:
    """Call `datasets` and translate its many kinds of errors into a DownloadError."""
    from datasets.exceptions import DatasetsError

    try:
        return requests.call(job, place.dataset, action)
    except (DatasetsError, ValueError, RuntimeError, KeyError, ImportError) as error:
        reason = libraries.mask_token(str(error).strip().split("\n")[0]) or type(error).__name__
        raise DownloadError(
            _("“{name}” can't be read: {reason}").format(name=place.dataset, reason=reason),
            _("Choose another dataset, or name one of its configurations after a colon: hf:owner/name:config."),
        ) from error


def _configs(place: DatasetRevision, job: Job) -> tuple[str, ...]:
    def get() -> list[str]:
        from datasets import get_dataset_config_names

        return get_dataset_config_names(place.dataset, revision=place.revision, cache_dir=str(libraries.cache_folder()))

    return tuple(_call_datasets(place, job, get))


def _choose_config(dataset: str, config: str | None, configs: Sequence[str]) -> str:
    if config is None and (len(configs) == 1 or "default" in configs):
        return "default" if "default" in configs else configs[0]
    if config is not None and config in configs:
        return config
    shown = ", ".join(configs[:40]) + (", …" if len(configs) > 40 else "")
    if config is None:
        what = _("“{name}” has several configurations.").format(name=dataset)
    else:
        what = _("“{name}” has no configuration “{config}”.").format(name=dataset, config=config)
    raise DownloadError(what, _("Name one after a colon, as in hf:{name}:{config}. They are: {names}.").format(
        name=dataset, config=configs[0] if configs else "default", names=shown))  # fmt: skip


def _builder(place: DatasetRevision, config: str) -> "DatasetBuilder":
    from datasets import load_dataset_builder

    return load_dataset_builder(place.dataset, config, revision=place.revision, cache_dir=str(libraries.cache_folder()))


def _kind(builder: "DatasetBuilder") -> str:
    modules = (kind.__module__.split(".") for kind in type(builder).__mro__)
    return next((parts[2] for parts in modules if parts[:2] == ["datasets", "packaged_modules"]), "")


def _options(config: Any) -> dict[str, Any]:
    """The options given by the authors for reading the files."""
    default = type(config)()
    values = {name: getattr(config, name) for name in OPTIONS if hasattr(config, name)}
    changed = {name: value for name, value in values.items() if value != getattr(default, name, None)}
    return {name: value for name, value in changed.items() if isinstance(value, str | int | list)}


def _others(about: "DatasetInfo", shards: Sequence[Shard], empty: Collection[str]) -> tuple[LeftOut, ...]:
    """The files of the repository that aren't read, by reason."""
    account, read = AccountBuilder(), {shard.path for shard in shards}
    for name in sorted(file.rfilename for file in about.siblings or []):
        if name not in read:
            account.leave_out(FILES, EMPTY if name in empty else _reason_left_out(name), name)
    return account.left_out()


def _reason_left_out(path: str) -> str:
    """Why a file of a repository isn't one of the split, as an untranslated message."""
    name = PurePosixPath(path.lower())
    if any(part.startswith(".") for part in name.parts):
        return HIDDEN
    if name.suffix == ".md" or name.stem in _DESCRIPTIONS:
        return DESCRIPTION
    suffix = PurePosixPath(name.stem).suffix if name.suffix in _COMPRESSED else name.suffix
    return OTHER_SPLIT if suffix in _DATA else KIND


def _shards(
    place: DatasetRevision, addresses: Sequence[str], job: Job
) -> tuple[tuple[Shard, ...], frozenset[str]]:  # fmt: skip
    """The files with their sizes and checksums, in the order given by `datasets`; and the paths of empty ones."""
    if any("::" in address for address in addresses):
        raise DownloadError(_("“{name}” stores its texts in ZIP archives, which can't be streamed.").format(
            name=place.dataset), _("Choose another dataset."))  # fmt: skip
    paths = [address.partition(f"@{place.revision}/")[2] or address.rpartition("@")[2].partition("/")[2]
             for address in addresses]  # fmt: skip
    found: dict[str, Shard] = {}
    for start in range(0, len(paths), _PATHS_PER_REQUEST):
        batch = paths[start : start + _PATHS_PER_REQUEST]

        def get(batch: list[str] = batch) -> list[Any]:
            return list(
                libraries.api().get_paths_info(place.dataset, batch, revision=place.revision, repo_type="dataset")
            )

        for file in requests.call(job, place.dataset, get):
            lfs = getattr(file, "lfs", None)
            found[file.path] = Shard(file.path, getattr(file, "size", 0), lfs.sha256 if lfs else "")
    here = [found[path] for path in dict.fromkeys(paths) if path in found]
    return tuple(shard for shard in here if shard.size), frozenset(shard.path for shard in here if not shard.size)
