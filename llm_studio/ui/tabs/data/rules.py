"""The cleaning rules, in the order in which they are applied, each with a check box or an input field."""

import re
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from llm_studio.i18n import _, ngettext, number, short_number
from llm_studio.ui.widgets.basics import button, label, row
from llm_studio.ui.widgets.decimal_box import DecimalBox
from llm_studio.workflows.data.cleaning import NAMES

if TYPE_CHECKING:
    from llm_studio.config import Settings
    from llm_studio.events import RuleMeasured

_MOST_CHARACTERS = 100_000_000
_BOX = 96
_INDENT = 19
"""Indentation in pixels that aligns a rule's effect with the text of its check box."""
_SHARE = "validation_share"


_Editor = QCheckBox | QSpinBox | QDoubleSpinBox | QLineEdit


class _Percent(DecimalBox):
    """A percentage without trailing zeros."""

    def textFromValue(self, value: float) -> str:  # noqa: N802  Qt's
        """5 for 5.00."""
        digits = next((d for d in (0, 1) if round(value, d) == round(value, 2)), 2)
        return self.locale().toString(value, "f", digits)


class Rules(QWidget):
    """The settings of cleaning; `changed` is emitted for each change. Rarely used ones can be unfolded."""

    changed = Signal(dict)
    examples_requested = Signal(str)
    """The name of a rule of which to show examples."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._sent: dict[str, object] = {}
        self._seen: dict[str, RuleMeasured] = {}
        self._stale: set[str] = set()
        self._parts: dict[str, _Editor] = {}
        self._rare: dict[str, QWidget] = {}
        self._effects: dict[str, QPushButton] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self._switch("repair_mojibake", _("Repair wrongly decoded text"), rare=True,
                     tip=_("Turns “dÃ©jÃ\u00a0vu” back into “déjà vu”."))  # fmt: skip
        self._switch("remove_controls", _("Remove control characters"), rare=True)
        self._switch("remove_invisible", _("Remove invisible characters"), rare=True)
        self.unicode = self._switch("normalize_unicode", _("Normalise Unicode (NFC)"),
                                    tip=_("Gives each accented letter a single form."))  # fmt: skip
        self._switch("remove_html", _("Remove leftover HTML"))
        self._switch("remove_licence", _("Remove the Gutenberg licence"), rare=True,
                     tip=_("What is before and after the text of books of Project Gutenberg."))  # fmt: skip
        self._switch("remove_repeated_lines", _("Remove headers and page numbers"), rare=True)
        self._switch("tidy_spaces", _("Clean up white space"))
        self.least = self._number("min_characters", _("Minimum length, in characters"))
        self._number("max_characters", _("Maximum length, in characters"), rare=True, none=_("no limit"))
        self._make_languages()
        self.duplicates = self._switch("remove_duplicates", _("Remove exact duplicates"))
        self._switch(
            "remove_near_duplicates",
            _("Remove near duplicates"),
            rare=True,
            tip=_("Texts that share most of their five-word phrases (MinHash); the longest is kept."),
        )
        self._make_percent("near_duplicate_similarity", _("Near duplicate from"), (50, 100), rare=True,
                           tip=_("Fraction of five-word phrases that two texts share."))  # fmt: skip
        self.more = button("", self, self._unfold, "link")
        self.more.setCheckable(True)
        self._layout.addLayout(row(self.more, None))
        self._make_share()
        self._unfold()

    # --- Widgets --------------------------------------------------------------------------------------------------

    def _switch(self, name: str, text: str, *, rare: bool = False, tip: str = "") -> QCheckBox:
        made = QCheckBox(text, self)
        made.setToolTip(tip)
        made.toggled.connect(partial(self._send, name))
        self._keep(name, made, row(made), rare)
        return made

    def _number(self, name: str, text: str, *, rare: bool = False, none: str = "") -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(0, _MOST_CHARACTERS)
        box.setSingleStep(10)
        box.setGroupSeparatorShown(True)
        box.setSpecialValueText(none)
        box.valueChanged.connect(partial(self._send, name))
        self._labelled(name, text, box, rare)
        return box

    def _make_languages(self) -> None:
        self.languages = QLineEdit(self)
        self.languages.setPlaceholderText(_("all"))
        self.languages.setToolTip(_("Codes of the languages to keep, e.g. fr, en"))
        self.languages.editingFinished.connect(self._on_languages)
        self._labelled("languages", _("Keep only these languages"), self.languages, rare=True)

    def _make_share(self) -> None:
        tip = _("Fraction of the texts held out to measure what the model has learned.")
        self.share = self._make_percent(_SHARE, _("Validation"), (0.01, 50), rare=False, tip=tip)

    def _make_percent(
        self, name: str, text: str, limits: tuple[float, float], *, rare: bool, tip: str
    ) -> QDoubleSpinBox:
        box = _Percent(self)
        box.setDecimals(2)
        box.setRange(*limits)
        box.setSuffix("\u00a0%")
        box.setToolTip(tip)
        box.valueChanged.connect(partial(self._on_percent, name))
        self._labelled(name, text, box, rare)
        return box

    def _labelled(self, name: str, text: str, box: QSpinBox | QDoubleSpinBox | QLineEdit, rare: bool = False) -> None:
        title = label(text, self, wrap=True)
        title.setBuddy(box)
        box.setAccessibleName(text)
        box.setFixedWidth(_BOX)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        if not isinstance(box, QLineEdit):
            box.setKeyboardTracking(False)
        made = row(title, box)
        made.setStretch(0, 1)
        self._keep(name, box, made, rare)

    def _keep(self, name: str, part: _Editor, shown: QHBoxLayout, rare: bool) -> None:
        self._parts[name] = part
        holder = QWidget(self)
        inside = QVBoxLayout(holder)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(1)
        inside.addLayout(shown)
        self._layout.addWidget(holder)
        if rare:
            self._rare[name] = holder
        if name not in NAMES:
            return
        effect = button("", holder, partial(self.examples_requested.emit, name), "effect")
        effect.hide()
        self._effects[name] = effect
        below = row(effect, None)
        below.setContentsMargins(_INDENT if isinstance(part, QCheckBox) else 0, 0, 0, 0)
        inside.addLayout(below)

    @Slot()
    def _unfold(self) -> None:
        unfolded = self.more.isChecked()
        for part in self._rare.values():
            part.setVisible(unfolded)
        self._show_effects()

    # --- Effects --------------------------------------------------------------------------------------------------

    def show_effect(self, seen: "RuleMeasured") -> None:
        """Show below a rule what it does, or would do if enabled; nothing if it affects no document."""
        if seen.rule in self._stale and not seen.final:
            return  # keep the old effect until the new one is final, so that the layout doesn't jump
        self._stale.discard(seen.rule)
        self._seen[seen.rule] = seen
        self._show_effects()

    def forget_effects(self) -> None:
        """Show no effects."""
        self._seen.clear()
        self._stale.clear()
        self._show_effects()

    def mark_effects_stale(self) -> None:
        """Mark the effects as out of date: texts or rules have changed, and they are about to be measured again."""
        self._stale = set(self._seen)
        self._show_effects()

    def _show_effects(self) -> None:
        unfolded, hidden = self.more.isChecked(), 0
        for name, effect in self._effects.items():
            seen = self._seen.get(name)
            there = seen is not None and seen.documents > 0
            effect.setText(_effect(seen) if seen is not None and there else "")
            effect.setToolTip(_("{n} fewer characters · show examples").format(n=short_number(seen.characters))
                              if seen is not None else "")  # fmt: skip
            folded = name in self._rare and not unfolded
            hidden += there and folded
            effect.setVisible(there)
            effect.setEnabled(name not in self._stale)
        would = ngettext("{n} rule would apply", "{n} rules would apply", hidden).format(n=number(hidden))
        more = _("More rules…") + (f" · {would}" if hidden else "")
        self.more.setText(_("Fewer rules") if unfolded else more)

    # --- Settings -------------------------------------------------------------------------------------------------

    def show_settings(self, settings: "Settings", usable: bool) -> None:
        """Show the project's settings, except those with a change by the user that isn't written yet."""
        for name, part in self._parts.items():
            value: object = getattr(settings.data, name)
            if name in self._sent:
                if self._sent[name] == value or self._sent[name] == _plain(value):
                    del self._sent[name]
            else:
                self._put(name, value)
            part.setEnabled(usable)

    def forget_changes(self) -> None:
        """Discard changes that could not be written, so that `show_settings` shows the project's values."""
        self._sent.clear()

    def _put(self, name: str, value: object) -> None:
        part = self._parts[name]
        part.blockSignals(True)
        if isinstance(part, QCheckBox):
            part.setChecked(bool(value))
        elif isinstance(part, QSpinBox) and isinstance(value, int):
            if part.value() != value:  # don't interfere with typing
                part.setValue(value)
        elif isinstance(part, QDoubleSpinBox) and isinstance(value, float) and round(part.value() / 100, 6) != value:
            part.setValue(100 * value)
        elif isinstance(part, QLineEdit) and isinstance(value, list | tuple) and not part.hasFocus():
            part.setText(", ".join(map(str, value)))
        part.blockSignals(False)

    def _send(self, name: str, value: object) -> None:
        self._sent[name] = value
        self.changed.emit({f"data.{name}": value})

    def _on_percent(self, name: str, percent: float) -> None:
        self._send(name, round(percent / 100, 6))

    @Slot()
    def _on_languages(self) -> None:
        codes = [code.lower() for code in re.split(r"[\s,;]+", self.languages.text()) if code]
        if self._sent.get("languages") != codes:
            self._send("languages", codes)


def _effect(seen: "RuleMeasured") -> str:
    n = seen.documents
    if seen.removes_documents and seen.on:
        words = ngettext("removes {n} document", "removes {n} documents", n)
    elif seen.removes_documents:
        words = ngettext("would remove {n} document", "would remove {n} documents", n)
    elif seen.on:
        words = ngettext("changes {n} document", "changes {n} documents", n)
    else:
        words = ngettext("would change {n} document", "would change {n} documents", n)
    return words.format(n=("≈ " if seen.estimated else "") + number(n))


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
