"""What the readers of one source share."""

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
    """Python's `codec`, its `name` for display, whether it was `guessed`, whether it is known to decode every byte.

    `others`: codecs that would fit as well, the more likely first; `nuls`: number of NUL characters in the file, which
    are removed.
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
        """End all of them."""
        for process in self._processes.values():
            process.end()


@dataclass
class Context:
    """What the readers of one source share.

    `notice` receives messages for the user. `quick`: for a preview; an encoding may be detected from the beginning of a
    file. `conversations`: whether the source consists of conversations, None until a file has decided it. `encoding`:
    that of the text file being read; `detected`: the last file whose encoding was detected, whether quickly, and that
    encoding. `workers`: processes for libraries that may hang. `reported_fields`: the text fields detected and
    reported. `skipped`: the files left out, with the reasons; `account` counts them, and whatever else is left out.
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
        """A context for reading something only to find out about it: nothing is reported or counted."""
        return replace(
            self, quick=True, notice=ignore_notice, reported_fields=set(), skipped=[], account=AccountBuilder()
        )


def ignore_notice(*_about: object) -> None:
    """A `notice` that discards its message."""
