"""All views of one model, one of them shown: what each asks, and which answer it shows."""

from bisect import bisect_right

from PySide6.QtCore import QSize, Signal, Slot
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from llm_studio.ui.tabs.inside.questions import Answer, Question
from llm_studio.ui.views.attention import AttentionView
from llm_studio.ui.views.contributions import ContributionsView
from llm_studio.ui.views.embeddings import EmbeddingsView
from llm_studio.ui.views.lens import LensView
from llm_studio.ui.views.parts import PartsView
from llm_studio.ui.views.surprise import SurpriseView
from llm_studio.ui.views.view import View
from llm_studio.ui.widgets.basics import label

_GAP = 6


class ViewPane(QWidget):
    """Gives the views of a model the answers to their questions. Two panes can be side by side: see `follow`."""

    chosen = Signal()
    """The user has chosen something in the view that is shown."""
    text_changed = Signal(str)
    """The user has changed the text in a view."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._position = -1
        """The position that is looked at in all views of the text; -1: none was chosen."""
        self._starts: tuple[int, ...] = ()
        """The first character of each token of the text that was read last."""
        self._answered: dict[str, Question] = {}
        """By view."""
        self.surprise, self.attention, self.lens = SurpriseView(self), AttentionView(self), LensView(self)
        self.contributions = ContributionsView(self)
        self.embeddings, self.parts = EmbeddingsView(self), PartsView(self)
        self.views: dict[str, View] = {
            "surprise": self.surprise, "attention": self.attention, "lens": self.lens,
            "contributions": self.contributions, "embeddings": self.embeddings, "parts": self.parts,
        }  # fmt: skip
        self.title = label("", self, "value")
        """Which model it is; shown beside another one."""
        self.title.hide()
        self._stack = QStackedWidget(self)
        for view in self.views.values():
            self._stack.addWidget(view)
            view.chosen.connect(self._on_chosen)
        self.surprise.text_changed.connect(self.text_changed)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(_GAP)
        inside.addWidget(self.title)
        inside.addWidget(self._stack, 1)

    def current(self) -> View:
        """The view that is shown."""
        return self.views[self._name()]

    def _name(self) -> str:
        return next(name for name, view in self.views.items() if view is self._stack.currentWidget())

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's
        """As high as the view that is shown needs: Qt's stack is as high as its highest page."""
        hint = super().minimumSizeHint()
        title = self.title.sizeHint().height() + _GAP if not self.title.isHidden() else 0
        return QSize(hint.width(), self.current().minimumSizeHint().height() + title)

    def choose(self, name: str) -> None:
        """Show a view, at the position that was chosen in another one."""
        self._stack.setCurrentWidget(self.views[name])
        self.views[name].look_at(self._position)

    def forget(self) -> None:
        """Another project: nothing that is shown is true any more."""
        self._answered.clear()
        self._position, self._starts = -1, ()
        for view in self.views.values():
            view.forget()

    def show_beside(self, title: str) -> None:
        """Say which model it is, "" where it is the only one. The sentence of two panes stands above both."""
        self.title.setText(title)
        self.setAccessibleName(title)
        if self.title.isHidden() == bool(title):
            self.title.setVisible(bool(title))
            for view in self.views.values():
                view.sentence.setVisible(not title)

    def set_narrow(self, narrow: bool) -> None:
        """Whether there is only half of the width."""
        for view in self.views.values():
            view.set_narrow(narrow)
        self._stack.updateGeometry()

    def follow(self, other: "ViewPane") -> None:
        """Show the view of another pane, with what was chosen in it."""
        self._position = self._position_of(other)
        name = other._name()
        self.choose(name)
        self.views[name].follow(other.views[name])

    def _position_of(self, other: "ViewPane") -> int:
        """The position that another pane looks at; where its tokens are others, the one of the same character."""
        position = other.current().shown_position() if other.current().scope != "model" else other._position
        known = bool(self._starts) and 0 < position < len(other._starts)
        if not known or self._starts == other._starts:
            return position
        return bisect_right(self._starts, other._starts[position]) - 1

    # --- Questions and answers ----------------------------------------------------------------------------------

    def question(self, checkpoint: str, text: str) -> Question | None:
        """What the current view asks; None if it shows it already."""
        name, view = self._name(), self.current()
        text = "" if view.scope == "model" else text
        at = {"window": self._position, "position": self._position}.get(view.scope, 0)
        shown, window = self._answered.get(name), view.window_shown
        if shown is not None and window is not None and (at < 0 or 0 <= at - window.start < window.length):
            at = shown.at
        question = Question(name, checkpoint, text, at, view.request())
        if question != shown:
            return question
        return Question(view.further(), checkpoint) if view.further() else None

    def set_waiting(self) -> None:
        """The answer is being computed."""
        self.current().set_waiting(True)

    def give_up(self) -> None:
        """No answer will come."""
        for view in self.views.values():
            view.give_up()

    def show_answer(self, answer: Answer) -> None:
        """Show an answer in its view."""
        question = answer.question
        for view in self.views.values():
            view.set_waiting(False)
        if question.view in self.views:
            view = self.views[question.view]
            self._answered[question.view] = question
            if view.scope != "model":
                self._starts = answer.content.starts
            view.position = self._position
            view.show_content(answer.content)
        else:
            for name, view in self.views.items():
                own = self._answered.get(name)
                if view.further() == question.view and own is not None and own.checkpoint == question.checkpoint:
                    view.show_further(answer.content)

    @Slot()
    def _on_chosen(self) -> None:
        if self.current().scope != "model":
            self._position = self.current().position
        self.chosen.emit()
