"""Candidates for the next token: a few as bars beside the text, or all of them in a table below it."""

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from llm_studio.config import GenerationSettings
from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.widgets.basics import button, label, let_shrink, row
from llm_studio.ui.widgets.candidate_table import CandidateTable
from llm_studio.ui.widgets.candidates import CandidateBars
from llm_studio.workflows.generation.next_token import NextToken, visible

_TAIL = 32
"""Number of characters of the text that are shown before the token in question."""
_NARROW = 560
"""Width in pixels below which the caption and its buttons need two lines."""
_LEAST_TABLE, _GAPS = 118, 16
"""Minimum height of the table in pixels (its header and three rows), and of the space around it."""
_ROWS, _MOST_ROWS = 50, 500
"""Candidates in the table before the user scrolls to the last one, and at most while a slider moves."""


class NextTokenCard(QWidget):
    """The most likely candidates, as bars."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 4, 0, 0)
        inside.setSpacing(2)
        inside.addWidget(label(_("Next token, live"), self, "heading"))
        self.caption = label("", self, "caption", wrap=True)
        inside.addWidget(self.caption)
        self.bars = CandidateBars(self)
        inside.addWidget(self.bars)

    def show_next(self, found: NextToken, sampling: GenerationSettings) -> None:
        """Show the candidates with these settings."""
        candidates = found.candidates(sampling)
        self.caption.setText(_caption(found, candidates.kept))
        self.bars.show_candidates(candidates.first)

    def say(self, text: str) -> None:
        """Show why there are no candidates."""
        self.caption.setText(text)
        self.bars.show_candidates(())


class XrayPanel(QWidget):
    """The table of all candidates before and after each filter, and the actions at this place of the text."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.caption = label("", self, "heading", wrap=True)
        self.draw = button(
            _("Draw a token"), self, role="small", tip=_("Draw the next token at random with these settings")
        )
        self.end = button(_("Back to the end"), self, role="small", tip=_("Show the candidates after the whole text"))
        self.end.hide()
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._head.setSpacing(4)
        self._head.addWidget(self.caption, 1)
        self._head.addLayout(row(self.end, self.draw, None))
        self.help = label("", self, "caption", wrap=True)
        self.table = CandidateTable(self)
        let_shrink(self.table, _LEAST_TABLE)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 6, 0, 0)
        inside.setSpacing(4)
        inside.addLayout(self._head)
        inside.addWidget(self.help)
        inside.addWidget(self.table, 1)
        self._count = _ROWS
        self._help = "", ""
        """The legend of the table, and what a click does."""

    def show_next(self, found: NextToken, sampling: GenerationSettings, written: int | None) -> None:
        """Show the candidates with these settings; `written` is the token that is in the text."""
        also = () if written is None or not 0 <= written < found.total else (written,)
        candidates = found.candidates(sampling, self._count, also)
        self.caption.setText(_caption(found, candidates.kept))
        self._help = _legend(), _what_to_do(found, written)
        self.table.show_candidates(candidates, written)
        self.table.show()
        self.draw.setEnabled(True)
        self.end.setVisible(written is not None)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Move the buttons below the caption if there is little space."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Keep the texts above the table whole. A narrow panel shows the legend as a tool tip, for more rows."""
        narrow = self.width() < _NARROW
        self._head.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        self.help.setText(self._help[1] if narrow else " ".join(self._help))
        self.help.setToolTip(self._help[0])
        texts = self._head.heightForWidth(self.width()) + self.help.heightForWidth(self.width())
        self.setMinimumHeight(texts + _LEAST_TABLE + _GAPS)

    def limit_rows(self) -> None:
        """Limit the number of candidates so that a slider can update them; the user can scroll again."""
        self._count = self._count if self._count <= _MOST_ROWS else _ROWS

    def show_rows(self, count: int | None = None) -> None:
        """Set the number of candidates shown from now on."""
        self._count = count or _ROWS

    def say(self, text: str) -> None:
        """Show why there are no candidates."""
        self.caption.setText(text)
        self._help = "", ""
        self.help.setText("")
        self.table.hide()
        self.draw.setEnabled(False)


class NextTokenPresenter(QObject):
    """Shows the candidates in the card or in the table, whichever is visible, and updates them when a slider moves."""

    chosen = Signal(int)
    """A token was clicked, or sampled."""

    def __init__(self, card: NextTokenCard, xray: XrayPanel) -> None:
        super().__init__(card)
        self.card, self.xray = card, xray
        self.found: NextToken | None = None
        self._sampling = GenerationSettings()
        self._written: int | None = None
        self._in_table = False
        card.bars.chosen.connect(self.chosen)
        xray.table.chosen.connect(self.chosen)
        xray.table.rows.more_requested.connect(self._on_more)
        xray.draw.clicked.connect(self._on_draw)
        self.show_in_table(False)
        self.say("")

    def show_in_table(self, in_table: bool) -> None:
        """Whether to show all candidates in the table, or a few as bars."""
        self._in_table = in_table
        self.card.setVisible(not in_table)
        self.xray.setVisible(in_table)
        self._draw()

    def show_next(self, found: NextToken, written: int | None) -> None:
        """Show candidates; `written` is the token that is in the text, None at its end."""
        self.found, self._written = found, written
        self.xray.show_rows()
        self._draw()

    @Slot(str)
    def say(self, text: str) -> None:
        """Show why there are no candidates yet."""
        self.found = None
        self.card.say(text)
        self.xray.say(text)

    @Slot(object)
    def follow(self, sampling: GenerationSettings) -> None:
        """The sampling settings have changed."""
        self._sampling = sampling
        self.xray.limit_rows()
        self._draw()

    def _draw(self) -> None:
        if self.found is None:
            return
        if self._in_table:
            self.xray.show_next(self.found, self._sampling, self._written)
        else:
            self.card.show_next(self.found, self._sampling)

    @Slot(int)
    def _on_more(self, count: int) -> None:
        self.xray.show_rows(count)
        self._draw()

    @Slot()
    def _on_draw(self) -> None:
        if self.found is not None:
            self.chosen.emit(self.found.draw(self._sampling))


def _caption(found: NextToken, kept: int) -> str:
    """The text before the token, and the number of tokens that can be sampled."""
    turn = found.turns[-1]
    answers = turn.question and not turn.text
    text = " ".join((turn.prompt if answers else found.text)[-3 * _TAIL :].split())
    shown = text if len(text) <= _TAIL else "… " + text[-_TAIL:].partition(" ")[2]
    after = _("“{text} ▁”") if shown else _("The beginning of a text")
    after = (_("The answer to “{text}”") if answers else after).format(text=shown)
    possible = ngettext(
        "{n} possible token of {total}",
        "{n} possible tokens of {total}",
        kept,
    )
    return f"{after} — {possible.format(n=number(kept), total=number(found.total))}"


def _legend() -> str:
    """The meaning of the columns."""
    return _(
        "From left to right: the model’s probability, the one after each filter, and the one when drawing; ✕: removed"
        " by this filter."
    )


def _what_to_do(found: NextToken, written: int | None) -> str:
    """What a click does."""
    if written is None or not 0 <= written < found.total:
        return _("Click a token here to write it, or one in the text to replace it.")
    here = _(
        "Here the text continues with “{token}”; another token, or Generate, starts a new version and keeps this one."
    )
    return here.format(token=visible(found.token_text(written)))
