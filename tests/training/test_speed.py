"""The machine's speed, from which a training's time is told before it starts."""

from dataclasses import astuple

import pytest

from llm_studio.config import Settings
from llm_studio.device import Compute
from llm_studio.model.cost import step_seconds
from llm_studio.training import speed


def test_a_processor_that_was_busy_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, compute = Settings(), Compute("cpu", "float32", 1)
    first = speed.of_this_machine(settings, 500, compute)
    assert speed.of_this_machine(settings, 500, compute) is first, "what was measured holds for a while"
    assert all(figure > 0 for figure in astuple(first))
    monkeypatch.setattr(speed, "_FRESH", -1.0)
    again = speed.of_this_machine(settings, 500, compute)
    assert all(now >= before for now, before in zip(astuple(again), astuple(first), strict=True))
    summary = [step_seconds(settings.model, 500, 8, figures, muon=True) for figures in (first, again)]
    assert summary[1].micro_batch <= summary[0].micro_batch
