"""The bars of the next token show two probabilities, never one for some tokens and the other for the rest."""

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from llm_studio.ui import theme
from llm_studio.ui.widgets.candidates import CandidateBars
from llm_studio.workflows.generation.next_token import Candidate

CANDIDATES = [Candidate(0, " of", (0.4, 1.0)), Candidate(1, " in", (0.2, 0.0), "top_k"),
              Candidate(2, " a", (0.1, 0.0), "top_k")]  # fmt: skip


@pytest.fixture
def bars(qtbot: QtBot, light: None) -> Iterator[CandidateBars]:
    holder = QWidget()
    qtbot.addWidget(holder)
    made = CandidateBars(holder)
    made.resize(400, 230)
    made.show_candidates(CANDIDATES)
    holder.show()
    yield made  # its holder lives as long


def length(bars: CandidateBars, row: int, color: str) -> int:
    """The longest line of pixels of a colour in a row, without the figures at its right."""
    picture = bars.bars[row].grab().toImage()
    wanted = theme.color(color).rgb()
    return max(
        sum(picture.pixel(x, y) == wanted for x in range(70, picture.width() - 110)) for y in range(picture.height())
    )


def test_bars_of_one_kind_have_the_lengths_of_their_probabilities(bars: CandidateBars) -> None:
    first = length(bars, 0, "muted")
    assert length(bars, 1, "muted") == pytest.approx(first / 2, abs=3)
    assert length(bars, 2, "muted") == pytest.approx(first / 4, abs=3)
    assert length(bars, 0, "accent") == pytest.approx(first / 0.4, abs=3)
    assert length(bars, 1, "accent") == 0 == length(bars, 2, "accent")


def test_both_probabilities_are_named(bars: CandidateBars) -> None:
    assert [head.text() for head in bars.heads if head.isVisible()] == ["model", "sampling"]
    names = [bar.accessibleName() for bar in bars.bars[:3]]
    assert names == ["·of, model 40.0\u00a0%, sampling 100.0\u00a0%", "·in, model 20.0\u00a0%, not sampled",
                     "·a, model 10.0\u00a0%, not sampled"]  # fmt: skip
