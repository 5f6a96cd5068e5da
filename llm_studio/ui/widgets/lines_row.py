"""A list of short texts, one per line."""

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from llm_studio.ui.widgets.basics import label, row
from llm_studio.workflows.generation.stop_strings import escaped, unescaped

_MOST_LINES, _WIDTH = 4, 150


class LinesRow(QWidget):
    """A name and a box with one text per line; line ends and tabs inside a text are typed as \\n and \\t."""

    changed = Signal(tuple)
    """The texts, changed by the user."""

    def __init__(self, parent: QWidget, name: str, hint: str, tip: str) -> None:
        super().__init__(parent)
        self._texts: tuple[str, ...] = ()
        self._box = QPlainTextEdit(self)
        self._box.setAccessibleName(name)
        self._box.setPlaceholderText(hint)
        self._box.setToolTip(tip)
        self._box.setTabChangesFocus(True)
        self._box.document().setDocumentMargin(1)
        self._box.setFixedWidth(_WIDTH)
        self._box.textChanged.connect(self._on_typed)
        title = label(name, self)
        title.setToolTip(tip)
        title.setBuddy(self._box)
        inside = row(title, None, self._box)
        inside.setAlignment(title, Qt.AlignmentFlag.AlignTop)
        title.setContentsMargins(0, 6, 0, 0)
        self.setLayout(inside)
        self._fit()

    def show_texts(self, texts: tuple[str, ...]) -> None:
        """Show these without emitting a signal; equivalent input is kept."""
        if texts != self._texts:
            self._texts = texts
            with QSignalBlocker(self._box):
                self._box.setPlainText("\n".join(map(escaped, texts)))
            self._fit()

    def _fit(self) -> None:
        scrolls = self._box.blockCount() > _MOST_LINES
        bar = Qt.ScrollBarPolicy.ScrollBarAsNeeded if scrolls else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self._box.setVerticalScrollBarPolicy(bar)
        lines = min(_MOST_LINES, max(1, self._box.blockCount()))
        self._box.setFixedHeight(lines * self._box.fontMetrics().lineSpacing() + 14)

    @Slot()
    def _on_typed(self) -> None:
        self._texts = tuple(unescaped(line) for line in self._box.toPlainText().split("\n") if line)
        self._fit()
        self.changed.emit(self._texts)
