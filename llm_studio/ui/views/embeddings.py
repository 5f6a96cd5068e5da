"""The view Embeddings: the nearest neighbours of a token by embedding and, on request, a map of many tokens."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.views.guesses import GuessList
from llm_studio.ui.views.token_map import TokenMap
from llm_studio.ui.views.view import Content, TokenChoice, TokenNames, View
from llm_studio.ui.widgets.basics import Card, Segmented, button, label, row
from llm_studio.workflows.generation.next_token import visible

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import EmbeddingMap, SimilarToken

_NEIGHBOURS = 10
_SIDE = 310


@dataclass(frozen=True)
class EmbeddingsRequest:
    """The token, typed (`token`) or chosen in the view (`chosen`); without either, a frequent one. `on_map`: the tokens
    on the map, "frequent", "all" or "words" (those of `words`); "" for no map.
    """

    token: str = ""
    chosen: TokenChoice | None = None
    on_map: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class EmbeddingsFound:
    """The nearest neighbours of a token, and the map if one was requested."""

    token: int
    near: "tuple[SimilarToken, ...]"
    map: "EmbeddingMap | None"
    problem: str = ""
    """Why another token is shown than the requested one, or which words aren't on the map; "" if all is well."""


class EmbeddingsView(View):
    """Shows `EmbeddingsFound`. The user enters a token and requests a map."""

    scope = "model"

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Embeddings"), _(
            "Each token is a list of numbers that training has placed: the tokens nearest to one by the cosine of "
            "their angle (1: the same direction). Compare with step 0 to see what training has done."))  # fmt: skip
        self._request = EmbeddingsRequest()
        self._names: TokenNames | None = None
        self.place_beside(self._make_map(), self._make_near(), _SIDE)

    def _make_near(self) -> Card:
        near = Card(self.ground, _("Nearest tokens"))
        self.token = QLineEdit(near)
        self.token.setAccessibleName(_("A token, by its text or its number"))
        self.token.setPlaceholderText(_("A word or #number, Enter"))
        self.token.returnPressed.connect(self._on_token)
        self.problem = label("", near, "warn", wrap=True)
        self.problem.hide()
        self.shown = label("", near, "value", wrap=True)
        self.near = GuessList(near, _("Nearest tokens"), _NEIGHBOURS, figure=_cosine, figure_width=40)
        self.near.chosen.connect(self._look_at)
        for part in (self.token, self.problem, self.shown, self.near):
            near.content.addWidget(part)
        near.content.addStretch(1)
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
        self.map = TokenMap(card, _("Map of the embeddings"))
        self.map.chosen.connect(self._look_at)
        self.map.hide()
        first = row(self.draw, self.words, None)
        first.setStretch(1, 1)
        card.content.addLayout(first)
        card.content.addWidget(self.explained)
        card.content.addWidget(self.map, 1)
        card.content.addStretch(0)
        return card

    def request(self) -> EmbeddingsRequest:
        """The token and the map to show."""
        return self._request

    def show_content(self, content: Content) -> None:
        """Show `EmbeddingsFound`."""
        found: EmbeddingsFound = content.result
        names = self._names = content.names
        self.problem.setText(found.problem)
        self.problem.setVisible(bool(found.problem))
        self.shown.setText(_("Near “{token}”, token {id}:").format(token=visible(names.label(found.token)),
                                                                   id=number(found.token)))  # fmt: skip
        self.near.show_guesses([(one.id, one.label, one.cosine) for one in found.near[:_NEIGHBOURS]])
        self.map.setVisible(found.map is not None)
        if found.map is not None:
            self.map.show_map(found.map, names, found.token)

    def follow(self, other: "EmbeddingsView") -> None:
        """Show the same token and a map of the same tokens."""
        self._request = other._request
        self.token.setText(other.token.text())
        self.words.setText(other.words.text())
        self.which.choose(other.which.current())
        self.words.setVisible(self.which.current() == "words")

    def forget(self) -> None:
        """Reset the request: another project has been opened."""
        super().forget()
        self._request = EmbeddingsRequest()
        self.token.clear()

    def _set_request(self, request: EmbeddingsRequest) -> None:
        self._request = request
        self.chosen.emit()

    @Slot()
    def _on_token(self) -> None:
        self._set_request(replace(self._request, token=self.token.text(), chosen=None))

    @Slot(int)
    def _look_at(self, token: int) -> None:
        if self._names is not None:
            self.token.setText(f"#{token}")
            chosen = TokenChoice(token, self._names.label(token))
            self._set_request(replace(self._request, token="", chosen=chosen))

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
        self._set_request(replace(self._request, on_map=self.which.current(), words=words))


def _cosine(value: float) -> str:
    return number(value, 2)
