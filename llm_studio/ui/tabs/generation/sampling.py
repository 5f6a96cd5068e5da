"""The right side of Generation: the sampling settings, and below them their effect on the next token."""

import random
from typing import Any

from pydantic.fields import FieldInfo
from PySide6.QtCore import QRegularExpression, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QRegularExpressionValidator
from PySide6.QtWidgets import QFrame, QLineEdit, QMenu, QScrollArea, QToolButton, QVBoxLayout, QWidget

from llm_studio.config import GenerationSettings
from llm_studio.config.controls import Lines, Slider
from llm_studio.i18n import N_, _
from llm_studio.ui.glossary import tip
from llm_studio.ui.theme import set_role
from llm_studio.ui.widgets.basics import icon_button, label, row
from llm_studio.ui.widgets.lines_row import LinesRow
from llm_studio.ui.widgets.slider_row import SliderRow

_NAMES = {"precise": N_("Precise"), "balanced": N_("Balanced"), "creative": N_("Creative")}
_QUIET = 300
"""Milliseconds without a further change after which changes are sent."""
_MOST_SEED = 1_000_000
_LARGEST = 1_000_000
"""Upper limit of the input if the declaration has none."""


def _declared(control: type) -> list[tuple[str, FieldInfo]]:
    """The sampling settings that are declared with this control, by name."""
    fields = GenerationSettings.model_fields.items()
    return [(name, info) for name, info in fields if any(isinstance(found, control) for found in info.metadata)]


def _slider(parent: QWidget, name: str, info: FieldInfo, shown: Slider) -> SliderRow:
    """The slider of a declared setting; its declaration limits the values that can be typed."""
    limits = {key: getattr(found, key) for found in info.metadata for key in ("ge", "gt", "le") if hasattr(found, key)}
    whole = info.annotation is int
    smallest: Any = limits.get("ge", limits.get("gt", 0) + shown.step if "gt" in limits else None)
    help_text = _(str(info.description))
    return SliderRow(
        parent, _(str(info.title)), shown.low, shown.high, least=smallest, most=limits.get("le", _LARGEST),
        decimals=0 if whole else 2, step=max(1, shown.step) if whole else shown.step, curve=shown.curve,
        tip=tip(name) or help_text[:1].upper() + help_text[1:], zero=_(shown.zero) if shown.zero else "",
    )  # fmt: skip


class SamplingPanel(QFrame):
    """Shows and changes the sampling settings. The user's changes take effect at once and are sent a moment later."""

    settings_requested = Signal(dict)
    """Settings of the project to be changed, by dotted name."""
    changed = Signal(object)
    """The new GenerationSettings."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, "card")
        self.setFixedWidth(312)
        self._settings = GenerationSettings()
        self._waiting: dict[str, object] = {}
        """Changes that haven't been sent yet."""
        self._sent: dict[str, object] = {}
        """Changes that the project doesn't have yet."""
        self._timer = QTimer(self, interval=_QUIET, singleShot=True)
        self._timer.timeout.connect(self.flush)
        inside = self._scrolled()
        self._preset = self._make_preset_menu()
        inside.addLayout(row(label(_("Sampling"), self, "heading"), None, self._preset))
        self.rows = self._make_rows()
        for made in self.rows.values():
            inside.addWidget(made)
        self.seed = self._make_seed()
        dice = icon_button("dice-five", _("Another seed"), self, self._throw_dice)
        inside.addLayout(row(label(_("Seed"), self), None, self.seed, dice))
        self._lines = {name: self._make_lines(name, info) for name, info in _declared(Lines)}
        for made in self._lines.values():
            inside.addWidget(made)
        self._inside = inside
        inside.addStretch(1)

    def add_below(self, widget: QWidget) -> None:
        """Add a widget below the settings."""
        self._inside.insertWidget(self._inside.count() - 1, widget)

    def _scrolled(self) -> QVBoxLayout:
        """A scrolled layout: in a low window this side scrolls by itself, so that the prompt remains visible."""
        area = QScrollArea(self)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget(area)
        set_role(content, "plain")
        area.setWidget(content)
        around = QVBoxLayout(self)
        around.setContentsMargins(1, 6, 1, 6)
        around.addWidget(area)
        inside = QVBoxLayout(content)
        inside.setContentsMargins(15, 6, 15, 0)
        inside.setSpacing(4)
        return inside

    def _make_preset_menu(self) -> QToolButton:
        pill = QToolButton(self)
        set_role(pill, "pill")
        pill.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        pill.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        pill.setAccessibleName(_("Preset of the sampler"))
        menu = QMenu(pill)
        self._group = QActionGroup(menu)
        for key, name in _NAMES.items():
            action = QAction(_(name), menu)
            action.setCheckable(True)
            action.setData(key)
            self._group.addAction(action)
            menu.addAction(action)
        self._group.triggered.connect(self._on_preset)
        pill.setMenu(menu)
        return pill

    def _make_rows(self) -> dict[str, SliderRow]:
        """Create a slider for each sampling setting that is declared with one."""
        made: dict[str, SliderRow] = {}
        for name, info in _declared(Slider):
            shown = next(found for found in info.metadata if isinstance(found, Slider))
            made[name] = _slider(self, name, info, shown)
            made[name].setObjectName(name)
            made[name].changed.connect(self._on_row)
        return made

    def _make_lines(self, name: str, info: FieldInfo) -> LinesRow:
        help_text = _(str(info.description))
        typed = _("One per line; \\n stands for a line end.")
        tip_text = f"{help_text[:1].upper()}{help_text[1:]}. {typed}"
        made = LinesRow(self, _(str(info.title)), _("one per line"), tip_text)
        made.setObjectName(name)
        made.changed.connect(self._on_lines)
        return made

    def _make_seed(self) -> QLineEdit:
        made = QLineEdit(self)
        made.setFixedWidth(110)
        made.setAlignment(Qt.AlignmentFlag.AlignRight)
        made.setPlaceholderText(_("random"))
        made.setAccessibleName(_("Seed"))
        made.setToolTip(_("The same seed writes the same text again. Empty: a new text each time."))
        made.setValidator(QRegularExpressionValidator(QRegularExpression(r"\d{0,18}"), made))
        made.textEdited.connect(self._on_seed)
        return made

    # --- The settings -----------------------------------------------------------------------------------------

    def current(self) -> GenerationSettings:
        """The displayed settings."""
        return self._settings

    def forget(self) -> None:
        """Another project was opened: discard unsent changes."""
        self._timer.stop()
        self._waiting, self._sent = {}, {}

    def show_settings(self, settings: GenerationSettings) -> None:
        """Show the project's settings; the user's later changes are kept."""
        self._sent = {name: value for name, value in self._sent.items() if getattr(settings, name) != value}
        self._take(settings.model_copy(update={**self._sent, **self._waiting}))

    def settings_failed(self) -> None:
        """The sent changes could not be saved."""
        self._sent = {}

    @Slot()
    def flush(self) -> None:
        """Send pending changes now."""
        self._timer.stop()
        if self._waiting:
            changes = {f"generation.{name}": value for name, value in self._waiting.items()}
            self._sent |= self._waiting
            self._waiting = {}
            self.settings_requested.emit(changes)

    def _take(self, settings: GenerationSettings) -> None:
        """Show settings, without touching widgets that already show them: the user may be typing there."""
        self._settings = settings
        for name, slider in self.rows.items():
            value = float(getattr(settings, name))
            if abs(slider.value() - value) > 0.005:
                slider.set_value(value)
        typed = int(self.seed.text()) if self.seed.text() else None
        if typed != settings.seed:
            self.seed.setText("" if settings.seed is None else str(settings.seed))
        for name, lines in self._lines.items():
            lines.show_texts(getattr(settings, name))
        self._show_preset()
        self.changed.emit(settings)

    def _change(self, changes: dict[str, object]) -> None:
        self._waiting |= changes
        self._timer.start()
        self._take(self._settings.model_copy(update=changes))

    @Slot(float)
    def _on_row(self, value: float) -> None:
        slider = self.sender()
        name = slider.objectName() if slider else ""
        whole = GenerationSettings.model_fields[name].annotation is int
        self._change({name: round(value) if whole else round(value, 2)})

    @Slot(tuple)
    def _on_lines(self, texts: tuple[str, ...]) -> None:
        lines = self.sender()
        self._change({lines.objectName(): texts})

    @Slot(str)
    def _on_seed(self, text: str) -> None:
        self._change({"seed": int(text) if text else None})

    def _throw_dice(self) -> None:
        self._change({"seed": random.randrange(_MOST_SEED)})

    @Slot(QAction)
    def _on_preset(self, action: QAction) -> None:
        from llm_studio.workflows.generation.next_token import PRESETS

        chosen = PRESETS[str(action.data())]
        self._change({**chosen, "top_k": int(chosen["top_k"])})

    def _show_preset(self) -> None:
        from llm_studio.workflows.generation.next_token import PRESETS

        def holds(values: dict[str, float]) -> bool:
            return all(abs(float(getattr(self._settings, name)) - value) < 1e-9 for name, value in values.items())

        found = next((key for key, values in PRESETS.items() if holds(values)), "")
        self._preset.setText(_(_NAMES[found]) if found else _("Custom"))
        for action in self._group.actions():
            action.setChecked(action.data() == found)


def random_seed() -> int:
    """A random seed, short enough to be read and typed."""
    return random.randrange(_MOST_SEED)
