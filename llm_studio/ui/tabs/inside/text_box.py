"""The input field for the text that the model reads."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from llm_studio.i18n import _, number
from llm_studio.ui.widgets.basics import Card, label

MOST = 20_000
"""Maximum length of the text in characters."""
_LINES = 2
_TEXTS = {
    "en": "Once upon a time there was a little girl named Lily. She loved to play in the garden with her dog. "
          "One day, Lily found a big red ball in the garden.",
    "fr": "Il était une fois une petite fille qui s'appelait Léa. Elle aimait jouer dans le jardin avec son chien. "
          "Un jour, Léa trouva un gros ballon rouge dans le jardin.",
}  # fmt: skip


class TextBox(Card):
    """A card with a text field of two lines."""

    changed = Signal()
    """The text has changed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.content.setContentsMargins(8, 6, 8, 6)
        self._edited = False
        """Whether the text was changed after the last suggestion."""
        self.editor = QPlainTextEdit(self)
        self.editor.setAccessibleName(_("The text that the model reads"))
        self.editor.setPlaceholderText(_("Write or paste a text: the model reads it as you type."))
        self.editor.setTabChangesFocus(True)
        self.editor.document().setDocumentMargin(3)
        self.editor.setProperty("role", "plain")
        self.editor.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.editor.setFixedHeight(_LINES * self.editor.fontMetrics().lineSpacing() + 18)
        self.cut = label("", self, "warn", wrap=True)
        self.cut.hide()
        self.content.addWidget(self.editor)
        self.content.addWidget(self.cut)
        self.editor.textChanged.connect(self._on_changed)

    def text(self) -> str:
        """The text for the model: the first `MOST` characters."""
        return self.editor.toPlainText()[:MOST]

    @Slot(str)
    def set_text(self, text: str) -> None:
        """Replace the text."""
        if text != self.editor.toPlainText():
            self.editor.setPlainText(text)

    def suggest(self, language: str) -> None:
        """Set an example text in the given language, unless the text has been edited."""
        if not self._edited:
            self.set_text(_TEXTS.get(language, _TEXTS["en"]))
            self._edited = False

    def forget(self) -> None:
        """Let the next suggestion replace the text: another project has been opened."""
        self._edited = False

    @Slot()
    def _on_changed(self) -> None:
        self._edited = True
        self.cut.setVisible(len(self.editor.toPlainText()) > MOST)
        self.cut.setText(_("Only the first {n} characters are read.").format(n=number(MOST)))
        self.changed.emit()
