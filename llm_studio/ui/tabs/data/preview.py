"""A reader for the documents of a source, by number or by search."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from llm_studio.events import Progress
from llm_studio.i18n import _, number
from llm_studio.ui import theme
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import button, icon_button, label, row

if TYPE_CHECKING:
    from llm_studio.workflows.data.browsing import Document, Found

_BUSY_DELAY = 300
"""Milliseconds before “Reading…” is shown."""
_MOST_MARKS = 500
_TICKS = 1000


class DocumentPreview(QWidget):
    """Shows one document at a time. Requests documents and searches with its signals."""

    document_requested = Signal(int)
    """The index of the document, from 0."""
    search_requested = Signal(str, int, int)
    """The text to search for, and the document and the character at which to start."""
    stop_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._documents = 0
        self._shown: Document | None = None
        self._searched = ""
        self._wanted = -1
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(8)
        inside.addLayout(self._make_head())
        inside.addLayout(self._make_search())
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(_("Text of the document"))
        self.text.setMinimumHeight(140)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        set_role(self.text, "sunken")
        self.note = label("", self, "caption", wrap=True)
        inside.addWidget(self.text, 1)
        inside.addWidget(self.note)
        self._busy_timer = QTimer(self, singleShot=True, interval=_BUSY_DELAY)
        self._busy_timer.timeout.connect(self._on_busy)
        theme.notifier().changed.connect(self._mark)
        self.forget()

    def _make_head(self) -> QHBoxLayout:
        self.previous = icon_button("caret-left", _("Previous document"), self, self._on_previous)
        self.next = icon_button("caret-right", _("Next document"), self, self._on_next)
        self.number = QSpinBox(self)
        self.number.setGroupSeparatorShown(True)
        self.number.setKeyboardTracking(False)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number.setAccessibleName(_("Number of the document"))
        self.number.setMinimumWidth(90)
        self.number.valueChanged.connect(self._on_number)
        self.of = label("", self, "muted")
        heading = label(_("Preview"), self, "heading")
        return row(heading, None, self.previous, self.number, self.of, self.next, spacing=6)

    def _make_search(self) -> QHBoxLayout:
        self.words = QLineEdit(self)
        self.words.setPlaceholderText(_("Search in this source"))
        self.words.setAccessibleName(_("Search in this source"))
        self.words.setClearButtonEnabled(True)
        self.words.returnPressed.connect(self._on_search)
        self.words.textChanged.connect(self._on_words)
        self.find_next = button(_("Find next"), self, self._on_search, "small")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(90)
        self.bar.setAccessibleName(_("Progress of the search"))
        self.stop = icon_button("x", _("Stop searching"), self)
        self.stop.clicked.connect(self.stop_requested)
        self.result = label("", self, "caption", wrap=True)
        self.result.setMinimumWidth(110)
        for part in (self.bar, self.stop):
            part.hide()
        made = row(self.words, self.find_next, self.bar, self.stop, self.result)
        made.setStretch(0, 3)
        made.setStretch(4, 2)
        return made

    # --- Showing ------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Clear everything: another project was opened, or none."""
        self.words.clear()
        self.open_source(0)

    def open_source(self, documents: int, at: int = 0) -> None:
        """Switch to a source with `documents` documents and request the one at index `at`."""
        self._documents, self._shown, self._searched = documents, None, ""
        self.setVisible(documents > 0)
        self.end_search()
        self._busy_timer.stop()
        self.text.setPlainText("")
        self.note.setText("")
        self.note.hide()
        self.result.setText("")
        self.number.blockSignals(True)
        self.number.setRange(min(1, documents), max(documents, 0))
        self.number.setValue(at + 1)
        self.number.blockSignals(False)
        self.of.setText(_("of {n}").format(n=number(documents)))
        for part in (self.number, self.words, self.find_next, self.text):
            part.setEnabled(documents > 0)
        self._request(at)

    def _request(self, place: int) -> None:
        self._wanted = place
        self._enable()
        if self._documents:
            self._busy_timer.start()
            self.document_requested.emit(place)

    def _enable(self) -> None:
        self.previous.setEnabled(self._wanted > 0)
        self.next.setEnabled(self._wanted + 1 < self._documents)

    def show_document(self, document: "Document") -> None:
        """Show a document, scrolled to the first match of the search."""
        self._busy_timer.stop()
        self._shown, self._wanted = document, document.number
        self.number.blockSignals(True)
        self.number.setValue(document.number + 1)
        self.number.blockSignals(False)
        self._enable()
        self.text.setPlainText(document.text)
        notes: list[str] = []
        if document.start:
            notes.append(_("From character {n}.").format(n=number(document.start + 1)))
        if document.goes_on:
            notes.append(_("Long document: showing the first {n} characters.").format(n=number(len(document.text))))
        self.note.setText(" ".join(notes))
        self.note.setVisible(bool(notes))
        self._mark()

    def show_problem(self) -> None:
        """Show that the document can't be read; the window shows the reason."""
        self._busy_timer.stop()
        self._shown = None
        self.text.setPlainText("")
        self.note.setText(_("This document can't be read."))
        self.note.show()

    @Slot()
    def _on_busy(self) -> None:
        self.note.setText(_("Reading…"))
        self.note.show()

    @Slot()
    def _mark(self) -> None:
        """Highlight the matches of the search in the shown text, and scroll to the first one."""
        selections: list[QTextEdit.ExtraSelection] = []
        if self._shown is not None and self._searched:
            from llm_studio.workflows.data.browsing import pattern

            form = QTextCharFormat()
            form.setBackground(theme.color("token_2"))
            units = _Units(self._shown.text)
            for match in pattern(self._searched).finditer(self._shown.text):
                made = QTextEdit.ExtraSelection()
                cursor = QTextCursor(self.text.document())
                cursor.setPosition(units.at(match.start()))
                cursor.setPosition(units.at(match.end()), QTextCursor.MoveMode.KeepAnchor)
                made.cursor, made.format = cursor, form  # pyright: ignore[reportAttributeAccessIssue]  fields in C++
                selections.append(made)
                if len(selections) == _MOST_MARKS:
                    break
        self.text.setExtraSelections(selections)
        if selections:
            first = QTextCursor(self.text.document())
            first.setPosition(selections[0].cursor.selectionStart())  # pyright: ignore[reportAttributeAccessIssue]
            self.text.setTextCursor(first)
            self.text.centerCursor()

    # --- Searching ------------------------------------------------------------------------------------------------

    def begin_search(self) -> None:
        """Show that a search is running."""
        self.result.setText(_("Searching…"))
        set_role(self.result, "caption")
        self.bar.setRange(0, 0)
        for part in (self.bar, self.stop):
            part.show()

    def take(self, event: object) -> None:
        """Show the progress of the search."""
        if isinstance(event, Progress) and event.total:
            self.bar.setRange(0, _TICKS)
            self.bar.setValue(round(_TICKS * event.done / event.total))

    def end_search(self) -> None:
        """Hide the progress of the search."""
        self.bar.hide()
        self.stop.hide()

    def say(self, text: str) -> None:
        """Show a message about the search."""
        self.result.setText(text)

    def show_found(self, words: str, found: "Found | None") -> None:
        """Show the passage that was found, or a message if `found` is None."""
        if found is None:
            self._searched = ""
            self._mark()
            self.say(_("No document contains “{words}”.").format(words=words))
            set_role(self.result, "warn")
            return
        set_role(self.result, "caption")
        self._searched = words
        self.show_document(found.document)
        n = number(found.document.number + 1)
        if found.wrapped:
            self.say(_("Document {n}, starting over from the beginning").format(n=n))
        else:
            self.say(_("Document {n}").format(n=n))

    # --- User actions ---------------------------------------------------------------------------------------------

    @Slot()
    def _on_words(self) -> None:
        if not self.words.text().strip():
            self._searched = ""
            self.result.setText("")
            self._mark()

    @Slot()
    def _on_search(self) -> None:
        words, shown = self.words.text().strip(), self._shown
        if not words or not self._documents:
            return
        place, start = max(0, self._wanted), shown.start if shown else 0
        if shown is not None and words == self._searched:  # the matches in the shown text are highlighted already
            if shown.goes_on:
                start = shown.start + len(shown.text)
            else:
                place, start = (place + 1) % self._documents, 0
        self.search_requested.emit(words, place, start)

    @Slot()
    def _on_previous(self) -> None:
        self.number.setValue(self.number.value() - 1)

    @Slot()
    def _on_next(self) -> None:
        self.number.setValue(self.number.value() + 1)

    @Slot()
    def _on_number(self) -> None:
        self._request(self.number.value() - 1)


class _Units:
    """Converts character indices to Qt's positions, which count UTF-16 code units: two beyond U+FFFF."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = self._units = 0

    def at(self, place: int) -> int:
        """The position of the character at index `place`, which must not decrease from call to call."""
        between = self._text[self._place : place]
        self._units += len(between) + sum(1 for c in between if c > "\uffff")
        self._place = place
        return self._units
