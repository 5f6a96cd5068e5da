"""The view Embeddings: the tokens whose embeddings are nearest to one, and a map of many on request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.theme import GAP
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.token_map import TokenMap
from llm_studio.ui.views.view import TokenNames, View
from llm_studio.ui.widgets.basics import Card, Segmented, button, label, row
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import EmbeddingMap, SimilarToken

_NEIGHBOURS = 10


@dataclass(frozen=True)
class EmbeddingsRequest:
    """A token by name, "" for a frequent one; and which tokens are on the map: "" for no map, "frequent", "all", or
    "words" for those of `words`."""

    token: str = ""
    on_map: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class EmbeddingsFound:
    """The neighbours of a token in the model, and at step 0 if it can be opened (else empty or None)."""

    token: int
    near: "tuple[SimilarToken, ...]"
    near_at_start: "tuple[SimilarToken, ...]"
    map: "EmbeddingMap | None"
    map_at_start: "EmbeddingMap | None"
    problem: str = ""
    """Why the token that was asked for has no neighbours, or which words aren't on the map."""


class EmbeddingsView(View):
    """Shows `EmbeddingsFound`; another token can be named, and a map requested."""

    requested = Signal(object)
    """An EmbeddingsRequest."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Embeddings"), _(
            "Each token is a list of numbers that training has placed: the tokens nearest to one by the cosine of "
            "their angle (1: the same direction), now and before training."))  # fmt: skip
        self._request = EmbeddingsRequest()
        self._names: TokenNames | None = None
        both = row(self._make_near(), self._make_map(), spacing=GAP)
        both.setStretch(0, 2)
        both.setStretch(1, 3)
        self.content.addLayout(both, 1)

    def _make_near(self) -> Card:
        near = Card(self.ground, _("Nearest tokens"))
        near.setMinimumWidth(310)
        near.setMaximumWidth(430)
        self.token = QLineEdit(near)
        self.token.setAccessibleName(_("A token, by its text or its number"))
        self.token.setPlaceholderText(_("A word or #number, Enter"))
        self.token.returnPressed.connect(self._on_token)
        self.problem = label("", near, "warn", wrap=True)
        self.problem.hide()
        self.shown = label("", near, "value", wrap=True)
        lists = row(spacing=GAP)
        self.near, self.near_at_start = (
            GuessList(near, name, _NEIGHBOURS, figure=_cosine, word_width=84, figure_width=40)
            for name in (_("Nearest tokens now"), _("Nearest tokens at step 0"))
        )
        self._start_head = label(_("at step\u00a00"), near, "caption")
        for head, made in ((label(_("now"), near, "caption"), self.near), (self._start_head, self.near_at_start)):
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(head)
            column.addWidget(made)
            column.addStretch(1)
            lists.addLayout(column, 1)
            made.chosen.connect(self._look_at)
        for part in (self.token, self.problem, self.shown):
            near.content.addWidget(part)
        near.content.addLayout(lists, 1)
        return near

    def _make_map(self) -> Card:
        card = Card(self.ground, _("Map"))
        self.which = Segmented(card, {"frequent": _("Frequent"), "all": _("All"), "words": _("My words")},
                               _("Tokens on the map"))  # fmt: skip
        self.which.chosen.connect(self._on_which)
        self.draw = button(_("Draw the map"), card, self._draw, "small")
        card.head.addWidget(self.which)
        self.words = QLineEdit(card)
        self.words.setAccessibleName(_("Words on the map, with spaces between"))
        self.words.setPlaceholderText(_("Words with spaces between, Enter"))
        self.words.returnPressed.connect(self._draw)
        self.words.hide()
        explained = _("The two directions in which these embeddings differ most (PCA). All others are left out: tokens "
                      "that are near on the map may be far apart.")  # fmt: skip
        self.explained = label(explained, card, "caption", wrap=True)
        self.map, self.map_at_start = TokenMap(card, _("now")), TokenMap(card, _("at step\u00a00"))
        for part in (self.map, self.map_at_start):
            part.chosen.connect(self._look_at)
            part.hide()
        first = row(self.draw, self.words, None)
        first.setStretch(1, 1)
        card.content.addLayout(first)
        card.content.addWidget(self.explained)
        card.content.addLayout(row(self.map, self.map_at_start, spacing=8), 1)
        card.content.addStretch(0)
        return card

    def request(self) -> EmbeddingsRequest:
        """What is to be shown."""
        return self._request

    def show_embeddings(self, found: EmbeddingsFound, names: TokenNames) -> None:
        """Show the neighbours of a token, and the map if it was requested."""
        self._names = names
        self.problem.setText(found.problem)
        self.problem.setVisible(bool(found.problem))
        self.shown.setText(_("Near “{token}”, token {id}:").format(token=visible(names.label(found.token)),
                                                                   id=number(found.token)))  # fmt: skip
        for made, near in ((self.near, found.near), (self.near_at_start, found.near_at_start)):
            made.show_guesses([(one.id, one.label, one.cosine) for one in near[:_NEIGHBOURS]])
        self._start_head.setVisible(bool(found.near_at_start))
        for drawn, its in ((self.map, found.map), (self.map_at_start, found.map_at_start)):
            drawn.setVisible(its is not None)
            if its is not None:
                drawn.show_map(its, names, found.token)

    def forget(self) -> None:
        """Another project."""
        self._request = EmbeddingsRequest()
        self.token.clear()

    def _ask(self, request: EmbeddingsRequest) -> None:
        self._request = request
        self.requested.emit(request)

    @Slot()
    def _on_token(self) -> None:
        self._ask(EmbeddingsRequest(self.token.text(), self._request.on_map, self._request.words))

    @Slot(int)
    def _look_at(self, token: int) -> None:
        self.token.setText(f"#{token}")
        self._on_token()

    @Slot(str)
    def _on_which(self, which: str) -> None:
        self.words.setVisible(which == "words")
        if self._request.on_map:
            self._draw()

    @Slot()
    def _draw(self) -> None:
        words = tuple(dict.fromkeys(self.words.text().split()))
        if self.which.current() == "words" and not words:
            self.words.setFocus()
            return
        self._ask(EmbeddingsRequest(self._request.token, self.which.current(), words))


def _cosine(value: float) -> str:
    return number(value, 2)
