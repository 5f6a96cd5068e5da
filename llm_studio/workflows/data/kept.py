"""A cache of measurements of a project's texts, each in a file, valid until the texts change.

A damaged file counts as missing: the measurement is repeated.
"""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llm_studio import files, records
from llm_studio.errors import RecordError, StorageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")


def recall(path: Path, kind: type[_T], of: str, version: int = 1) -> _T | None:
    """The value cached at `path` for texts with the fingerprint `of`; None if it is missing, outdated or damaged."""
    with contextlib.suppress(RecordError, records.Misfit):
        content = records.load(path, newest=version)
        if content and (content.get("version"), content.get("of")) == (version, of):
            return records.decode(content.get("value"), kind)
    return None


def remember(path: Path, value: "DataclassInstance", of: str, version: int = 1) -> None:
    """Cache `value` at `path`, for texts with the fingerprint `of`."""
    with contextlib.suppress(StorageError):  # in a read-only project, measure each time
        files.write_json(path, {"version": version, "of": of, "value": asdict(value)})
