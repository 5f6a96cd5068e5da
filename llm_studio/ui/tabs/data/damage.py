"""The card about a source that can't be read, with the possible remedies."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from llm_studio.i18n import _, ngettext, number
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row
from llm_studio.workflows.data.sources import title_of

if TYPE_CHECKING:
    from llm_studio.workflows.data.sources import UnusableSource


class DamageCard(Card):
    """Shows one unusable source: the chosen one if it is unusable, otherwise the first one. Hidden without any."""

    again_requested = Signal(str)
    """The user wants this source to be read again from its origin."""
    replace_requested = Signal(str)
    """The user wants to replace this source by another file."""
    remove_requested = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, role="card-warn")
        self._sources: Sequence[UnusableSource] = ()
        self._origins: Mapping[str, str] = {}
        self._chosen = self._shown = ""
        self._title = label("", self, "warn-heading", wrap=True)
        self._text = label("", self, "muted", wrap=True)
        self.again = button(_("Add again"), self, self._on_again)
        self.replace = button(_("Replace…"), self, self._on_replace)
        self.remove = button(_("Remove"), self, self._on_remove)
        self.again.setToolTip(_("Read the texts again from where they came"))
        self.replace.setToolTip(_("Choose another file with these texts"))
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._title)
        words.addWidget(self._text)
        inside = row(words, self.remove, self.replace, self.again, spacing=10)
        inside.setStretch(0, 1)
        self.content.setContentsMargins(16, 12, 16, 12)
        self.content.addLayout(inside)
        self.hide()

    def show_sources(self, sources: "Sequence[UnusableSource]") -> None:
        """Show these sources, none of which can be read."""
        self._sources = sources
        self._show()

    def show_origins(self, origins: Mapping[str, str]) -> None:
        """Set the origins from which sources can be read again, by name: a path, or "" for a download or stories."""
        self._origins = origins
        self._show()

    def choose(self, name: str) -> None:
        """Show the source with this name if it is unusable: the user has chosen it."""
        self._chosen = name
        self._show()

    def enable(self, enabled: bool) -> None:
        """Enable or disable the buttons."""
        for made in (self.again, self.replace, self.remove):
            made.setEnabled(enabled)

    def _show(self) -> None:
        first = next(iter(self._sources), None)
        source = next((source for source in self._sources if source.name == self._chosen), first)
        self.setVisible(source is not None)
        if source is None:
            return
        self._shown = source.name
        title = _("The source “{name}” is damaged") if source.damaged else _("The source “{name}” can't be read")
        self._title.setText(title.format(name=title_of(source)))
        self._text.setText(self._explanation(source))
        known = source.name in self._origins
        self.again.setVisible(source.damaged and known)
        self.replace.setVisible(source.damaged)
        set_role(self.again, "primary")
        set_role(self.replace, "" if known else "primary")

    def _explanation(self, source: "UnusableSource") -> str:
        if source.damaged:
            text = _("Its texts can't be read. Training on the tokens that are already prepared, resuming and "
                     "generating still work; new tokens can be prepared once it is replaced or removed.")  # fmt: skip
        else:
            text = f"{source.problem} {source.to_do}"
        origin = self._origins.get(source.name)
        if source.damaged and origin:
            text += " " + _("It was made from {path}, which “Add again” reads again.").format(path=origin)
        more = len(self._sources) - 1
        if more:
            text += " " + ngettext("{n} more source can't be read: choose it in the table.",
                                   "{n} more sources can't be read: choose one in the table.", more).format(
                n=number(more))  # fmt: skip
        return text

    def _on_again(self) -> None:
        self.again_requested.emit(self._shown)

    def _on_replace(self) -> None:
        self.replace_requested.emit(self._shown)

    def _on_remove(self) -> None:
        self.remove_requested.emit(self._shown)
