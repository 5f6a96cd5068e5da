"""The base of all tabs' pages, and how a page is composed.

A page is a widget with one or more controllers:

* The **page** (a subclass of `Page`, `tabs/<tab>/page.py`) creates and lays out widgets, shows what a controller
  reports and calls a controller when the user does something. It has no state except that of its widgets.
* A **controller** (a subclass of `Controller`, `tabs/<tab>/controller.py`) knows the project, requests tasks, listens
  to their keys, holds the state and reports changes with its signals. It creates no widgets; the only exception is a
  dialog over the page that shows what the controller requests. A page with several concerns has several controllers,
  each with its own keys; one that needs another gets it in its constructor.
* Both share the page's `PageContext`: the open project, its last overview, the signals that leave the page
  (`context.tab_requested`, `toast_requested`, ...; `context.request(task)`) and the listeners to tasks
  (`context.listen(KEY, succeeded=...)`). A key has one listener in a page; a second one is an error.

Out: the signals of the context; the shell connects them. In: the methods of `Page` below, which the shell calls. `Page`
passes `open_project`, `leave_project` and `show_overview` on to its controllers in the order of their creation; a
subclass that overrides one calls `super()` first, so that its controllers are up to date when it shows them.
`tabs/export` is an example.

Cards and other widgets of a page know neither the context nor a controller: they have signals (`stop_requested`) and
`show_...` methods, and the page connects the two sides.
"""

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from llm_studio.ui.page_context import PageContext
from llm_studio.ui.theme import GAP, PAGE_MARGIN, set_role

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview, Project


class Page(QWidget):
    """One tab.

    A page is created again when the language changes: everything it shows must come from the project, from
    `show_overview`, from the reports of running tasks, or from `draft`.
    """

    def __init__(self, title: str, subtitle: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.first: tuple[QWidget, ...] = ()
        """Candidates for the focus when the page is first shown: the first one that can take it gets it."""
        self.context = PageContext(self)
        set_role(self, "page")
        self.title = QLabel(title, self)
        set_role(self.title, "title")
        self.subtitle = QLabel(subtitle, self)
        self.subtitle.setWordWrap(True)
        set_role(self.subtitle, "muted")
        titles = QVBoxLayout()
        titles.setSpacing(2)
        titles.addWidget(self.title)
        titles.addWidget(self.subtitle)
        self.head_buttons = QHBoxLayout()
        """Buttons at the right of the title, the primary one last."""
        self.head_buttons.setSpacing(GAP)
        head = QHBoxLayout()
        head.addLayout(titles, 1)
        head.addLayout(self.head_buttons)
        self.body = QVBoxLayout(self)
        """The layout of everything, from top to bottom; the head is first."""
        self.body.setContentsMargins(PAGE_MARGIN, 18, PAGE_MARGIN, 20)
        self.body.setSpacing(GAP)
        self.body.addLayout(head)

    @property
    def project(self) -> "Project | None":
        """The open project."""
        return self.context.project

    @property
    def overview(self) -> "Overview | None":
        """The open project's last overview."""
        return self.context.overview

    def take_focus(self, last: QWidget | None) -> None:
        """The page is now visible: focus the control `last`, otherwise the first useful one.

        Never a button: Space or Enter would start something before the user has read it.
        """
        inputs = (w for w in self.findChildren(QWidget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus
                  and not isinstance(w, QAbstractButton))  # fmt: skip
        for widget in (*((last,) if last is not None else ()), *self.first, *inputs):
            if widget is not self and widget.isVisibleTo(self) and widget.isEnabled():
                widget.setFocus()
                return
        self.setFocus()

    # no @Slot on these: PySide6 6.11 still calls an overridden slot of a base class after the object was deleted

    def open_project(self, project: "Project | None") -> None:
        """Another project was opened, or none: forget everything about the previous one. `show_overview` follows
        soon."""
        self.context.project, self.context.overview = project, None
        for dialog in self.findChildren(QDialog):  # it is about the previous project
            dialog.reject()
        self.context.project_opened.emit(project)

    def leave_project(self) -> None:
        """The project or the program is about to be closed: request writing the user's pending changes."""
        self.context.project_closing.emit()

    def show_overview(self, overview: "Overview") -> None:
        """Show a new overview: called after opening a project and after every change."""
        self.context.overview = overview
        self.context.overview_changed.emit(overview)

    def unsaved(self) -> str:
        """Why the user's text can't be saved if the page is left now; "" if nothing would be lost."""
        return ""

    def discard_unsaved(self) -> None:
        """Discard what `unsaved` reported, with the user's consent."""

    def draft(self) -> object:
        """Unsaved input, to be passed to the page that replaces this one; None if there is none."""
        return None

    def take_draft(self, draft: Any) -> None:
        """Continue with the draft of the page that this one replaces; None if there is none."""

    def show_target(self, target: Any) -> None:
        """Show what another tab requested: an object of a type that the package of this tab declares."""
