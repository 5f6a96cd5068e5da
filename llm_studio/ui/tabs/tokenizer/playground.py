"""Trying a tokenizer: the tokens of a text, coloured while the user types, and how a word of it is built."""

import html
from bisect import bisect_left
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QPlainTextEdit, QTextBrowser, QWidget

from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, icon_button, label
from llm_studio.ui.widgets.token_view import Chip, TokenPane
from llm_studio.workflows.tokenizer.lab import hexadecimal, shown

if TYPE_CHECKING:
    from llm_studio.workflows.tokenizer.lab import Built, Lab, Token

LONGEST = 20_000
"""Number of characters of a text that are coloured, from its start."""
_PLAY = 800
"""Milliseconds per step when the merges are played."""
EXAMPLES = {
    "fr": "Il était une fois un petit dragon qui ne crachait pas de feu mais des bulles de savon.",
    "en": "Once upon a time, there was a little dragon who breathed no fire, only soap bubbles.",
}
"""An initial sentence, in the language of the project's texts."""


class Playground(Card):
    """A text and its tokens. `word_chosen` reports the word at the cursor, or of the token that was clicked."""

    word_chosen = Signal(object)
    """A Built, or None."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Try your tokenizer"))
        self._lab: Lab | None = None
        self._tokens: list[Token] = []
        self._example = ""
        self.count = label("", self, "muted", wrap=True)
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.head.addWidget(self.count, 20)
        self.input = QPlainTextEdit(self)
        self.input.setAccessibleName(_("Text to try"))
        self.input.setPlaceholderText(_("Type or paste a text."))
        self.input.setTabChangesFocus(True)
        self.input.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.input.document().setDocumentMargin(2)
        self.pane = TokenPane(self, _("Tokens of the text"), 176)
        self.pane.view.tip = self.details
        self.hint = label("", self, "caption", wrap=True)
        self.hint.setMinimumHeight(32)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        for part in (self.input, self.pane, self.hint):
            self.content.addWidget(part)
        self._say()
        self.input.textChanged.connect(self._on_text)
        self.input.cursorPositionChanged.connect(self._on_cursor)
        self.pane.view.pointed.connect(self._say)
        self.pane.view.chosen.connect(self._on_token)

    def begin(self, language: str) -> None:
        """Show the initial sentence, unless the user has typed something."""
        example = EXAMPLES.get(language, EXAMPLES["en"])
        if self.input.toPlainText() in ("", self._example) and example != self._example:
            self._example = example
            self.input.setPlainText(example)

    def forget(self) -> None:
        """Clear everything: another project was opened."""
        self._lab, self._example = None, ""
        self.input.clear()

    def show_lab(self, lab: "Lab | None") -> None:
        """Use another tokenizer."""
        self._lab = lab
        self._on_text()
        self._show_longest()

    def text(self) -> str:
        """The coloured text."""
        return self.input.toPlainText()[:LONGEST]

    @Slot()
    def _on_text(self) -> None:
        text = self.text()
        self._tokens = self._lab.tokens(text) if self._lab is not None else []
        self.pane.view.show_chips([Chip(token.shown, b"\n" in token.bytes) for token in self._tokens])
        self.count.setText(_counted(len(self._tokens), len(text)) if self._lab is not None else "")
        cut = len(self.input.toPlainText()) > LONGEST
        self.count.setToolTip(_("Only the first {n} characters are shown.").format(n=number(LONGEST)) if cut else "")
        self._say()
        self._on_cursor()
        self._fit()

    def _fit(self) -> None:
        """Adjust the height of the field to its lines, up to four."""
        needed = round(self.input.document().size().height())
        lines = max(1, min(4, needed))
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if needed <= lines else Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.input.setVerticalScrollBarPolicy(policy)
        self.input.setFixedHeight(lines * self.input.fontMetrics().lineSpacing() + 16)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adjust the height to the new line breaks."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._fit)

    def _show_longest(self) -> None:
        if self._lab is not None:
            self.word_chosen.emit(self._lab.longest_word(self.text()))

    @Slot()
    def _on_cursor(self) -> None:
        """Report the word at the cursor; Qt counts UTF-16 code units, Python characters."""
        if self._lab is not None and self.input.hasFocus():
            before = self.input.toPlainText().encode("utf-16-le", "surrogatepass")[: 2 * self._cursor()]
            cursor = len(before.decode("utf-16-le", "replace"))
            self.word_chosen.emit(self._lab.word_at(self.text(), cursor))

    def _cursor(self) -> int:
        return self.input.textCursor().position()

    @Slot(int)
    def _on_token(self, index: int) -> None:
        if self._lab is not None and index < len(self._tokens):
            self.word_chosen.emit(self._lab.word_of(self.text(), self._tokens[index].start))

    @Slot()
    def _say(self) -> None:
        index = self.pane.view.current()
        summary = self.details(index).replace("\n", " · ")
        self.hint.setText(summary or _("Point at a token to see its id, its bytes, and the merges that built it."))
        self.pane.view.setAccessibleDescription(summary)

    def details(self, index: int) -> str:
        """Details of a token of the text, line by line; "" if there is none."""
        if self._lab is None or not 0 <= index < len(self._tokens):
            return ""
        token = self._tokens[index]
        lines = [_("“{token}” · id {id}").format(token=token.shown, id=token.id),
                 _("bytes {bytes}").format(bytes=hexadecimal(token.bytes))]  # fmt: skip
        built = self._lab.word_of(self.text(), token.start)
        if built is not None and built.steps:
            place = index - bisect_left(self._tokens, built.start, key=lambda other: other.start)
            merges = [joined(built, step) for step in built.steps_of(place)]
            lines.append(_("merges: {list}").format(list=", ".join(merges)) if merges else _("a single byte, no merge"))
        return "\n".join(lines)


def joined(built: "Built", step: int) -> str:
    """A step in symbols: “ch + ait → chait”."""
    left, right = built.joined(step)
    return f"{shown(left)} + {shown(right)} → {shown(left + right)}"


def _counted(tokens: int, characters: int) -> str:
    parts = [ngettext("{n} token", "{n} tokens", tokens).format(n=number(tokens)),
             ngettext("{n} character", "{n} characters", characters).format(n=number(characters))]  # fmt: skip
    if tokens:
        parts.append(_("{rate} characters per token").format(rate=number(characters / tokens, 1)))
    return " · ".join(parts)


class MergesCard(Card):
    """How a word becomes its tokens: all steps at once, or one after the other."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("How a word is built"))
        self._built: Built | None = None
        self._last = 0
        """The last step shown."""
        self._title = ""
        self.heading.setMinimumWidth(60)
        self.back = icon_button("caret-left", _("One step back"), self, self._step_back)
        self.play = icon_button("play", _("Play the steps"), self, self._toggle)
        self.forward = icon_button("caret-right", _("One step forward"), self, self._step_on)
        for part in (self.back, self.play, self.forward):
            self.head.addWidget(part)
        self.steps = QTextBrowser(self)
        self.steps.setAccessibleName(_("The steps"))
        self.steps.setTabChangesFocus(True)
        self.steps.document().setDocumentMargin(0)
        set_role(self.steps, "plain")
        self.said = label("", self, "caption", wrap=True)
        self.content.addWidget(self.steps)
        self.content.addWidget(self.said)
        self._timer = QTimer(self, interval=_PLAY)
        self._timer.timeout.connect(self._tick)
        self.show_word(None)

    @Slot(object)
    def show_word(self, built: "Built | None") -> None:
        """Show all steps of a word; does nothing if it is the same word."""
        if built is not None and built == self._built:
            return
        self._stop()
        self._built = built
        self._last = len(built.steps) - 1 if built is not None else 0
        word = shown(built.text.encode()).strip("␣⏎⇥") or shown(built.text.encode()) if built is not None else ""
        self._title = _("How “{word}” is built").format(word=word) if word else _("How a word is built")
        self.heading.setAccessibleName(self._title)
        self._show()

    def _show(self) -> None:
        built, last = self._built, self._last
        count = len(built.steps) if built is not None else 0
        self.back.setEnabled(count > 1 and last > 0)
        self.forward.setEnabled(last < count - 1)
        self.play.setEnabled(count > 1)
        if built is None or not count:
            self.steps.setPlainText("")
            self.said.setText(
                _("Put the cursor in a word above, or click one of its tokens.") if built is None
                else _("This one is too long to replay, or the tokenizer has it as a whole.")
            )  # fmt: skip
        else:
            self.steps.setHtml("&nbsp; → &nbsp;".join(_html(built, step) for step in range(last + 1)))
            self.said.setText(self._reported(built, last, count))
        self._fit()

    @staticmethod
    def _reported(built: "Built", last: int, count: int) -> str:
        if last == 0:
            return _("It starts as single bytes.") if count > 1 else _("A single byte: there is nothing to merge.")
        rank = number(built.steps[last].rank + 1)
        return _("Step {step} of {steps}: {merge} (learned as merge {rank})").format(
            step=last, steps=count - 1, merge=joined(built, last), rank=rank
        )

    @Slot()
    def _fit(self) -> None:
        room = max(120, self.width() - 150)
        self.heading.setText(self.heading.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideMiddle, room))
        self.steps.document().setTextWidth(max(80, self.steps.viewport().width()))
        self.steps.setFixedHeight(min(132, max(22, round(self.steps.document().size().height()) + 4)))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's
        """Adjust the height to the steps, which wrap."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._fit)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's
        """Adjust the height: the width is known only now."""
        super().showEvent(event)
        QTimer.singleShot(0, self, self._fit)

    @Slot()
    def _step_back(self) -> None:
        self._stop()
        self._last = max(0, self._last - 1)
        self._show()

    @Slot()
    def _step_on(self) -> None:
        self._stop()
        self._tick()

    @Slot()
    def _toggle(self) -> None:
        if self._timer.isActive():
            self._stop()
        elif self._built is not None:
            if self._last >= len(self._built.steps) - 1:
                self._last = 0
                self._show()
            self._timer.start()
            self._show_play("pause", _("Pause"))

    def _stop(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            self._show_play("play", _("Play the steps"))

    def _show_play(self, icon: str, name: str) -> None:
        from llm_studio.ui.icons import put_icon

        put_icon(self.play, icon, "muted")
        self.play.setToolTip(name)
        self.play.setAccessibleName(name)

    @Slot()
    def _tick(self) -> None:
        if self._built is not None and self._last < len(self._built.steps) - 1:
            self._last += 1
            self._show()
        if self._built is None or self._last >= len(self._built.steps) - 1:
            self._stop()


def _html(built: "Built", number_of_step: int) -> str:
    step = built.steps[number_of_step]
    pieces = [html.escape(shown(piece)) for piece in step.symbols]
    if step.merged >= 0:
        pieces[step.merged] = f"<b>{pieces[step.merged]}</b>"
    return "&nbsp;".join(pieces)
