"""The views of one model, of which one is shown: creates their questions and passes the answers on to them."""

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
    """Shows one of the views of a model. Two panes can be side by side: see `follow`."""

    chosen = Signal()
    """The user has chosen something in the current view."""
    text_changed = Signal(str)
    """The text after the user has changed it in a view."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._position = -1
        """The token position that all views of the text share; -1 if none was chosen."""
        self._starts: tuple[int, ...] = ()
        """Index of the first character of each token of the last answer's text."""
        self._answered: dict[str, Question] = {}
        """The question that each view shows the answer to, by the view's key."""
        self.surprise, self.attention, self.lens = SurpriseView(self), AttentionView(self), LensView(self)
        self.contributions = ContributionsView(self)
        self.embeddings, self.parts = EmbeddingsView(self), PartsView(self)
        self.views: dict[str, View] = {
            "surprise": self.surprise, "attention": self.attention, "lens": self.lens,
            "contributions": self.contributions, "embeddings": self.embeddings, "parts": self.parts,
        }  # fmt: skip
        self.title = label("", self, "value")
        """The name of the model; visible only beside another pane."""
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
        """The current view."""
        return self.views[self._name()]

    def _name(self) -> str:
        return next(name for name, view in self.views.items() if view is self._stack.currentWidget())

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's
        """The minimum size of the current view, since that of a QStackedWidget covers all its pages."""
        hint = super().minimumSizeHint()
        title = self.title.sizeHint().height() + _GAP if not self.title.isHidden() else 0
        return QSize(hint.width(), self.current().minimumSizeHint().height() + title)

    def choose(self, name: str) -> None:
        """Make the view with this key current, at the position shared by all views."""
        self._stack.setCurrentWidget(self.views[name])
        self.views[name].look_at(self._position)

    def forget(self) -> None:
        """Reset the views: another project has been opened."""
        self._answered.clear()
        self._position, self._starts = -1, ()
        for view in self.views.values():
            view.forget()

    def show_beside(self, title: str) -> None:
        """Show the name of the model, or hide it if `title` is "". With a title, the views' sentences are hidden: the
        stack shows the sentence above both panes.
        """
        self.title.setText(title)
        self.setAccessibleName(title)
        if self.title.isHidden() == bool(title):
            self.title.setVisible(bool(title))
            for view in self.views.values():
                view.sentence.setVisible(not title)

    def set_narrow(self, narrow: bool) -> None:
        """Lay out the views for half of the width if `narrow`."""
        for view in self.views.values():
            view.set_narrow(narrow)
        self._stack.updateGeometry()

    def follow(self, other: "ViewPane") -> None:
        """Show the same view as another pane, with what was chosen there."""
        self._position = self._position_of(other)
        name = other._name()
        self.choose(name)
        self.views[name].follow(other.views[name])

    def _position_of(self, other: "ViewPane") -> int:
        """The position shown in another pane. If the texts are tokenized differently: that of the token with the same
        character.
        """
        position = other.current().shown_position() if other.current().scope != "model" else other._position
        known = bool(self._starts) and 0 < position < len(other._starts)
        if not known or self._starts == other._starts:
            return position
        return bisect_right(self._starts, other._starts[position]) - 1

    # --- Questions and answers ----------------------------------------------------------------------------------

    def question(self, checkpoint: str, text: str) -> Question | None:
        """The next question of the current view; None if it shows the answer to all of them."""
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
        """Mark the current view as being recomputed."""
        self.current().set_waiting(True)

    def give_up(self) -> None:
        """Stop waiting: there will be no answer."""
        for view in self.views.values():
            view.give_up()

    def show_answer(self, answer: Answer) -> None:
        """Show an answer in the view that it belongs to."""
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
