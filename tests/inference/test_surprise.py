"""The surprise of a text of any length is that of evaluation, token by token."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.inference.evaluate import score, windows
from llm_studio.inference.logit_lens import Predictions
from llm_studio.inference.surprise import surprises
from tests.model.builders import VOCABULARY, small_model

CONTEXT = 24


def bits(parts: list[Predictions]) -> torch.Tensor:
    return torch.cat([part.surprise for part in parts])


@given(length=st.integers(1, 120))
@settings(max_examples=25)
def test_the_sum_is_the_loss_of_evaluation(length: int) -> None:
    model = small_model(seed=length % 3)
    stream = np.random.default_rng(length).integers(0, VOCABULARY, length)
    found = bits(list(surprises(model, stream.tolist())))
    assert len(found) == length and found[-1].isnan()
    nats = sum(part.nats for part in score(model, stream, windows(length - 1, CONTEXT))) if length > 1 else 0.0
    assert found[:-1].double().sum().item() * math.log(2) == pytest.approx(nats, rel=1e-5)


def test_a_later_token_never_changes_an_earlier_surprise() -> None:
    model, ids = small_model(), np.random.default_rng(1).integers(0, VOCABULARY, 80).tolist()
    before = bits(list(surprises(model, ids)))
    changed = [*ids[:50], (ids[50] + 1) % VOCABULARY, *ids[51:]]
    after = bits(list(surprises(model, changed)))
    assert torch.equal(before[:49], after[:49]) and not torch.equal(before[49:60], after[49:60])


def test_it_can_be_cancelled_before_each_window() -> None:
    class StopError(Exception):
        pass

    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 5:
            raise StopError

    with pytest.raises(StopError):
        list(surprises(small_model(), [1] * 500, check=check))
