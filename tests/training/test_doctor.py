"""The curve doctor: real curves that went wrong are told, real healthy ones and noise are left in peace."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.config import TrainingSettings
from llm_studio.training.doctor import Facts, Record, Verdict, verdict
from llm_studio.training.scheduler import learning_rate

CURVES = Path(__file__).parent / "curves"
RECORDED = sorted(path.stem for path in CURVES.glob("*.json"))
WRONG = {
    # curve: what is said about it at its end
    "overfitting": "overfitting", "few-texts": "few texts", "plateau": "plateau", "diverging": "diverging",
    "stuck": "stuck", "wild": "diverging", "rate-too-low": "rate too low",
}  # fmt: skip

RECOVERED = ("wild", "plateau", "diverging")
"""When their rate falls at the end, so does the loss."""


def loaded(name: str) -> dict[str, Any]:
    return json.loads((CURVES / f"{name}.json").read_text(encoding="utf-8"))


def facts(curve: dict[str, Any], **changes: Any) -> Facts:
    known = {key: curve[key] for key in Facts.__dataclass_fields__ if key in curve}  # older ones know no Muon
    return Facts(**{**known, **changes})


def record(curve: dict[str, Any], upto: int) -> Record:
    """The record as it was after `upto` steps."""
    plan = TrainingSettings(learning_rate=curve["learning_rate"], warmup_steps=curve["warmup_steps"],
                            max_steps=curve["max_steps"], schedule=curve["schedule"])  # fmt: skip
    losses = curve["losses"][:upto]
    done = np.arange(1.0, len(losses) + 1)
    measured = [(step, loss) for step, loss in curve["evaluations"] if step <= upto]
    return Record(
        done, np.array(losses, dtype=float), np.array([learning_rate(int(step), plan) for step in done]),
        np.array([step for step, _loss in measured], dtype=float),
        np.array([loss for _step, loss in measured], dtype=float), len(losses) * curve["tokens_per_step"],
    )  # fmt: skip


def said(name: str, every: int = 10) -> list[tuple[int, Verdict]]:
    """What is said of a recorded curve while it grows, with the step."""
    curve = loaded(name)
    found = (
        (upto, verdict(record(curve, upto), facts(curve))) for upto in range(every, len(curve["losses"]) + 1, every)
    )
    return [(upto, spoken) for upto, spoken in found if spoken is not None]


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("healthy")])
def test_a_healthy_curve_is_left_in_peace_all_along(name: str) -> None:
    assert said(name) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_went_wrong_is_told_and_nothing_else(name: str) -> None:
    spoken = said(name)
    also = {"overfitting": {"few texts"}, "wild": {"stuck"}}.get(name, set[str]())
    assert {found.key for _step, found in spoken} - also == {WRONG[name]}
    if name not in RECOVERED:
        assert spoken[-1][0] == len(loaded(name)["losses"]) // 10 * 10, "it is not taken back at the end"
        assert spoken[-1][1].key == WRONG[name]


def test_overfitting_names_the_step_whose_checkpoint_is_the_best() -> None:
    curve = loaded("overfitting")
    best = min(curve["evaluations"], key=lambda pair: pair[1])[0]
    upto, found = next((step, found) for step, found in said("overfitting") if found.key == "overfitting")
    assert (found.remedy, found.step) == ("stop", best)
    assert f"step {best:,}" in found.text
    assert upto < len(curve["losses"]) * 0.8, "told long before the end"


def test_each_remedy_goes_the_right_way() -> None:
    rates = {name: said(name)[-1][1].changes.get("training.learning_rate") for name in WRONG}
    for name in ("diverging", "wild"):
        assert rates[name] == pytest.approx(loaded(name)["learning_rate"] / 3, rel=0.05)
    for name in ("rate-too-low", "stuck"):
        assert rates[name] >= 3 * loaded(name)["learning_rate"]
    step, found = said("plateau")[-1]
    assert isinstance(end := found.changes["training.max_steps"], int)
    assert step < end < 1.5 * step
    assert said("few-texts")[-1][1].remedy == "texts"


def test_both_rates_change_where_the_matrices_have_one_of_their_own() -> None:
    curve = loaded("diverging")
    found = verdict(record(curve, said("diverging")[-1][0]), facts(curve, muon_learning_rate=0.03))
    assert found is not None
    assert found.changes["training.muon_learning_rate"] == pytest.approx(0.01, rel=0.05)
    assert found.changes["training.learning_rate"] == pytest.approx(curve["learning_rate"] / 3, rel=0.05)


def test_too_few_texts_is_not_said_where_they_are_not_known_or_enough() -> None:
    curve = loaded("few-texts")
    whole = record(curve, len(curve["losses"]))
    for tokens in (None, 10 * curve["parameters"]):
        assert verdict(whole, facts(curve, corpus_tokens=tokens)) is None


FACTS = Facts(parameters=1_000_000, vocab_size=1000, learning_rate=1e-3, warmup_steps=50, max_steps=4000,
              corpus_tokens=10_000_000, unigram=5.9)  # fmt: skip


def falling(seed: int, steps: int, noise: float, scatter: float, gap: float) -> Record:
    """A loss that falls by a power of the step, as real ones do, with noise."""
    chance = np.random.default_rng(seed)
    done = np.arange(1.0, steps + 1)
    mean = 1.5 + 5.4 * (1 + done / 30) ** -0.4
    at = done[99::100]
    unseen = (1.5 + 5.4 * (1 + at / 30) ** -0.4) * (1 + gap) + chance.normal(0, scatter, len(at))
    plan = TrainingSettings(learning_rate=1e-3, warmup_steps=50, max_steps=4000)
    rates = np.array([learning_rate(int(step), plan) for step in done])
    return Record(done, mean + chance.normal(0, noise, steps), rates, at, unseen, steps * 1000.0)


@given(seed=st.integers(0, 10**6), steps=st.integers(0, 4000), noise=st.floats(0, 0.6), scatter=st.floats(0, 0.03),
       gap=st.floats(0, 0.04))  # fmt: skip
@settings(max_examples=150)
def test_noise_alone_never_makes_it_speak(seed: int, steps: int, noise: float, scatter: float, gap: float) -> None:
    assert verdict(falling(seed, steps, noise, scatter, gap), FACTS) is None


@given(seed=st.integers(0, 10**6), at=st.integers(200, 3990), height=st.floats(1, 50), length=st.integers(1, 12))
@settings(max_examples=50)
def test_a_spike_that_passes_is_no_divergence(seed: int, at: int, height: float, length: int) -> None:
    curve = falling(seed, 4000, 0.05, 0.01, 0.0)
    curve.losses[at : at + length] += height
    found = verdict(curve, FACTS)
    assert found is None or found.key != "diverging"


def test_losses_that_are_no_numbers_are_passed_over() -> None:
    curve = falling(1, 1000, 0.05, 0.01, 0.0)
    curve.losses[100:110] = np.nan
    curve.validation[3] = np.nan
    assert verdict(curve, FACTS) is None
    nothing = np.empty(0)
    assert verdict(Record(nothing, nothing, nothing, nothing, nothing, 0), FACTS) is None
