"""The header of the window: the program, the project, the machine, language and theme."""

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QToolButton, QWidget

from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import label


class Header(QFrame):
    """A row of pills. The main window fills the menu of the project."""

    language_chosen = Signal(str)
    theme_toggled = Signal()
    machine_pressed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "header")
        self.setFixedHeight(52)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(16, 0, 16, 0)
        inside.setSpacing(12)
        inside.addWidget(label("LLM Studio", self, "brand"))
        self.project_menu = QMenu(self)
        self._project = self._pill(_("Project"), self.project_menu)
        inside.addWidget(self._project)
        inside.addStretch(1)
        self._machine = QToolButton(self)
        self._machine.setText(_("Examining this computer…"))
        self._machine.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._machine.clicked.connect(self.machine_pressed)
        set_role(self._machine, "pill-plain")
        inside.addWidget(self._machine)
        self._theme = QToolButton(self)
        self._theme.setText("◐")
        self._theme.setToolTip(_("Light or dark"))
        self._theme.setAccessibleName(_("Light or dark"))
        self._theme.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._theme.clicked.connect(self.theme_toggled)
        set_role(self._theme, "pill-plain")
        inside.addWidget(self._theme)
        languages = QMenu(self)
        for code in i18n.LANGUAGES:
            languages.addAction(i18n.LANGUAGE_NAMES[code]).setData(code)
        languages.triggered.connect(self._on_language)
        pill = self._pill(_("Language"), languages)
        pill.setText(i18n.language().upper())
        inside.addWidget(pill)
        self.show_project("")

    @Slot(QAction)
    def _on_language(self, chosen: QAction) -> None:
        self.language_chosen.emit(chosen.data())

    def _pill(self, name: str, menu: QMenu) -> QToolButton:
        made = QToolButton(self)
        made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        made.setMenu(menu)
        made.setToolTip(name)
        made.setAccessibleName(name)
        set_role(made, "pill")
        return made

    def show_project(self, name: str) -> None:
        """Show the name of the open project; hide if it is empty."""
        shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, 260)
        self._project.setText(shown.replace("&", "&&") or _("No project"))
        self._project.setAccessibleName(_("Project: {name}").format(name=name or _("none")))

    def show_machine(self, text: str, tip: str) -> None:
        """Show the hardware for training runs; `tip` has the details."""
        self._machine.setText(f"● {text}")
        self._machine.setToolTip(tip)
        self._machine.setAccessibleName(_("This computer: {what}").format(what=text))
