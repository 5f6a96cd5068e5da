"""What was measured of a project's texts, kept in a file until they change. A damaged file is measured again."""

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
    """What was measured of the texts with the fingerprint `of`, where it is in the file at `path`."""
    with contextlib.suppress(RecordError, records.Misfit):
        content = records.load(path, newest=version)
        if content and (content.get("version"), content.get("of")) == (version, of):
            return records.decode(content.get("value"), kind)
    return None


def remember(path: Path, value: "DataclassInstance", of: str, version: int = 1) -> None:
    """Write down what was measured."""
    with contextlib.suppress(StorageError):  # a project that may only be read is measured again each time
        files.write_json(path, {"version": version, "of": of, "value": asdict(value)})
