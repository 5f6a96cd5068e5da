"""The upper part of the Data tab: the origins from which texts can be added."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QLayout,
    QLineEdit,
    QMenu,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from llm_studio.i18n import LANGUAGE_NAMES, _
from llm_studio.ui.theme import GAP
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.ui.widgets.source_card import SourceCard
from llm_studio.workflows.data.sources import DEFAULT_STORIES, encoding_names

_MOST_STORIES = 1_000_000
_ROOMY = 900
"""Minimum width in pixels at which a language and a number fit side by side into a card."""
_OWN = "own"
_FIRST_TALES, _FIRST_ARTICLES = 20_000, 10_000
LANGUAGES = {
    "fr": "Français", "en": "English", "de": "Deutsch", "es": "Español", "it": "Italiano", "pt": "Português",
    "nl": "Nederlands", "ca": "Català", "pl": "Polski", "cs": "Čeština", "sv": "Svenska", "fi": "Suomi", "ro": "Română",
    "hu": "Magyar", "tr": "Türkçe", "el": "Ελληνικά", "ru": "Русский", "uk": "Українська", "ar": "العربية",
    "he": "עברית", "fa": "فارسی", "hi": "हिन्दी", "id": "Bahasa Indonesia", "vi": "Tiếng Việt", "zh": "中文",
    "ja": "日本語", "ko": "한국어", "br": "Brezhoneg", "oc": "Occitan", "eu": "Euskara", "la": "Latina",
    "eo": "Esperanto", "simple": "Simple English",
}  # fmt: skip
"""Languages of Wikipedia by code, each in the language itself."""


class SourceCards(QWidget):
    """A row of cards, one for each origin of texts."""

    stories_requested = Signal(str, int)
    """The language and the number of stories."""
    files_requested = Signal()
    folder_requested = Signal()
    hub_requested = Signal(dict)
    """The arguments of `workflows.data.download.wanted` for a download."""
    search_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._choices: list[QHBoxLayout] = []
        cards = QHBoxLayout()
        cards.setSpacing(GAP - 2)
        for made, width in ((self._stories(), 3), (self._tiny_stories(), 2), (self._wikipedia(), 3), (self._hub(), 2),
                            (self._files(), 2)):  # fmt: skip
            cards.addWidget(made, width)
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
        for code, name in LANGUAGE_NAMES.items():
            self.language.addItem(name, code)
        self.count = _count(card, DEFAULT_STORIES, _("Number of stories"), _MOST_STORIES)
        self.add = button(_("Add"), card, self._on_add, "small")
        self.add.setAccessibleName(_("Add the built-in stories"))
        card.content.addLayout(self._side_by_side(self.language, _counted(card, self.count, _("Stories"))))
        card.content.addLayout(row(self.add, None))
        return card

    def _side_by_side(self, language: QComboBox, count: QLayout) -> QHBoxLayout:
        """A layout of both in a row, which `resizeEvent` makes vertical if there isn't enough space."""
        language.setMinimumWidth(60)
        made = row(language, count, spacing=6)
        made.setAlignment(language, Qt.AlignmentFlag.AlignBottom)
        made.setStretch(0, 1)
        made.setStretch(1, 1)
        self._choices.append(made)
        return made

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  Qt's name
        """Put language and number side by side if there is space."""
        super().resizeEvent(event)
        direction = QBoxLayout.Direction
        for choices in self._choices:
            choices.setDirection(direction.LeftToRight if self.width() >= _ROOMY else direction.TopToBottom)

    def _tiny_stories(self) -> SourceCard:
        card = SourceCard(self, "TinyStories", _("2 million short English stories"))
        self.tales = _count(card, _FIRST_TALES, _("Number of stories"))
        self.get_tales = button(_("Download"), card, self._on_tales, "small")
        self.get_tales.setAccessibleName(_("Download TinyStories"))
        card.content.addLayout(_counted(card, self.tales, _("Stories")))
        card.content.addLayout(row(self.get_tales, None))
        return card

    def _wikipedia(self) -> SourceCard:
        card = SourceCard(self, _("Wikipedia"), _("articles in your language"))
        self.wiki = QComboBox(card)
        self.wiki.setAccessibleName(_("Language of the articles"))
        for code, name in LANGUAGES.items():
            self.wiki.addItem(name, code)
        self.articles = _count(card, _FIRST_ARTICLES, _("Number of articles"))
        self.get_articles = button(_("Download"), card, self._on_articles, "small")
        self.get_articles.setAccessibleName(_("Download Wikipedia articles"))
        card.content.addLayout(self._side_by_side(self.wiki, _counted(card, self.articles, _("Articles"))))
        card.content.addLayout(row(self.get_articles, None))
        return card

    def _hub(self) -> SourceCard:
        card = SourceCard(self, "Hugging Face", _("any text dataset"))
        self.search = button(_("Search…"), card, None, "small")
        self.search.setAccessibleName(_("Search for datasets"))
        self.search.clicked.connect(self.search_requested)
        card.content.addLayout(row(self.search, None))
        return card

    def _files(self) -> SourceCard:
        card = SourceCard(self, _("My files"), _("drop texts, books, tables or a folder here"), "card-dashed")
        self.browse = button(_("Browse…"), card, None, "small")
        self.browse.setAccessibleName(_("Choose files or a folder to add"))
        menu = QMenu(self.browse)
        menu.addAction(_("Files…")).triggered.connect(self.files_requested)
        menu.addAction(_("Folder…")).triggered.connect(self.folder_requested)
        self.browse.setMenu(menu)
        self.more = button(_("Options"), card, self._on_options, "link")
        self.more.setCheckable(True)
        self.more.setAccessibleName(_("Options for my files"))
        card.content.addLayout(row(self.browse, None))
        card.content.addLayout(row(self.more, None))
        return card

    def choose_language(self, code: str) -> None:
        """Preselect the language of stories and articles."""
        self.language.setCurrentIndex(max(0, self.language.findData(code)))
        self.wiki.setCurrentIndex(max(0, self.wiki.findData(code)))

    def enable(self, enabled: bool) -> None:
        """Enable or disable everything that adds texts."""
        for part in (self.add, self.browse, self.get_tales, self.get_articles, self.search):
            part.setEnabled(enabled)

    @Slot()
    def _on_tales(self) -> None:
        self.hub_requested.emit({"name": "tinystories", "max_documents": self.tales.value()})

    @Slot()
    def _on_articles(self) -> None:
        lang = str(self.wiki.currentData())
        self.hub_requested.emit({"name": "wikipedia", "lang": lang, "max_documents": self.articles.value()})

    @Slot()
    def _on_add(self) -> None:
        self.stories_requested.emit(str(self.language.currentData()), self.count.value())

    @Slot()
    def _on_options(self) -> None:
        self.options.setVisible(self.more.isChecked())


def _count(card: SourceCard, first: int, name: str, most: int = 10_000_000) -> QSpinBox:
    made = QSpinBox(card)
    made.setRange(1, most)
    made.setSingleStep(1000)
    made.setGroupSeparatorShown(True)
    made.setValue(first)
    made.setAccessibleName(name)
    made.setToolTip(name)
    made.setAlignment(Qt.AlignmentFlag.AlignRight)
    made.setMinimumWidth(60)
    return made


def _counted(card: SourceCard, count: QSpinBox, noun: str) -> QVBoxLayout:
    """A layout of the number below its label."""
    made = QVBoxLayout()
    made.setSpacing(1)
    name = label(noun, card, "caption")
    name.setBuddy(count)
    made.addWidget(name)
    made.addWidget(count)
    return made


class FileOptions(Card):
    """How files are split into documents: the separator, the field with the text, and the encoding."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Options for my files"))
        self.between = QComboBox(self)
        for key, text in (
            ("", _("nothing: each file is one document")),
            ("blank", _("a blank line")),
            ("<|endoftext|>", "<|endoftext|>"),
            (_OWN, _("a custom line:")),
        ):
            self.between.addItem(text, key)
        self.mark = QLineEdit(self)
        self.mark.setPlaceholderText("***")
        self.mark.setAccessibleName(_("The line that separates two documents"))
        self.mark.setEnabled(False)
        self.mark.setMaximumWidth(120)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText(_("detected automatically"))
        self.field.setMaximumWidth(120)
        self.code = QComboBox(self)
        self.code.addItem(_("detected automatically"), "")
        for codec, name in encoding_names():
            self.code.addItem(name, codec)
        third = label(_("Encoding"), self)
        third.setBuddy(self.code)
        self.code.setAccessibleName(_("Encoding of texts that aren’t Unicode"))
        self.code.setToolTip(self.code.accessibleName())
        first = label(_("Documents in a text file are separated by"), self)
        second = label(_("Field or column with the text"), self)
        first.setBuddy(self.between)
        second.setBuddy(self.field)
        self.between.setAccessibleName(first.text())
        self.field.setAccessibleName(second.text())
        self.content.addLayout(row(first, self.between, self.mark, None))
        self.content.addLayout(row(second, self.field, third, self.code, None))
        self.between.currentIndexChanged.connect(self._on_between)

    def separator(self) -> str | None:
        """The separator between documents; None if each file is one document."""
        key = str(self.between.currentData())
        return (self.mark.text().strip() or None) if key == _OWN else key or None

    def text_field(self) -> str | None:
        """The field or column with the text of a record; None to detect it."""
        return self.field.text().strip() or None

    def encoding(self) -> str | None:
        """The codec of texts that aren't Unicode; None to detect it."""
        return str(self.code.currentData()) or None

    @Slot()
    def _on_between(self) -> None:
        self.mark.setEnabled(self.between.currentData() == _OWN)
        if self.mark.isEnabled():
            self.mark.setFocus(Qt.FocusReason.OtherFocusReason)
