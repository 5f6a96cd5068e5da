"""The declaration of a tab: everything that the rail, menus, shell and the tab Understand need to know about it."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from llm_studio.i18n import _, duration, number, time_limit

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from llm_studio.ui.page import Page
    from llm_studio.workflows.overview import Overview, State

StepState = Literal["to do", "ready", "running", "out of date"]
Fact = tuple[StepState, str]
"""A step's state and a one-line description."""
_ROUND = 120
"""From this many seconds on, whole minutes are precise enough."""


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A tab. Declaring it doesn't import its page or anything slow."""

    name: str
    """Its key in the preferences, in jobs, and in the actions of errors."""
    title: str
    """In English, marked with `N_`."""
    page: str
    """Module and class of its page, "package.module:Class"."""
    lesson: str = ""
    """The file of `resources/learn/<language>/` that explains it, without ".md". "" for none."""
    more_lessons: Mapping[str, str] = field(default_factory=dict[str, str])
    """Titles, marked with `N_`, of further lessons that follow it in Understand."""
    icon: str = ""
    """The icon in the rail of a tab that isn't a step. Steps are numbered."""
    fact: "Callable[[Overview], Fact] | None" = None
    """The facts shown in the rail, only for steps. While a job of the tab is running, the rail shows that itself."""
    needs_project: bool = False
    """Whether the start page is shown instead while no project is open."""
    preload: tuple[str, ...] = ()
    """Slow modules that its page imports, besides Qt and those of tabs: a worker imports them in advance. None of them
    may import Qt."""

    @property
    def is_step(self) -> bool:
        """Whether it is a numbered step on the way from text to model."""
        return self.fact is not None

    @property
    def is_imported(self) -> bool:
        """Whether the module of its page has been imported."""
        return self.page.partition(":")[0] in sys.modules

    def import_page(self) -> None:
        """Import the module of its page. Call it in the UI thread: see `ui/tabs/__init__.py`."""
        importlib.import_module(self.page.partition(":")[0])

    def make_page(self, parent: "QWidget") -> "Page":
        """Create its page, importing the module if necessary. Call it in the UI thread."""
        module, _colon, page = self.page.partition(":")
        return cast("Page", getattr(importlib.import_module(module), page)(parent))


def step_state(state: "State") -> StepState:
    """The state of a step as shown in the rail."""
    return cast(StepState, state.value)


def step_of(step: int, max_steps: int) -> str:
    """The progress of a training run."""
    return _("step {step} / {last}").format(step=number(step), last=number(max_steps))


def time_left(step: int, seconds: float) -> str:
    """The progress of a run with a time limit, the most important part first, since a narrow rail cuts off the end."""
    time = duration(seconds) if seconds < _ROUND else time_limit(round(seconds / 60))
    return _("{time} left · step {step}").format(step=number(step), time=time)
