"""The card above the figures: what is missing, or the run that can be resumed."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from llm_studio.i18n import _
from llm_studio.ui.tabs.training.state import Offer
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import Card, button, label, row


class ResumeCard(Card):
    """A sentence and the possible actions."""

    accepted = Signal()
    restart_requested = Signal()
    by_hand_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.offer: Offer | None = None
        self._title = label("", self, "heading", wrap=True)
        self._text = label("", self, "muted", wrap=True)
        self._by_hand = button("", self, self._on_by_hand, "link")
        self._restart = button("", self, self._on_restart)
        self._accept = button("", self, self._on_accept, "primary")
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._title)
        words.addWidget(self._text)
        inside = row(words, self._by_hand, self._restart, self._accept, spacing=10)
        inside.setStretch(0, 1)
        self.content.setContentsMargins(16, 12, 16, 12)
        self.content.addLayout(inside)
        self.hide()

    def show_offer(self, offer: Offer | None) -> None:
        """Show an offer, or hide."""
        if offer == self.offer:
            return
        self.offer = offer
        self.setVisible(offer is not None)
        if offer is not None:
            set_role(self, "card-warn" if offer.warns else "card-chosen")
            set_role(self._title, "warn-heading" if offer.warns else "heading")
            self._title.setText(offer.title)
            self._text.setText(offer.text)
            self._accept.setText(offer.action)
            self._by_hand.setVisible(bool(offer.by_hand))
            self._by_hand.setText(offer.by_hand)
            self._restart.setVisible(bool(offer.start))
            self._restart.setText(offer.start)
            self._restart.setToolTip(_("Start a new run; this one stays in the table") if offer.run else "")

    def _on_accept(self) -> None:
        self.accepted.emit()

    def _on_by_hand(self) -> None:
        self.by_hand_requested.emit()

    def _on_restart(self) -> None:
        self.restart_requested.emit()
