"""The two columns of the tab: the tokenizer and its vocabulary on the left, settings and quality on the right."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.tokenizer.playground import MergesCard, Playground
from llm_studio.ui.tabs.tokenizer.settings import CurveCard, QualityCard, SettingsCard
from llm_studio.ui.tabs.tokenizer.vocabulary import VocabularyCard
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, EmptyState

if TYPE_CHECKING:
    from llm_studio.workflows.tokenizer.figures import Counts, Figures
    from llm_studio.workflows.tokenizer.lab import Lab

_RIGHT = 282


class TokenizerColumns(QWidget):
    """Shows a tokenizer, or the button to train one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._lab: Lab | None = None
        self.no_tokenizer = Card(self)
        self.untrained = EmptyState(self.no_tokenizer, "", "", _("Train the tokenizer"))
        self.no_tokenizer.content.addWidget(self.untrained)
        self.playground, self.merges, self.vocabulary = Playground(self), MergesCard(self), VocabularyCard(self)
        left = QVBoxLayout()
        left.setSpacing(GAP)
        left.addWidget(self.no_tokenizer, 1)
        left.addWidget(self.playground)
        left.addWidget(self.merges)
        left.addWidget(self.vocabulary, 1)
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(GAP)
        columns.addLayout(left, 1)
        columns.addWidget(self._make_right())
        self.playground.word_chosen.connect(self.merges.show_word)
        self.vocabulary.chosen.connect(self._on_token_chosen)

    def _make_right(self) -> QWidget:
        right = QWidget(self)
        right.setFixedWidth(_RIGHT)
        self.settings, self.quality, self.curve = SettingsCard(right), QualityCard(right), CurveCard(right)
        self.space = QWidget(right)
        inside = QVBoxLayout(right)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        inside.addWidget(self.settings)
        inside.addWidget(self.quality)
        inside.addWidget(self.curve, 1)
        inside.addWidget(self.space, 1)
        return right

    def show_parts(self, has_tokenizer: bool) -> None:
        """Show the cards about a tokenizer if there is one, otherwise the invitation to train it."""
        self.no_tokenizer.setVisible(not has_tokenizer)
        self.space.setVisible(not has_tokenizer)
        for part in (self.playground, self.merges, self.vocabulary, self.quality, self.curve):
            part.setVisible(has_tokenizer)

    def show_lab(self, lab: "Lab | None") -> None:
        """Show another tokenizer, whose counts and figures aren't known yet."""
        self._lab = lab
        self.quality.show_figures(None)
        self.quality.show_counts(None)
        self.quality.say("")
        self.curve.curve.show_points(())
        self.vocabulary.show_lab(lab, None)
        self.merges.show_word(None)
        self.playground.show_lab(lab)

    def show_counts(self, counts: "Counts | None") -> None:
        """Show how often each token occurs."""
        self.quality.show_counts(counts)
        if self._lab is not None:
            self.vocabulary.show_lab(self._lab, counts)

    @Slot(object)
    def show_figures(self, figures: "Figures") -> None:
        """Show the quality of the tokenizer."""
        self.quality.show_figures(figures)
        self.curve.curve.show_points(figures.curve)

    def show_invitation(self, problem: object) -> None:
        """Show that there is no tokenizer, or why it can't be used."""
        text = str(problem) if problem else _(
            "It learns the parts of words that are frequent in your texts. With the settings on the right, "
            "this takes between seconds and a few minutes."
        )  # fmt: skip
        title = _("The tokenizer can’t be used") if problem else _("No tokenizer yet")
        self.untrained.say(title, text, _("Train the tokenizer"))

    @Slot(int)
    def _on_token_chosen(self, token: int) -> None:
        if self._lab is not None:
            self.merges.show_word(self._lab.token_built(token))
