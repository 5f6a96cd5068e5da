"""Hashes of files and figures, without what varies from one time to the next."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

_VARYING = {"created", "seconds", "seconds_left", "tokens_per_second", "machine", "joules", "torch_version"}
_BY_THE_CLOCK = {"decisions.jsonl", "moments.jsonl"}
_PROSE = {"notes", "problem", "to_do", "action"}


def cleaned(value: Any, drop: Iterable[str] = ()) -> Any:
    """`value` without what varies and what is prose, and without the keys `drop`."""
    left_out = _VARYING | _PROSE | set(drop)
    if isinstance(value, Mapping):
        return {str(key): cleaned(entry, drop) for key, entry in value.items() if key not in left_out}
    return [cleaned(entry, drop) for entry in value] if isinstance(value, list) else value


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def tensors(data: bytes) -> bytes:
    """A safetensors file as names, types, shapes and a hash of each tensor, whatever their order in the file."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    rows: list[object] = []
    for name, entry in sorted(header.items()):
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        rows.append([name, entry["dtype"], entry["shape"], hashlib.sha256(data[start:end]).hexdigest()])
    return canonical(rows)


def log(data: bytes, kinds: Iterable[str] = ()) -> bytes:
    """A run's log, of the `kinds` of events alone where some are named."""
    events = [json.loads(line) for line in data.splitlines()]
    events = [event for event in events if (event["event"] in kinds if kinds else event["event"] != "moment")]
    events.sort(key=lambda event: event["event"] == "checkpoint")
    kept = [cleaned(event, {"text"} if event["event"] == "notice" else {"bytes"}) for event in events]
    return canonical(kept)


def content(name: str, data: bytes) -> bytes:
    """What of a file's content must stay the same."""
    if name.endswith(".safetensors"):
        return tensors(data)
    if name.endswith(".parquet"):
        return canonical(pq.read_table(io.BytesIO(data)).to_pylist())
    if name in _BY_THE_CLOCK:
        return b""
    if name.endswith(".jsonl"):
        return log(data)
    if name.endswith(".yaml"):
        return canonical(yaml.safe_load(data))
    if name.endswith("checkpoint.json"):
        record = json.loads(data)
        return canonical(cleaned({**record, "files": sorted(record["files"])}, {"fingerprint"}))
    if name.endswith(".json") and not name.endswith("tokenizer.json"):
        return canonical(cleaned(json.loads(data)))
    return b"" if name.endswith("README.txt") else data


class Lines:
    """Prints a line for each output, and remembers it."""

    def __init__(self, root: Path) -> None:
        self.lines: dict[str, str] = {}
        self._roots = {json.dumps(str(path))[1:-1].encode() for path in (root, root.resolve())}

    def add(self, name: str, data: bytes | object) -> None:
        text = data if isinstance(data, bytes) else canonical(data)
        for root in self._roots:
            text = text.replace(root, b"ROOT")
        assert name not in self.lines, name
        self.lines[name] = hashlib.sha256(text).hexdigest()[:16]
        print(name, self.lines[name], flush=True)

    def end(self) -> None:
        """The line of all lines."""
        self.add("all", dict(self.lines))

    def folder(self, name: str, folder: Path) -> None:
        """All files below `folder`; those of one name in several numbered places are one line."""
        groups: dict[str, dict[str, str]] = {}
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder).as_posix()
            if path.is_file() and not place.startswith(".locks/"):
                parts = ["*" if part.startswith("step-") else part for part in place.split("/")]
                digest = content(path.name, path.read_bytes())
                for root in self._roots:
                    digest = digest.replace(root, b"ROOT")
                groups.setdefault("/".join(parts), {})[place] = hashlib.sha256(digest).hexdigest()
        for place, found in groups.items():
            self.add(f"{name}/{place}", found)

    def archive(self, name: str, path: Path) -> None:
        """The members of a zip file."""
        with zipfile.ZipFile(path) as packed:
            members = {member: content(member, packed.read(member)) for member in packed.namelist()}
        self.add(name, {member: hashlib.sha256(data).hexdigest() for member, data in members.items()})
