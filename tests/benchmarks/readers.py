"""Reads and inspects files of every kind, damaged at random: `python -m tests.benchmarks readers`.

Expected: no errors other than a message for the user, no hang, no files left behind, no losses missing in the account.
Also inside containers: the contents of zip and compressed files are damaged and packed again. `--case NAME:SEED`
repeats one.
"""

import bz2
import gzip
import io
import lzma
import multiprocessing
import os
import random
import re
import resource
import signal
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from llm_studio.data.sources.account import FILES
from llm_studio.data.sources.readers.inspect import inspect_path
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.read import SourceReader
from llm_studio.errors import SourceError
from llm_studio.jobs import Job
from tests.data.making import latex, mailbox, notebook, one_of_each, telegram, wiki, written, zstd
from tests.data.test_chats import TALK, WHATSAPP

SEEDS, PDFS = 1500, 300
"""Number of damaged files of each kind; fewer for PDF, since each takes a process."""
_SECONDS = 20.0
"""Maximum processor time for one file."""
_TEXT = "Once upon a time, a fox ran.\n\nThe hen “Zoé” said: 5 more, “no [fox]”.\n" * 12
_LATEX = r"""\section{Fox}\label{a} L'\'et\'e $x^2$ \[a=b\] % remark
\begin{tabular}{ll}a & b\end{tabular}\begin{align*}c &= d\end{align*} \footnote{A \emph{note}} \verb|v| \begin{verbatim}
w \end{verbatim} \newcommand{\x}[1]{\textbf{#1}} \item[a] b \cite[p]{c}
"""
_WIKI = """{{Infobox|a={{b|c}}}} \'\'\'Fox\'\'\' [[animal|b]] [[File:a|[[c]]]]<ref>n</ref>\n== H ==\n{|\n|a\n|}\n* x
<math>y</math> [http://a.b c] &nbsp; <!-- d -->
"""
_MAIL = (
    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; "
    "boundary=c\n\n--c\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nL'="
    "C3=A9t=C3=A9\n--c\nContent-Type: text/html\n\n<p>Fox</p>\n--c--\n--b\nContent-Type: image/png\n"
    "Content-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--b--\n"
)
_MARKS = (
    b"{", b"}", b"[[", b"]]", b"{{", b"{|", b"<ref>", b"<page>", b"</page>", b"<!--", b"<p>", b"</", b"\\begin{align}",
    b"\\", b"$", b"%", b'"', b",", b"\n\n", b"\n", b"\0", b"\xff\xfe", b"\xc3", b"From a\n", b"--b\n", b"boundary=b\n",
    b"Content-Transfer-Encoding: base64\n", b"&#x41;", b"&a;", b"<!DOCTYPE a [<!ENTITY a 'b'>]>", b"User: ", b"\r",
    b"{\\rtf", b"\\u-1 ", b"\\bin99999999 ", b"00:00:01,000 --> 00:00:02,000\n", b"1e999", b"PK\x03\x04",
    b"\x1f\x8b", b"\\ud800",
)  # fmt: skip


@dataclass
class Result:
    """The outcomes for the files of one kind. `peak`: megabytes in addition to those before the first file."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter[str])
    slowest: tuple[float, int] = (0.0, 0)
    peak: float = 0.0
    failures: list[str] = field(default_factory=list[str])


class _TakesTooLongError(Exception):
    """A file took longer than `_SECONDS`."""


def main(only: Sequence[str] = (), seeds: int = SEEDS) -> None:
    """Damage the files, read them, print the outcomes."""
    began = time.monotonic()
    files = samples()
    if only:
        for case in only:
            name, seed = case.rsplit(":", 1)
            print(_try_all(name, files[name], [int(seed)]))
        return
    spawn = multiprocessing.get_context("spawn")
    results: list[Result] = []
    for name, content in files.items():
        count = min(PDFS, seeds) if name.endswith(".pdf") else seeds
        with ProcessPoolExecutor(1, spawn) as pool:  # a process for each kind, to measure its peak memory
            results.append(pool.submit(_try_all, name, content, range(count)).result())
        print(_line(results[-1]), flush=True)
        for failure in results[-1].failures[:3]:
            print(failure, flush=True)
    total = sum(sum(result.outcomes.values()) for result in results)
    failed = sum(len(result.failures) for result in results)
    print(f"{total} files of {len(results)} kinds, {failed} failed, {(time.monotonic() - began) / 60:.1f} min")


def samples() -> dict[str, bytes]:
    """The contents of an intact file of every kind by name, and of some that use more features of their kind."""
    rich = {
        "talk.txt": TALK, "whatsapp.txt": WHATSAPP, "rich.tex": latex(_LATEX * 3), "rich.mbox": mailbox([_MAIL, _TEXT]),
        "rich.xml": wiki([("Fox", _WIKI * 3), ("Hen", _TEXT)], "<page><title>R</title><redirect/></page>"),
        "rich.json": telegram([("Fox", _TEXT), ("Hen", ["b", {"text": _TEXT}])] * 3),
        "rich.ipynb": notebook([("markdown", _TEXT), ("code", "fox = 1")], outputs=[{"text": ["1"]}], attachments={}),
    }  # fmt: skip
    return {**one_of_each(_TEXT), **{name: text.encode() for name, text in rich.items()}}


def _line(result: Result) -> str:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.outcomes.items()))
    seconds, seed = result.slowest
    return f"{result.name:<14} {outcomes}; slowest {seconds:.2f} s (seed {seed}), {result.peak:.0f} MB"


def _try_all(name: str, content: bytes, seeds: Sequence[int]) -> Result:
    result = Result(name)
    signal.signal(signal.SIGPROF, _give_up)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder, scratch = Path(place) / "in", Path(place) / "scratch"
        scratch.mkdir()
        tempfile.tempdir = str(scratch)
        assert _try_one(written(folder, name, content)) == "read", name  # this also imports the libraries
        before = _peak()
        for seed in seeds:
            path = written(folder, name, damaged(name, content, random.Random(seed)))
            began = time.process_time()
            try:
                signal.setitimer(signal.ITIMER_PROF, _SECONDS)
                result.outcomes[_try_one(path)] += 1
            except BaseException:
                result.failures.append(f"--case {name}:{seed}\n{traceback.format_exc(limit=-6)}")
                result.outcomes["failed"] += 1
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            result.slowest = max(result.slowest, (time.process_time() - began, seed))
            path.unlink()
            if left := [*folder.iterdir(), *scratch.iterdir()]:
                result.failures.append(f"--case {name}:{seed}\nleft behind: {left}")
        result.peak = _peak() - before
        tempfile.tempdir = None
    return result


def _give_up(_signal: int, _frame: FrameType | None) -> None:
    raise _TakesTooLongError


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _try_one(path: Path) -> str:
    """Read and inspect a file: "read" or "refused". Any other outcome raises an exception."""
    outcome = "read"
    for reading in ("", "conversations"):
        try:
            reader = SourceReader(path, ReadOptions(reading=reading), lambda _notice: None, Job())
            for _chunk in reader.chunks():
                pass
            account = reader.account
            assert account.files_seen == account.files_read + account.count_left_out(FILES), account
            inspect_path(path, ReadOptions(reading=reading), Job())
        except SourceError as error:
            assert error.what and path.stem in error.what, error.what
            outcome = outcome if reading else "refused"
    return outcome


# --- Damage -------------------------------------------------------------------------------------------------------


def damaged(name: str, content: bytes, chance: random.Random) -> bytes:
    """`content` damaged at random; half of the containers are damaged inside."""
    inner = _repack(name, content, chance) if chance.random() < 0.5 else None
    return _damaged(content, chance) if inner is None else inner


def _repack(name: str, content: bytes, chance: random.Random) -> bytes | None:
    """An intact container with damaged content; None if the file isn't a container."""
    if content.startswith(b"PK"):
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as found, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
            names = found.namelist()
            chosen = chance.choice(names)
            for member in names:
                data = found.read(member)
                out.writestr(member, _damaged(data, chance) if member == chosen else data)
        return stream.getvalue()
    for suffix, unpack, pack in _PACKED:
        if name.endswith(suffix):
            return pack(_damaged(unpack(content), chance))
    return None


def _unzstd(content: bytes) -> bytes:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.py_buffer(content), "zstd").read()


_PACKED: tuple[tuple[str, Callable[[bytes], bytes], Callable[[bytes], bytes]], ...] = (
    ("gz", gzip.decompress, gzip.compress),
    ("bz2", bz2.decompress, bz2.compress),
    ("xz", lzma.decompress, lzma.compress),
    ("zst", _unzstd, zstd),
)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        content = chance.choice(_WAYS)(content or b"x", chance)
    return content


def _places(content: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(content))
    return first, min(len(content), first + 1 + int(chance.expovariate(1 / 40)))


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _flip(content: bytes, chance: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(chance.choice((1, 3, 20))):
        out[chance.randrange(len(out))] = chance.randrange(256)
    return bytes(out)


def _mark(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.choice(_MARKS) * chance.choice((1, 1, 3, 5000)) + content[place:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = _places(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 2, 50, 3000)) + content[end:]


def _remove(content: bytes, chance: random.Random) -> bytes:
    start, end = _places(content, chance)
    return content[:start] + content[end:]


def _enlarge(content: bytes, chance: random.Random) -> bytes:
    value = chance.choice((b"0", b"-1", b"4294967295", b"99999999999999999999"))
    found = list(re.finditer(rb"\d+", content[:100_000]))
    if not found:
        return content
    number = chance.choice(found)
    return content[: number.start()] + value + content[number.end() :]


def _zeros(content: bytes, chance: random.Random) -> bytes:
    start, end = _places(content, chance)
    return content[:start] + bytes(end - start) + content[end:]


def _noise(_content: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((1, 100, 10_000)))


_WAYS = (_cut, _flip, _flip, _mark, _mark, _mark, _repeat, _repeat, _remove, _enlarge, _enlarge, _zeros, _noise)

if __name__ == "__main__":
    os.nice(19)
    main()
