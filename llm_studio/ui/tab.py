"""What a tab declares about itself: everything that rail, menus, shell and Understand need of it."""

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
"""A step's state and one line about it."""
_ROUND = 120
"""Seconds from which on whole minutes are exact enough."""


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A tab. Declaring it imports neither its page nor anything else that takes time."""

    name: str
    """Identifies it in the preferences, in jobs, and in the actions of errors."""
    title: str
    """In English, marked with `N_`."""
    page: str
    """Module and class of its page, "package.module:Class"."""
    lesson: str = ""
    """The file of `resources/learn/<language>/` that explains it, without ".md". "" for none."""
    more_lessons: Mapping[str, str] = field(default_factory=dict[str, str])
    """Titles, marked with `N_`, of further lessons that follow its own in Understand."""
    icon: str = ""
    """The character in the rail of a tab that isn't a step. Steps are numbered."""
    fact: "Callable[[Overview], Fact] | None" = None
    """What the rail says about it; only steps have it. The rail itself says while a job of the tab is running."""
    needs_project: bool = False
    """The start page is shown in its place while no project is open."""
    preload: tuple[str, ...] = ()
    """Modules that its page imports besides Qt, its own and those of other tabs: a worker imports them beforehand,
    since they take most of the time. None of them may import Qt."""

    @property
    def is_step(self) -> bool:
        """Whether it is a numbered step from text to model."""
        return self.fact is not None

    @property
    def is_imported(self) -> bool:
        """Whether the module of its page is imported."""
        return self.page.partition(":")[0] in sys.modules

    def import_page(self) -> None:
        """Import the module of its page. Call it in the UI thread: see `ui/tabs/__init__.py`."""
        importlib.import_module(self.page.partition(":")[0])

    def make_page(self, parent: "QWidget") -> "Page":
        """Create its page, importing the module if necessary. Call it in the UI thread."""
        module, _colon, page = self.page.partition(":")
        return cast("Page", getattr(importlib.import_module(module), page)(parent))


def step_state(state: "State") -> StepState:
    """The state of a step that the rail shows."""
    return cast(StepState, state.value)


def step_of(step: int, max_steps: int) -> str:
    """How far a training run is."""
    return _("step {step} / {last}").format(step=number(step), last=number(max_steps))


def time_left(step: int, seconds: float) -> str:
    """How far a run is that ends at a time: first what is read most, since a narrow rail cuts the end."""
    time = duration(seconds) if seconds < _ROUND else time_limit(round(seconds / 60))
    return _("{time} left · step {step}").format(step=number(step), time=time)
