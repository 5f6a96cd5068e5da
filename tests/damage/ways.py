"""Ten ways to damage a file, each repeatable by its seed."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEPTH = 100_000
HUGE = 8 << 30
"""Bytes of a huge file; all but its beginning is a hole on the disk."""


def truncated(path: Path, chance: random.Random, _outside: Path) -> None:
    """The end is missing."""
    os.truncate(path, chance.randrange(max(path.stat().st_size, 1)))


def zeroed(path: Path, _chance: random.Random, _outside: Path) -> None:
    """As long as it was, as after a power cut, and nothing but zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path: Path, chance: random.Random, _outside: Path) -> None:
    """One bit is another one."""
    content = bytearray(path.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def another_type(path: Path, chance: random.Random, _outside: Path) -> None:
    """A value of JSON is of another type; a file that isn't JSON holds a list of it."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("".join(json.dumps(_mistyped(line, chance)) + "\n" for line in lines), encoding="utf-8")
    except ValueError:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = {}
        path.write_text(json.dumps(_mistyped(content, chance)), encoding="utf-8")


def _mistyped(value: Any, chance: random.Random) -> Any:
    """`value` with one value in it, of any depth, of another type."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if inner and chance.random() < 0.8:
        place = chance.choice(inner)
        value[place] = _mistyped(value[place], chance)
        return value
    others: list[Any] = ["text", 7, -1.5, True, None, [1, "two"], {"a": 1}, "12", 10**30, float("nan")]
    return chance.choice([other for other in others if type(other) is not type(value)])


def nested(path: Path, chance: random.Random, _outside: Path) -> None:
    """Brackets in brackets, deeper than any parser goes by recursion."""
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}")])
    path.write_text(opening * DEPTH + "1" + closing * DEPTH, encoding="utf-8")


def empty(path: Path, _chance: random.Random, _outside: Path) -> None:
    """Nothing in it."""
    path.write_bytes(b"")


def folder(path: Path, _chance: random.Random, _outside: Path) -> None:
    """A folder of its name."""
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("inside", encoding="utf-8")


def pipe(path: Path, _chance: random.Random, _outside: Path) -> None:
    """A named pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def link(path: Path, _chance: random.Random, outside: Path) -> None:
    """A link to the same content outside of the project, which must stay as it is."""
    shutil.move(path, outside)
    path.symlink_to(outside)


def huge(path: Path, _chance: random.Random, _outside: Path) -> None:
    """As it was at its beginning, and larger than the memory."""
    os.truncate(path, HUGE)


WAYS: dict[str, Callable[[Path, random.Random, Path], None]] = {
    "truncated": truncated, "zeroed": zeroed, "flipped": flipped, "type": another_type, "nested": nested,
    "empty": empty, "folder": folder, "pipe": pipe, "link": link, "huge": huge,
}  # fmt: skip
BY_CHANCE = ("truncated", "flipped", "type")
"""Those that a seed changes."""
