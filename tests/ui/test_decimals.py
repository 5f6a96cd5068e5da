"""Decimals in forms: whichever sign is typed, never is the number ten times as large without a word."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDoubleSpinBox, QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui.language import set_language
from llm_studio.ui.tabs.model.fields import FreeNumber
from llm_studio.ui.widgets.decimal_box import DecimalBox
from tests.ui.driver import Driver


def type_into(box: QWidget, text: str) -> None:
    box.setFocus()
    box.selectAll()  # type: ignore[attr-defined]
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(
    ("language", "typed", "meant"),
    [("fr", "0.7", 0.7), ("fr", "0,7", 0.7), ("fr", "1.500", 1.5), ("en", "0,7", 0.7), ("en", "0.7", 0.7),
     ("en", "0,125", 0.125), ("en", "12,5", 12.5), ("fr", "-2.5", -2.5)],
)  # fmt: skip
def test_point_and_comma_mean_the_same(qtbot: QtBot, language: str, typed: str, meant: float, grouped: bool) -> None:
    set_language(language)
    box = DecimalBox()
    qtbot.addWidget(box)
    box.setRange(-5000, 5000)
    box.setDecimals(3)
    box.setGroupSeparatorShown(grouped)
    box.setSuffix(" %")
    box.show()
    type_into(box, typed)
    assert box.value() == meant


@pytest.mark.parametrize("decimals", [0, 2])
def test_english_thousands_stay_thousands(qtbot: QtBot, decimals: int) -> None:
    box = DecimalBox()
    qtbot.addWidget(box)
    box.setRange(0, 5_000_000)
    box.setDecimals(decimals)
    box.setGroupSeparatorShown(True)
    box.show()
    for typed, meant in (("1,500", 1500), ("1,500,000", 1_500_000), ("25,000", 25_000)):
        type_into(box, typed)
        assert box.value() == meant


@pytest.mark.parametrize(("language", "typed"), [("fr", "0.1"), ("fr", "0,1"), ("en", "0,1"), ("en", "0.1")])
def test_a_free_number_takes_both_signs(qtbot: QtBot, language: str, typed: str) -> None:
    set_language(language)
    parent = QWidget()
    qtbot.addWidget(parent)
    box = FreeNumber(parent)
    box.setText(typed)
    assert box.value() == 0.1


def test_a_window_that_changes_to_french_reads_french_decimals(opened: Driver) -> None:
    opened.window.choose_language("fr")
    opened.settle()
    page = opened.page("generation")
    temperature = page.sampling.rows["temperature"].findChild(QDoubleSpinBox)
    for typed in ("0,7", "0.7"):
        temperature.setValue(1)
        type_into(temperature, typed)
        assert temperature.value() == 0.7 and temperature.text() == "0,70"
    opened.settle()
