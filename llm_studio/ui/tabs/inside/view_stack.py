"""The views side by side, one of them shown: what each asks, and which answer it shows."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog, QMenu, QProgressBar, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.inside.questions import Answer, Question
from llm_studio.ui.theme import GAP
from llm_studio.ui.views import pictures
from llm_studio.ui.views.attention import AttentionView
from llm_studio.ui.views.embeddings import EmbeddingsView
from llm_studio.ui.views.lens import LensView
from llm_studio.ui.views.parts import PartsView
from llm_studio.ui.views.surprise import SurpriseView
from llm_studio.ui.views.view import View
from llm_studio.ui.widgets.basics import Segmented, icon_button, row

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import TextWindow

_WINDOWED = ("attention", "lens")
"""Views of one window of a text; the others show all of it."""


class ViewStack(QWidget):
    """Chooses a view, and gives it the answers to its questions."""

    changed = Signal()
    """The current view may have another question."""
    text_changed = Signal(str)
    """The user has changed the text in a view."""
    not_saved = Signal(str)
    """Why a picture could not be saved."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._position = -1
        """The position that is looked at in all views of the text; -1: none was chosen."""
        self._windows: dict[str, TextWindow] = {}
        """What a view shows of the text."""
        self._answered: dict[str, Question] = {}
        self.surprise = SurpriseView(self)
        self.attention = AttentionView(self)
        self.lens = LensView(self)
        self.embeddings, self.parts = EmbeddingsView(self), PartsView(self)
        self._views: dict[str, View] = {
            "surprise": self.surprise, "attention": self.attention, "lens": self.lens, "embeddings": self.embeddings,
            "parts": self.parts,
        }  # fmt: skip
        self._measuring = False
        """What each part is worth was requested, and isn't known yet."""
        names = {key: view.accessibleName() for key, view in self._views.items()}
        self.choice = Segmented(self, names, _("What is shown"))
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self.progress.hide()
        self.save = icon_button("image", _("Save the picture"), self)
        self.save.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.save)
        menu.addAction(_("As PNG…"), self._save_png)
        menu.addAction(_("As SVG…"), self._save_svg)
        self.save.setMenu(menu)
        self._stack = QStackedWidget(self)
        for view in self._views.values():
            self._stack.addWidget(view)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        inside.addLayout(row(self.choice, None, self.progress, self.save))
        inside.addWidget(self._stack, 1)
        self.choice.chosen.connect(self._on_view)
        self.surprise.text_changed.connect(self.text_changed)
        self.surprise.position_chosen.connect(self._on_position)
        self.attention.position_chosen.connect(self._on_position)
        self.lens.position_chosen.connect(self._on_position)
        self.embeddings.requested.connect(self._on_request)
        self.parts.switched.connect(self._on_request)
        self.parts.worth_requested.connect(self._on_worth)

    def current(self) -> str:
        """The name of the view that is shown."""
        return self.choice.current()

    def choose(self, name: str) -> None:
        """Show a view."""
        self.choice.choose(name)
        self._on_view(name)

    def forget(self) -> None:
        """Another project: nothing that is shown is true any more."""
        self._answered.clear()
        self._windows.clear()
        self._measuring = False
        self.embeddings.forget()
        self.parts.forget()
        self._position = -1

    # --- Questions and answers ----------------------------------------------------------------------------------

    def question(self, checkpoint: str, text: str) -> Question | None:
        """What the current view asks; None if it shows it already."""
        view = self.current()
        if view == "parts" and self._measuring:
            return Question("worth", checkpoint)
        detail = {"embeddings": self.embeddings.request(), "parts": self.parts.off()}.get(view)
        question = Question(view, checkpoint, "" if view == "embeddings" else text,
                         self._position if view in _WINDOWED else 0, detail)  # fmt: skip
        shown, window = self._answered.get(question.view), self._windows.get(question.view)
        if (
            shown is not None
            and window is not None
            and (question.at < 0 or 0 <= question.at - window.start < window.length)
        ):
            question = replace(question, at=shown.at)
        return None if question == shown else question

    def set_waiting(self, question: Question) -> None:
        """The answer is being computed."""
        if question.view in self._views:
            self._views[question.view].set_waiting(True)

    def stop_waiting(self) -> None:
        """No answer will come."""
        self._measuring = False
        self.progress.hide()
        for view in self._views.values():
            view.set_waiting(False)

    @Slot(float)
    def show_progress(self, done: float) -> None:
        """A long computation is so far."""
        self.progress.setVisible(done < 1)
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * done))

    def show_answer(self, answer: Answer) -> None:
        """Show an answer in its view."""
        question = answer.question
        self.stop_waiting()
        before = self._answered.get(question.view)
        self._answered[question.view] = question
        if question.view == "surprise":
            self.surprise.show_surprise(answer.result, answer.names, self._position)
        elif question.view == "attention":
            self._windows["attention"] = answer.result.maps.window
            self.attention.show_levels(answer.result, self._position, answer.tokens)
        elif question.view == "lens":
            self._windows["lens"] = answer.result.window
            self.lens.show_lens(answer.result, answer.names, self._position, answer.tokens)
        elif question.view == "embeddings":
            self.embeddings.show_embeddings(answer.result, answer.names)
        elif question.view == "parts":
            if before is not None and before.checkpoint != question.checkpoint:
                self.parts.forget_worth()
            self.parts.show_effect(answer.result, answer.facts)
        elif question.view == "worth":
            self._measuring = False
            self.parts.show_worth(answer.result, answer.facts)
            self.changed.emit()

    @Slot(str)
    def _on_view(self, name: str) -> None:
        self._stack.setCurrentWidget(self._views[name])
        self.changed.emit()

    @Slot(object)
    def _on_request(self, _request: object) -> None:
        self._measuring = False
        self.changed.emit()

    @Slot()
    def _on_worth(self) -> None:
        self._measuring = True
        self.changed.emit()

    @Slot(int)
    def _on_position(self, position: int) -> None:
        self._position = position

    # --- Pictures -----------------------------------------------------------------------------------------------

    @Slot()
    def _save_png(self) -> None:
        self._ask_file("png", _("Pictures (*.png)"))

    @Slot()
    def _save_svg(self) -> None:
        self._ask_file("svg", _("Drawings (*.svg)"))

    def _ask_file(self, kind: str, kinds: str) -> None:
        name = f"{self.current()}.{kind}"
        dialog = QFileDialog(self, _("Save the picture"), str(Path.home() / name), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind)
        dialog.selectFile(name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._save_to)
        dialog.open()

    @Slot(str)
    def _save_to(self, path: str) -> None:
        try:
            pictures.save(self._views[self.current()], Path(path))
        except OSError as error:
            self.not_saved.emit(_("The picture could not be saved: {reason}.").format(reason=error))
