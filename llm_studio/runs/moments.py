"""Moments of a run: the model's continuations of fixed prompts at log-spaced steps, in moments.jsonl in its folder.

    {"v": 1, "step": 12, "tokens": 24576, "texts": [
        {"prompt": "Once", "ids": [262, 11], "pieces": [" upon", ","], "probabilities": [0.31, 0.08], "ended": false,
         "top": [[262, " upon", 0.31], ...]}, ...]}

One line per moment, in the order of steps. `tokens`: seen since step 0. Texts are generated greedily:
`probabilities` are the model's for each token, `pieces` the characters that each token completes, and `top` the most
likely first tokens. `ended`: the model ended the text itself.

Nothing in the file depends on the clock, except which steps have texts; so a run that was killed and resumed has the
same file as one that wasn't. Times and losses of the steps are in the log.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from llm_studio import files, records
from llm_studio.errors import ProjectError
from llm_studio.i18n import _
from llm_studio.records import Amount, Count
from llm_studio.runs.log import open_log

FILE = "moments.jsonl"
VERSION = 1
COUNT = 70
"""Number of moments in a run, including the first and the last step. A run that ends earlier than expected has fewer,
but at least 60: the clock ends it, and a machine may become two and a half times as slow."""
_MOST_BYTES = 2 * COUNT * records.LONGEST_LINE
"""Most bytes of the file."""

# --- Which steps are moments ----------------------------------------------------------------------------------


def is_due(step: int, last: int, every: float = 1.0) -> bool:
    """Whether there is a moment after `step` steps of a run that ends after `last`: at 0, 1 and `last`, and in between
    at steps that grow by a factor, rounded to whole numbers.

    `every`: thin the moments out to one in `every`, evenly on a logarithmic scale.
    """
    return step in (0, 1, last) or _cell(step, last, every) > _cell(step - 1, last, every)


def count(last: int, every: float = 1.0) -> int:
    """Approximate number of moments in a run of `last` steps."""
    return 1 + round(_intervals(_density(last) / every, last))


def _cell(step: int, last: int, every: float) -> int:
    return math.floor(math.floor(_density(last) * math.log(step)) / every)


def _intervals(density: float, last: int) -> float:
    """Number of moments after step 0: one in each of the first steps, then one in each interval."""
    return density * (1 + math.log(last / density)) if last > density else float(last)


@lru_cache(maxsize=16)
def _density(last: int) -> float:
    """Number of moments, k, during which the number of steps grows e-fold: each of the first k steps is one, then there
    is one in each of k ln(last / k) intervals."""
    wanted = COUNT - 1  # without step 0
    if last <= wanted:
        return float(last)
    low, high = 0.0, float(wanted)
    for _round in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _intervals(middle, last) < wanted else (low, middle)
    return high


# --- Content of a moment ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A possible next token, its text, and the model's probability."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True)
class GreedyText:
    """The model's greedy continuation of `prompt`. See the module."""

    prompt: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    probabilities: tuple[float, ...]
    ended: bool
    top: tuple[Candidate, ...]

    @property
    def text(self) -> str:
        """The text without the prompt."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Moment:
    """The texts after `step` steps, when the model had seen `tokens` tokens."""

    step: int
    tokens: int
    texts: tuple[GreedyText, ...]


def append(run: Path, moment: Moment) -> None:
    """Append a moment of the run in the folder `run` as a complete line, or not at all. Raises StorageError."""
    files.require_folder(run.parent)
    path = run / FILE
    with files.translate_os_errors(path):
        run.mkdir(exist_ok=True)
        with files.open_to_append(path) as stream:
            end = stream.seek(0, os.SEEK_END)
            rest = _line(moment)
            try:
                while rest:
                    rest = rest[stream.write(rest) :]
            except OSError:
                stream.truncate(end)
                raise


def to_disk(run: Path) -> None:
    """Wait until all moments are on disk. Thread-safe."""
    path = run / FILE
    if path.exists():
        with files.translate_os_errors(path):
            files.flush_to_disk(path)


def read(run: Path) -> list[Moment]:
    """The moments of a run, by step. Lines that are damaged or being written are skipped.

    Raises ProjectError if a newer version wrote them.
    """
    found = {moment.step: moment for moment in map(_parsed, _lines(run)) if moment}  # 0 may be repeated
    return [found[step] for step in sorted(found)]


def last_step(run: Path) -> int:
    """The step of the last moment; -1 if there is none."""
    return max((moment.step for moment in read(run)), default=-1)


def cut_after(run: Path, step: int) -> None:
    """Remove the moments of later steps, which will be repeated, and a line cut off by a crash.

    Also raises StorageError if no moment could be appended, since the run would fail later for that reason.
    """
    path = run / FILE
    with files.translate_os_errors(path):
        files.require_appendable(path)
    lines = list(_lines(run))
    kept = [line for line in lines if line.endswith(b"\n") and _step_of(line) <= step]
    if len(kept) == len(lines):
        return
    if kept:
        with files.atomic_write(path) as partial:
            partial.write_bytes(b"".join(kept))
    else:
        with files.translate_os_errors(path):
            files.retry_while_locked(lambda: path.unlink(missing_ok=True))


def _line(moment: Moment) -> bytes:
    texts = [{**asdict(text), "top": [[c.id, c.text, c.probability] for c in text.top]} for text in moment.texts]
    record = {"v": VERSION, "step": moment.step, "tokens": moment.tokens, "texts": texts}
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _lines(run: Path) -> Iterator[bytes]:
    path = run / FILE
    if path.exists():
        with open_log(path, _MOST_BYTES) as stream:
            yield from records.lines(stream)


def _step_of(line: bytes) -> float:
    step = (records.parse_line(line) or {}).get("step")
    return step if isinstance(step, int) else math.inf


@dataclass(frozen=True)
class _StoredText:
    """A text as stored in the file."""

    prompt: str
    ids: tuple[Count, ...]
    pieces: tuple[str, ...]
    probabilities: tuple[Amount, ...]
    ended: bool
    top: tuple[tuple[Count, str, Amount], ...]

    def read(self) -> GreedyText:
        """The text with named fields for the candidates."""
        top = tuple(Candidate(token, text, value) for token, text, value in self.top)
        return GreedyText(self.prompt, self.ids, self.pieces, self.probabilities, self.ended, top)


@dataclass(frozen=True)
class _StoredMoment:
    """A moment as stored in the file."""

    step: Count
    tokens: Count
    texts: tuple[_StoredText, ...]
    v: Count = VERSION


def _parsed(line: bytes) -> Moment | None:
    record = records.parse_line(line)
    if record is None:
        return None
    version = record.get("v")
    if isinstance(version, int) and version > VERSION:
        raise ProjectError(_("The moments of this run were stored by a newer LLM Studio."), _("Update the program."))
    try:
        found = records.decode(record, _StoredMoment)
    except records.Misfit:
        return None
    return Moment(found.step, found.tokens, tuple(text.read() for text in found.texts))
