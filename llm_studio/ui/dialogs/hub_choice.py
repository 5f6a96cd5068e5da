"""A dataset of the hub: its description, its first rows, and how much of it to download."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QComboBox, QFormLayout, QPlainTextEdit, QSpinBox, QWidget

from llm_studio import i18n
from llm_studio.i18n import _, number, short_number, size
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.data.download import HUB

if TYPE_CHECKING:
    from llm_studio.workflows.data.download import Entry, Preview, SearchResult

MEGABYTE = 1_000_000
_MOST_DOCUMENTS, _MOST_MEGABYTES = 1_000_000_000, 10_000_000
_FIRST_PORTION = 10_000
_COMMON = (
    "fr", "en", "de", "es", "it", "pt", "nl", "pl", "ru", "uk", "tr", "ar", "fa", "hi", "id", "ja", "ko", "vi", "zh",
)  # fmt: skip
"""Languages to choose from if a dataset has all."""


class DatasetChoice(Card):
    """One dataset at a time, from the catalogue or found on the hub."""

    look_requested = Signal(str, str, str)
    """A dataset, a configuration and a split; "" if they must be determined."""
    download_requested = Signal(dict)
    """Arguments of `workflows.download.wanted`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, _("Choose a dataset"))
        self._entry: Entry | None = None
        self._dataset = self._field = self._text = ""
        self._texts: Mapping[str, Sequence[str]] = {}
        self._facts = ["", "", "", ""]
        self._make()

    def _make(self) -> None:
        self.about = label("", self, "muted", wrap=True)
        self.facts = label("", self, "caption", wrap=True)
        self.page = button(_("Web page"), self, self._open_page, "link")
        self.language = QComboBox(self)
        self.config, self.split, self.field = QComboBox(self), QComboBox(self), QComboBox(self)
        self.documents, self.megabytes = QSpinBox(self), QSpinBox(self)
        self._form = QFormLayout()
        self._form.setVerticalSpacing(6)
        names = {
            self.language: _("Language"), self.config: _("Configuration"), self.split: _("Split"),
            self.field: _("Text in"), self.documents: _("Max documents"), self.megabytes: _("Max MB"),
        }  # fmt: skip
        for part, name in names.items():
            self._form.addRow(name, part)
            part.setAccessibleName(name)
        for box, most in ((self.documents, _MOST_DOCUMENTS), (self.megabytes, _MOST_MEGABYTES)):
            box.setRange(0, most)
            box.setGroupSeparatorShown(True)
            box.setSpecialValueText(_("no limit"))
        self.documents.setSingleStep(1000)
        self.preview = QPlainTextEdit(self)
        self.preview.setReadOnly(True)
        self.preview.setTabChangesFocus(True)
        self.preview.setAccessibleName(_("Start of the first document"))
        set_role(self.preview, "sunken")
        self.problem = label("", self, "bad", wrap=True)
        self.cancel = button(_("Cancel"), self)
        self.download = button(_("Download"), self, self._on_download, "primary")
        for part in (self.about, self.facts):
            self.content.addWidget(part)
        self.content.addLayout(self._form)
        self.content.addWidget(self.preview, 1)
        self.content.addWidget(self.problem)
        self.content.addLayout(row(self.page, None, self.cancel, self.download))
        self.language.activated.connect(self._on_language)
        for part in (self.config, self.split):
            part.activated.connect(self._on_part)
        self.field.activated.connect(self._on_field)
        self._forget()

    def _forget(self) -> None:
        for part in (self.language, self.config, self.split, self.field):
            self._form.setRowVisible(part, False)
        for part in (self.documents, self.megabytes):
            self._form.setRowVisible(part, bool(self._dataset))
        self.preview.setVisible(bool(self._dataset))
        self.page.setVisible(bool(self._dataset))
        self.preview.setPlainText("")
        self.problem.setText("")
        self.problem.hide()
        self.download.setEnabled(False)

    def choose_entry(self, entry: "Entry") -> None:
        """Show a dataset of the catalogue."""
        self._entry = entry
        self._choose(entry.dataset, entry.name, entry.description, entry.max_documents)
        self._facts = [
            _("{n} documents").format(n=short_number(entry.documents)) if entry.documents else "",
            size(entry.size * MEGABYTE) if entry.size else "", entry.licence or _("licence not stated"),
            _("conversations") if entry.conversations else "",
        ]  # fmt: skip
        self._say()
        if entry.any_language:
            self.language.clear()
            codes = dict.fromkeys((i18n.language(), *(c for c in entry.languages if c != "*"), *_COMMON))
            self.language.addItems(list(codes))
            self._form.setRowVisible(self.language, True)
        self._look_at_entry()

    def _look_at_entry(self) -> None:
        entry = self._entry
        if entry is not None:
            wanted = entry.request(self.language.currentText() if entry.any_language else None)
            self._field = wanted.text_field or ""
            self.look_requested.emit(wanted.dataset, wanted.config or "", wanted.split or "")

    def choose_found(self, found: "SearchResult") -> None:
        """Show a search result."""
        self._entry, self._field = None, ""
        gated = _("Its authors require you to accept their conditions on its page first.") if found.gated else ""
        self._choose(found.dataset, found.dataset, gated, None)
        self._facts = ["", size(found.size) if found.size else "", found.licence or _("licence not stated"),
                       _("{n} downloads").format(n=short_number(found.downloads))]  # fmt: skip
        self._say()
        self.look_requested.emit(found.dataset, "", "")

    def _choose(self, dataset: str, title: str, about: str, portion: int | None) -> None:
        self._dataset = dataset
        self._forget()
        self.heading.setText(title)
        self.about.setText(about)
        self.about.setVisible(bool(about))
        self.documents.setValue(min(portion or _FIRST_PORTION, _FIRST_PORTION))
        self.megabytes.setValue(0)
        self.preview.setPlainText(_("Loading the first rows…"))

    def _say(self) -> None:
        self.facts.setText(" · ".join(filter(None, self._facts)))

    def show_preview(self, seen: "Preview") -> None:
        """Show the first rows."""
        if seen.dataset != self._dataset:
            return
        for part, values, chosen in ((self.config, seen.configs, seen.config), (self.split, seen.splits, seen.split)):
            part.clear()
            part.addItems(list(values))
            part.setCurrentText(chosen)
            self._form.setRowVisible(part, len(values) > 1)
        wanted = self._field if self._field in (seen.texts or seen.columns) else seen.field
        self.field.clear()
        if not seen.conversations:
            self.field.addItems(list(seen.texts) or list(seen.columns))
            self.field.setCurrentText(wanted or "")
            if wanted is None:
                self.field.setCurrentIndex(-1)
        self._form.setRowVisible(self.field, not seen.conversations)
        self._texts = seen.texts
        self._text = seen.text
        self._show_text()
        if seen.documents:
            self._facts[0] = _("{n} documents").format(n=number(seen.documents))
        self._say()
        self.download.setEnabled(True)

    def _show_text(self) -> None:
        field = self.field.currentText()
        self.preview.setPlainText("\n\n———\n\n".join(self._texts.get(field, ())) or self._text)

    def show_look_problem(self, text: str) -> None:
        """Show why the selected dataset can't be inspected."""
        self.preview.setPlainText("")
        self.problem.setText(text)
        self.problem.show()

    @Slot()
    def _on_language(self) -> None:
        self._forget_rows()
        self._look_at_entry()

    @Slot()
    def _on_part(self) -> None:
        self._forget_rows()
        sender_is_config = self.sender() is self.config
        self.look_requested.emit(self._dataset, self.config.currentText(),
                             "" if sender_is_config else self.split.currentText())  # fmt: skip

    def _forget_rows(self) -> None:
        self.download.setEnabled(False)
        self.problem.hide()
        self.preview.setPlainText(_("Loading the first rows…"))

    @Slot()
    def _on_field(self) -> None:
        self._field = self.field.currentText()
        self._show_text()

    @Slot()
    def _open_page(self) -> None:
        QDesktopServices.openUrl(QUrl(f"https://huggingface.co/datasets/{self._dataset}"))

    @Slot()
    def _on_download(self) -> None:
        config = self.config.currentText()
        field = self._entry.field if self._entry is not None and self.field.count() == 0 else self.field.currentText()
        self.download_requested.emit({
            "name": f"{HUB}{self._dataset}" + (f":{config}" if config else ""),
            "split": self.split.currentText() or None, "text_field": field or None,
            "max_documents": self.documents.value() or None, "max_megabytes": self.megabytes.value() or None,
        })  # fmt: skip
