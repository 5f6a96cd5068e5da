"""The cases, what may come of each, and whether what came is a failure."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.damage.operations import Outcome
from tests.damage.project import FINISHED, STOPPED
from tests.damage.ways import BY_CHANCE, WAYS

_RUN_1, _RUN_2 = f"project/checkpoints/{FINISHED}/", f"project/checkpoints/{STOPPED}/"
_CONFIG, _TOKENS, _TOKENIZER = "project/config/", "project/data/processed/", "project/tokenizer."
_SOURCES, _LOG_2 = "project/data/raw/", f"project/logs/{STOPPED}"

NEEDS: dict[str, tuple[str, ...]] = {
    "steps": (_CONFIG, _SOURCES, _TOKENS, _TOKENIZER), "settings": (_CONFIG,), "tokens": (_TOKENS,),
    "tokenizer": (_TOKENIZER,), "chats": ("project/chats/chat-",), "favourites": ("project/chats/favourites",),
    f"run {FINISHED}": (_RUN_1 + "run.json",), f"run {STOPPED}": (_RUN_2 + "run.json",),
    f"text of {FINISHED}": (_RUN_1, _CONFIG), f"text of {STOPPED}": (_RUN_2, _CONFIG),
    "weights": (_RUN_2, _TOKENS, _TOKENIZER, _CONFIG, _LOG_2),
    "resumed at": (_RUN_2, _TOKENS, _TOKENIZER, _CONFIG, _LOG_2),
    **{f"source {name}": (f"{_SOURCES}{name}.",) for name in ("stories-en", "talks", "parts")},
}  # fmt: skip
"""The files that each part comes from: it may be missing where one of them is damaged, and only then."""
PLAIN = (
    _CONFIG, "project/chats/", "home/", "project/logs/", _RUN_1 + "run.json", _RUN_2 + "run.json",
    "project/tokenizer.meta.json", "project/data/raw/stories-en.meta", "project/data/raw/talks.meta",
    "project/data/raw/parts.meta", "project/data/processed/meta.json",
)  # fmt: skip
"""Files to be read and edited by people, without a checksum: another digit in them is another value, not damage."""


class Case(NamedTuple):
    """One file damaged in one way."""

    file: str
    way: str
    seed: int

    def __str__(self) -> str:
        return ":".join(map(str, self))


def parse(text: str) -> Case:
    """The case that `str` wrote."""
    file, way, seed = text.rsplit(":", 2)
    return Case(file, way, int(seed))


def all_cases(files: Iterable[str], seeds: int) -> list[Case]:
    """Every file in every way, in those ways that depend on chance with so many seeds."""
    return [Case(file, way, seed) for file in files for way in WAYS for seed in range(seeds if way in BY_CHANCE else 1)]


def some_cases(files: Sequence[str], count: int, seed: int) -> list[Case]:
    """So many cases, each of another file as far as there are as many, all ways about as often."""
    chance = random.Random(seed)
    chosen = chance.sample(files, len(files)) * (count // len(files) + 1)
    return [Case(file, list(WAYS)[n % len(WAYS)], chance.randrange(1000)) for n, file in enumerate(chosen[:count])]


def damage(root: Path, case: Case) -> Path:
    """Damage the copy in `root`; returns where the content went if the file is a link now."""
    outside = root / "outside"
    chance = random.Random(re.sub(r"chat-[0-9-]+", "chat", str(case)))  # its name holds a time
    WAYS[case.way](root / case.file, chance, outside)
    return outside


@dataclass(frozen=True)
class Verdict:
    """What came of an operation. `kind`: "as before", "sentence", "said", "altered", or a failure: see FAILURES."""

    kind: str
    detail: str = ""


FAILURES = ("hidden", "silent", "traceback", "hang", "slow", "lost")


def judge(case: Case, before: Outcome, after: Outcome) -> Verdict:
    """Compare what came of an operation with what came of it before the damage."""
    new_words = [words for words in after.said if words not in before.said]
    hidden, silent, changed = [], [], False
    for name, value in before.parts.items():
        if after.parts.get(name) == value:
            continue
        changed = True
        if not case.file.startswith(NEEDS[name]):
            hidden.append(name)
        elif not after.error and not new_words:
            silent.append(f"{name}: {value} → {after.parts.get(name, 'missing')}")
    if hidden:
        return Verdict("hidden", f"{', '.join(hidden)}: {after.error or '; '.join(new_words) or 'nothing said'}")
    if silent:
        plain = case.way in ("flipped", "type") and case.file.startswith(PLAIN)
        return Verdict("altered" if plain else "silent", "; ".join(silent))
    if after.error:
        return Verdict("sentence", after.error)
    return Verdict("said" if changed or new_words else "as before", "; ".join(new_words))
