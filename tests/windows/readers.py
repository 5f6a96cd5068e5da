"""Gives a program, by its command line, the samples of every kind of file, and compares what it reads with them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from llm_studio.cli.app import PROBLEM
from llm_studio.data.sources import store
from llm_studio.data.sources.account import Account
from llm_studio.data.sources.manifest import Source
from tests.data.samples import OPTIONS, Sample, lacking

REFUSED = "book.mobi"
"""A file of a kind that isn't read."""

Program = Callable[..., CompletedProcess[bytes]]
"""Runs the program's command line with these arguments."""


def faults(program: Program, folder: Path, inside: str, given: Mapping[str, Sequence[Sample]]) -> list[str]:
    """What is wrong with the way `program` reads the samples `given`, by folder.

    `folder`, which is made, holds them and a project; `inside` is how the program calls it.
    """
    problems = [f"there is no sample of {name}" for name in lacking(given)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in given.items():
        for sample in samples:
            path = folder / name / sample.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sample.content)
    (folder / REFUSED).write_bytes(b"BOOKMOBI")
    project, raw = f"{inside}/project", folder / "project" / "data" / "raw"
    done = program("new", project, "--preset", "nano")
    if done.returncode:
        return [*problems, f"no project could be made: {_said(done)}"]
    for name, samples in given.items():
        done = program("download", project, "--dataset", f"{inside}/{name}", *OPTIONS[name], "--json")
        if done.returncode:
            problems.append(f"{name} could not be read: {_said(done)}")
            continue
        source = _source(raw, _figures(done)["name"])
        problems += [*_documents(name, samples, raw, source), *_account(name, samples, source.account)]
        done = program("look", f"{inside}/{name}", *OPTIONS[name], "--json")
        problems += _preview(name, samples, done)
    done = program("download", project, "--dataset", f"{inside}/{REFUSED}")
    if done.returncode != PROBLEM or REFUSED not in _said(done):
        problems.append(f"{REFUSED} was not refused by its name: {_said(done)}")
    return problems


def _said(done: CompletedProcess[bytes]) -> str:
    return " ".join((done.stdout[-1000:] + done.stderr[-1000:]).decode("utf-8", "replace").split())


def _figures(done: CompletedProcess[bytes]) -> dict[str, Any]:
    """What the last line of `--json` says."""
    return json.loads(done.stdout.decode("utf-8").splitlines()[-1])["figures"]


def _source(raw: Path, name: str) -> Source:
    return next(source for source in store.list_sources(raw) if source.name == name)


def _documents(folder: str, samples: Sequence[Sample], raw: Path, source: Source) -> list[str]:
    """The samples whose documents aren't in the source, and the documents of the source that are in no sample."""
    expected = Counter(text for sample in samples for text in sample.documents)
    found, text = Counter[str](), ""
    for chunk in store.read_chunks(raw, source):
        text += chunk.text
        if chunk.ends:
            found[text] += 1
            text = ""
    wrong = [sample.name for sample in samples if any(found[one] < expected[one] for one in sample.documents)]
    more = [one[:300] for one in (found - expected).elements()]
    problems = [f"{folder}: these are not read as they should be: {', '.join(wrong)}"] if wrong else []
    return problems + ([f"{folder}: read, and in no sample: {more}"] if more else [])


def _preview(folder: str, samples: Sequence[Sample], done: CompletedProcess[bytes]) -> list[str]:
    """What a first look shows that is in no sample."""
    if done.returncode:
        return [f"{folder} could not be looked at: {_said(done)}"]
    documents = {text for sample in samples for text in sample.documents}
    shown = _figures(done)["documents"]
    return [] if shown and documents >= set(shown) else [f"{folder}: a first look shows {shown}"]


def _account(folder: str, samples: Sequence[Sample], account: Account | None) -> list[str]:
    """What the account says that isn't so."""
    if account is None:
        return [f"{folder}: there is no account"]
    problems: list[str] = []
    read, left_out = sum(sample.files for sample in samples), Counter[str]()
    for sample in samples:
        left_out.update(sample.left_out)
    if account.files_read != read or account.files_seen != read + account.files_left_out:
        problems.append(f"{folder}: {account.files_seen} files seen, {account.files_read} read of {read}, "
                        f"{account.files_left_out} left out")  # fmt: skip
    if {entry.reason: entry.count for entry in account.left_out} != left_out:
        problems.append(f"{folder}: left out were {account.left_out}, not {dict(left_out)}")
    named = {one.name for entry in account.left_out for one in entry.first}
    problems += [f"{folder}: the account doesn't name {sample.name}"
                 for sample in samples if not sample.files and sample.name not in named]  # fmt: skip
    return problems
