"""The upper part of the Data tab: where texts may come from."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QMenu, QSpinBox, QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.source_card import SourceCard
from llm_studio.workflows.texts import DEFAULT_STORIES

_MOST_STORIES = 1_000_000
_OWN = "own"
_WIDER = 4
"""The card with choices is twice as wide as the others, which have 2."""


class SourceCards(QWidget):
    """Cards side by side, one for each origin of texts."""

    stories_asked = Signal(str, int)
    """A language, and how many."""
    files_asked = Signal()
    folder_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        cards = QHBoxLayout()
        cards.setSpacing(GAP - 2)
        cards.addWidget(self._stories(), _WIDER)
        later = _("Comes with a later version.")
        for name, about in (
            ("TinyStories", _("2 million short English tales")),
            (_("Wikipedia"), _("articles in your language")),
            ("Hugging Face", _("any data set of texts")),
        ):
            cards.addWidget(SourceCard(self, name, about, later=later), 2)
        cards.addWidget(self._files(), 2)
        self.options = FileOptions(self)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP)
        inside.addLayout(cards)
        inside.addWidget(self.options)
        self.options.hide()

    def _stories(self) -> SourceCard:
        card = SourceCard(self, _("Built-in stories"), _("offline · ready in seconds"))
        self.language = QComboBox(card)
        self.language.setAccessibleName(_("Language of the stories"))
        for code, name in (("en", _("English")), ("fr", _("French"))):
            self.language.addItem(name, code)
        self.count = QSpinBox(card)
        self.count.setRange(1, _MOST_STORIES)
        self.count.setSingleStep(1000)
        self.count.setGroupSeparatorShown(True)
        self.count.setValue(DEFAULT_STORIES)
        self.count.setAccessibleName(_("Number of stories"))
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.count.setToolTip(_("Number of stories"))
        self.add = button(_("Add"), card, self._on_add, "small")
        self.add.setAccessibleName(_("Add the built-in stories"))
        for part in (self.language, self.count):
            part.setMinimumWidth(60)
        choices = row(self.language, self.count, spacing=6)
        choices.setStretch(0, 1)
        choices.setStretch(1, 1)
        card.content.addLayout(choices)
        card.content.addLayout(row(self.add, None))
        return card

    def _files(self) -> SourceCard:
        card = SourceCard(self, _("My files"), _("drop .txt, .md, .jsonl or a folder"), "card-dashed")
        self.browse = button(_("Browse…"), card, None, "small")
        self.browse.setAccessibleName(_("Choose files or a folder to add"))
        menu = QMenu(self.browse)
        menu.addAction(_("Files…")).triggered.connect(self.files_asked)
        menu.addAction(_("Folder…")).triggered.connect(self.folder_asked)
        self.browse.setMenu(menu)
        self.more = button(_("Options"), card, self._on_options, "link")
        self.more.setCheckable(True)
        self.more.setAccessibleName(_("Options for my files"))
        card.content.addLayout(row(self.browse, None))
        card.content.addLayout(row(self.more, None))
        return card

    def choose_language(self, code: str) -> None:
        """The stories' language to begin with."""
        self.language.setCurrentIndex(max(0, self.language.findData(code)))

    def enable(self, enabled: bool) -> None:
        """Whether something may be added now."""
        for part in (self.add, self.browse):
            part.setEnabled(enabled)

    @Slot()
    def _on_add(self) -> None:
        self.stories_asked.emit(str(self.language.currentData()), self.count.value())

    @Slot()
    def _on_options(self) -> None:
        self.options.setVisible(self.more.isChecked())


class FileOptions(Card):
    """How files become documents: what stands between two of them, and the field with the text."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Options for my files"))
        self.between = QComboBox(self)
        for key, text in (
            ("", _("nothing: each file is one document")),
            ("blank", _("a blank line")),
            ("<|endoftext|>", "<|endoftext|>"),
            (_OWN, _("a line of my own:")),
        ):
            self.between.addItem(text, key)
        self.mark = QLineEdit(self)
        self.mark.setPlaceholderText("***")
        self.mark.setAccessibleName(_("The line that stands between two documents"))
        self.mark.setEnabled(False)
        self.mark.setMaximumWidth(120)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(_("found by itself"))
        self.field.setMaximumWidth(120)
        first = label(_("Between two documents of a text file stands"), self)
        second = label(_("Field or column that holds the text"), self)
        first.setBuddy(self.between)
        second.setBuddy(self.field)
        self.between.setAccessibleName(first.text())
        self.field.setAccessibleName(second.text())
        self.content.addLayout(row(first, self.between, self.mark, None))
        self.content.addLayout(row(second, self.field, None))
        self.between.currentIndexChanged.connect(self._on_between)

    def separator(self) -> str | None:
        """What stands between two documents; None where a file is one."""
        key = str(self.between.currentData())
        return (self.mark.text().strip() or None) if key == _OWN else key or None

    def text_field(self) -> str | None:
        """The field, or column, that holds the text of a record; None where it is to be found by itself."""
        return self.field.text().strip() or None

    @Slot()
    def _on_between(self) -> None:
        self.mark.setEnabled(self.between.currentData() == _OWN)
        if self.mark.isEnabled():
            self.mark.setFocus(Qt.FocusReason.OtherFocusReason)
