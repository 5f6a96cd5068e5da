"""A card for one origin of texts: its name, a line about it, and its actions."""

from PySide6.QtWidgets import QSizePolicy, QWidget

from llm_studio.ui.widgets.basics import Card, label


class SourceCard(Card):
    """Add the actions at the end of `content`."""

    def __init__(self, parent: QWidget, name: str, about: str, role: str = "card") -> None:
        super().__init__(parent, role=role)
        self.content.setContentsMargins(14, 12, 14, 12)
        self.content.setSpacing(6)
        self.setAccessibleName(name)
        self.name = label(name, self, "heading", wrap=True)
        self.about = label(about, self, "muted", wrap=True)
        for part in (self.name, self.about):
            part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            self.content.addWidget(part)
        self.content.addStretch(1)
