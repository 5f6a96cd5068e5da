"""Background tasks that a tab can request: a job, a query or a write.

Only one task with a given key is current; the key also identifies its listeners (`ui/task_listeners.py`).
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from llm_studio.i18n import translated
from llm_studio.jobs import Job

OVERVIEW, SETTINGS, TRAINING = "overview", "settings", "training"
"""Keys with listeners in several pages: reading the project's overview, writing its settings, the training run."""
TOKENIZER, TOKENS = "tokenizer/train", "tokenizer/prepare"
"""The same: training the tokenizer, preparing the tokens."""
PREPARING = (TOKENIZER, TOKENS, TRAINING)
"""The jobs of *Prepare and train*, in order."""


@dataclass(frozen=True, eq=False)
class _Keyed:
    key: str
    work: Callable[[Job], Any]
    """Called in a thread with the job's context; its return value is the task's result."""


@dataclass(frozen=True, eq=False)
class BackgroundJob(_Keyed):
    """Work the user waits for: shown in the status bar with its title. A second job with the same key is refused."""

    title: str
    """In English, marked with `N_`, since it is shown in the current language. Without `N_` if it contains a name."""
    tab: str = ""
    """The tab that shows more than the status bar does."""
    _: KW_ONLY
    changes_project: bool = False
    """Read the project's overview again when the job has ended."""
    page_shows_errors: bool = False
    """Errors are shown by the page that requested it; the window opens no dialog."""
    outlives_project: bool = False
    """The job is independent of the open project, and continues when another is opened."""
    keep_awake: bool = False
    """A long job: the computer doesn't go to sleep while it runs, and Esc doesn't cancel it."""

    @property
    def shown_title(self) -> str:
        """The title in the user's language."""
        return translated(self.title)


@dataclass(frozen=True, eq=False)
class Query(_Keyed):
    """A read-only computation: a newer query replaces an older one, which is stopped and whose result is discarded.

    Only one query per key runs at a time: the newest waits until the running one has ended, those between never start.
    """

    _: KW_ONLY
    page_shows_errors: bool = False
    """Errors are shown by the page that requested it; the window opens no dialog."""
    outlives_project: bool = False
    """The query is independent of the open project; its result is shown even if another was opened meanwhile."""
    changes_project: ClassVar[bool] = False


@dataclass(frozen=True, eq=False)
class Write(_Keyed):
    """Writes something: writes with the same key run one after the other, and none is ever skipped or stopped.

    Only the result of the newest one is reported, but the errors of all.
    """

    _: KW_ONLY
    changes_project: bool = False
    """Read the project's overview again when the write has ended."""
    outlives_project: bool = False
    """The write is independent of the open project; its result is shown even if another was opened meanwhile."""
    page_shows_errors: ClassVar[bool] = False


Task = BackgroundJob | Query | Write
