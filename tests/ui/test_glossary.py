"""The terms of the field are explained where a beginner meets them."""

import html

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from llm_studio import i18n
from llm_studio.ui.glossary import TERMS, explanation
from llm_studio.ui.tabs.model.labels import NEXT, SIMPLE
from llm_studio.ui.widgets.basics import FigureCard
from tests.ui.driver import Driver


def hovered(widget: QWidget) -> str:
    """The tip that Qt shows while the mouse rests on a widget: its own, else that of what it lies in."""
    inside: QWidget | None = widget
    while inside is not None and not inside.toolTip():
        inside = inside.parentWidget()
    return html.unescape(inside.toolTip()) if inside is not None else ""


def test_each_figure_of_a_run_is_explained(opened: Driver) -> None:
    cards = opened.page("training").findChildren(FigureCard)
    shown = {card.findChildren(QLabel)[0].text(): hovered(card.findChildren(QLabel)[0]) for card in cards}
    assert len(shown) >= 5 and all(shown.values())
    for term in ("bits_per_byte", "perplexity"):
        assert explanation(term) in shown["Loss (validation)"]


def test_the_first_settings_and_all_sliders_are_explained(opened: Driver) -> None:
    form = opened.page("model").form
    for first in (SIMPLE, NEXT):
        for section, names in first.items():
            for name in names:
                field = form.fields[f"{section}.{name}"]
                assert explanation(name) and explanation(name) in hovered(field.title), name
                assert explanation(name) in hovered(field.editor)
    for name, slider in opened.page("generation").sampling.rows.items():
        assert len(hovered(slider.findChildren(QLabel)[0])) > 10, name


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_no_explanation_is_written_in_vain(opened: Driver, language: str) -> None:
    opened.window.choose_language(language)
    for name in ("training", "model", "tokenizer", "generation"):
        opened.page(name)
    opened.settle()
    tips = [html.unescape(widget.toolTip()) for widget in opened.window.findChildren(QWidget)]
    assert [term for term in TERMS if not any(explanation(term) in tip for tip in tips)] == []


def test_the_heads_of_the_table_of_runs_are_explained(opened: Driver) -> None:
    heads = opened.page("training").view.runs.table.rows
    shown = {
        heads.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole): html.unescape(
            heads.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) or ""
        )
        for column in range(heads.columnCount())
    }
    for head, term in (("Parameters", "parameters"), ("Val. loss", "validation_loss"), ("Bits/byte", "bits_per_byte"),
                       ("Steps", "max_steps"), ("Disk", "checkpoint_interval")):  # fmt: skip
        assert explanation(term) in shown[head]
