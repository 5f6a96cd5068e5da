"""What a tab can ask to be done in the background: a job, a query or a write.

Of the tasks with the same key only one is current; the key also says who listens to it (`ui/task_listeners.py`).
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from llm_studio.i18n import translated
from llm_studio.jobs import Job

OVERVIEW, SETTINGS, TRAINING = "overview", "settings", "training"
"""Keys that several pages listen to: reading the project's overview, writing its settings, the training run."""
TOKENIZER, TOKENS = "tokenizer/train", "tokenizer/prepare"
"""Likewise: training the tokenizer, preparing the tokens."""
PREPARING = (TOKENIZER, TOKENS, TRAINING)
"""The jobs of *Prepare and train*, in their order."""


@dataclass(frozen=True, eq=False)
class _Keyed:
    key: str
    work: Callable[[Job], Any]
    """Called in a thread with the job's context; what it returns is the task's result."""


@dataclass(frozen=True, eq=False)
class BackgroundJob(_Keyed):
    """Something the user waits for: shown in the status bar with its title. A second one of the same key is refused."""

    title: str
    """In English, marked with `N_`: it is shown in the language spoken then. Without `N_` where it holds a name."""
    tab: str = ""
    """The tab that shows more than the status bar."""
    _: KW_ONLY
    changes_project: bool = False
    """The project's overview is read again when it has ended."""
    page_shows_errors: bool = False
    """The page that requested it shows its errors; the window opens no dialog."""
    outlives_project: bool = False
    """It has nothing to do with the open project, and continues when another is opened."""
    keep_awake: bool = False
    """It takes long: the computer doesn't go to sleep while it runs, and Esc doesn't cancel it."""

    @property
    def shown_title(self) -> str:
        """The title in the user's language."""
        return translated(self.title)


@dataclass(frozen=True, eq=False)
class Query(_Keyed):
    """A question that writes nothing: a newer one replaces an older one, which is stopped and whose answer is dropped.

    One query of a key computes at a time: the newest waits until the one before has ended, those between never begin.
    """

    _: KW_ONLY
    page_shows_errors: bool = False
    """The page that requested it shows its errors; the window opens no dialog."""
    outlives_project: bool = False
    """It has nothing to do with the open project, and its answer is shown although another was opened."""
    changes_project: ClassVar[bool] = False


@dataclass(frozen=True, eq=False)
class Write(_Keyed):
    """Writes something: writes of the same key are done one after the other, and none is ever skipped or stopped.

    Only the newest one's result is reported, but errors of all of them.
    """

    _: KW_ONLY
    changes_project: bool = False
    """The project's overview is read again when it has ended."""
    outlives_project: bool = False
    """It has nothing to do with the open project, and its result is shown although another was opened."""
    page_shows_errors: ClassVar[bool] = False


Task = BackgroundJob | Query | Write
