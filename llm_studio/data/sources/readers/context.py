"""State shared by the readers of one source."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from llm_studio.data.sources.account import AccountBuilder
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.data.sources.readers.options import ReadOptions
from llm_studio.data.sources.readers.worker_process import WorkerProcess
from llm_studio.errors import SourceError
from llm_studio.jobs import Job


@dataclass(frozen=True)
class Encoding:
    """A text encoding: Python's `codec`, and its `name` for display.

    `guessed`: it was guessed from the content. `exact`: it is known to decode every byte. `others`: codecs that would
    fit as well, most likely first. `nuls`: number of NUL characters in the file, which are removed.
    """

    codec: str
    name: str
    guessed: bool = False
    exact: bool = False
    others: tuple[str, ...] = ()
    nuls: int = 0


class Workers:
    """The worker processes of the readers that need one, each started when it is first used."""

    def __init__(self) -> None:
        self._processes: dict[Callable[[Path | bytes], Iterator[str]], WorkerProcess] = {}

    def get(self, read: Callable[[Path | bytes], Iterator[str]]) -> WorkerProcess:
        """The worker process that runs `read`, a function at the top level of a module."""
        return self._processes.setdefault(read, WorkerProcess(read))

    def end(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.end()


@dataclass
class Context:
    """State shared by the readers of one source.

    `notice` receives messages for the user. `quick`: for a preview; encodings may be detected from the beginning of a
    file. `conversations`: whether the source consists of conversations, None while unknown. `encoding`: the encoding of
    the text file being read. `detected`: the last file whose encoding was detected, whether in quick mode, and the
    encoding. `workers`: processes for libraries that may hang. `reported_fields`: the text fields detected and
    reported. `skipped`: the files skipped, with the reasons. `account` counts these and everything else that is left
    out.
    """

    options: ReadOptions
    notice: Callable[[str], None]
    job: Job
    workers: Workers = field(default_factory=Workers)
    quick: bool = False
    conversations: bool | None = None
    encoding: Encoding | None = None
    detected: tuple[InputFile, bool, Encoding] | None = None
    reported_fields: set[str] = field(default_factory=set[str])
    skipped: list[tuple[str, SourceError]] = field(default_factory=list[tuple[str, SourceError]])
    account: AccountBuilder = field(default_factory=AccountBuilder)

    def silent(self) -> "Context":
        """A context for inspecting files without reporting or counting anything."""
        return replace(
            self, quick=True, notice=ignore_notice, reported_fields=set(), skipped=[], account=AccountBuilder()
        )


def ignore_notice(*_about: object) -> None:
    """A `notice` that discards its message."""
