"""The curve doctor: real curves that went wrong are told, real healthy ones and noise are left in peace."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.config import TrainingSettings
from llm_studio.events import StepDone
from llm_studio.project import Project
from llm_studio.runs.record import new as new_run
from llm_studio.training.health.doctor import Diagnosis, Record, RunFacts, verdict
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.workflows.training.curves import Curves
from llm_studio.workflows.training.run_health import examine

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


def facts(curve: dict[str, Any], **changes: Any) -> RunFacts:
    known = {key: curve[key] for key in RunFacts.__dataclass_fields__ if key in curve}  # older ones know no Muon
    return RunFacts(**{**known, **changes})


def record(curve: dict[str, Any], upto: int) -> Record:
    """The record as it was after `upto` steps."""
    measured = [(step, loss) for step, loss in curve["evaluations"] if step <= upto]
    plan = TrainingSettings(learning_rate=curve["learning_rate"], warmup_steps=curve["warmup_steps"],
                            max_steps=curve["max_steps"], schedule=curve["schedule"])  # fmt: skip
    losses = curve["losses"][:upto]
    done = np.arange(1.0, len(losses) + 1)
    rates = curve.get("rates", [learning_rate(int(step), plan) for step in done])[:upto]
    return Record(
        done, np.array(losses, dtype=float), np.array(rates),
        np.array([step for step, _loss in measured], dtype=float),
        np.array([loss for _step, loss in measured], dtype=float), len(losses) * curve["tokens_per_step"],
    )  # fmt: skip


def said(name: str, every: int = 10) -> list[tuple[int, Diagnosis]]:
    """What is said of a recorded curve while it grows, with the step."""
    curve = loaded(name)
    changed_at = curve.get("changed_at", 0)
    found = (
        (upto, verdict(record(curve, upto), facts(curve, changed_at=changed_at if upto > changed_at else 0)))
        for upto in range(every, len(curve["losses"]) + 1, every)
    )
    return [(upto, spoken) for upto, spoken in found if spoken is not None]


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("healthy")])
def test_a_healthy_curve_is_left_in_peace_all_along(name: str) -> None:
    assert said(name) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_went_wrong_is_reported_and_nothing_else(name: str) -> None:
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


FACTS = RunFacts(parameters=1_000_000, vocab_size=1000, learning_rate=1e-3, warmup_steps=50, max_steps=4000,
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


def test_what_was_before_the_settings_changed_tells_nothing() -> None:
    curve = loaded("healthy-dropout-later")
    before, after = (np.mean(curve["losses"][part]) for part in (slice(350, 400), slice(400, 450)))
    assert after > 1.25 * before
    later = record(curve, 600)
    assert verdict(later, facts(curve)) is None
    blind = verdict(later, facts(curve, changed_at=0))
    assert blind is not None and blind.key == "diverging"


def test_a_run_extended_after_its_rate_had_fallen_is_left_in_peace() -> None:
    whole = falling(3, 3000, 0.05, 0.01, 0.0)
    gained = np.interp(whole.steps, [1600, 2000], [0.0, 0.2]) * (whole.steps <= 2000)  # and lost again with the rate
    whole.losses[:] *= 1 - gained
    for last in range(2010, 3001, 90):
        grown = Record(whole.steps[:last], whole.losses[:last], whole.rates[:last],
                       whole.evaluated[: last // 100], whole.validation[: last // 100], last * 1000.0)  # fmt: skip
        assert verdict(grown, replace(FACTS, changed_at=2000)) is None


def test_a_trouble_after_the_settings_changed_is_reported() -> None:
    curve = falling(4, 3000, 0.05, 0.01, 0.0)
    curve.losses[2500:] += np.linspace(0, 3, 500)
    found = verdict(curve, replace(FACTS, changed_at=2000))
    assert found is not None and found.key == "diverging"


def test_nothing_is_stuck_right_after_a_change() -> None:
    curve = loaded("stuck")
    assert verdict(record(curve, 350), facts(curve, changed_at=200)) is None
    found = verdict(record(curve, 400), facts(curve, changed_at=200))
    assert found is not None and found.key == "stuck"


def test_texts_known_by_heart_may_rise_from_nearly_nothing() -> None:
    done = np.arange(1.0, 3001)
    mean = np.where(done <= 2000, 3 * np.exp(-done / 200) + 0.04, 0.055)
    losses = mean + np.abs(np.random.default_rng(0).normal(0, 0.004, len(done)))
    nothing = np.empty(0)
    found = verdict(Record(done, losses, np.full(3000, 1e-3), nothing, nothing, 1e6), FACTS)
    assert found is None or found.key != "diverging"


@pytest.mark.parametrize("place", [0, 3, -1])
def test_an_evaluation_that_is_no_number_silences_nothing(place: int) -> None:
    curve = loaded("overfitting")
    curve["evaluations"][place][1] = None
    found = verdict(record(curve, len(curve["losses"])), facts(curve))
    assert found is not None and found.key == "overfitting"


def test_the_doctor_hears_from_the_record_of_a_run_when_its_settings_were_changed(project: Project) -> None:
    curve = loaded("healthy-dropout-later")
    known = Curves("a")
    for step, loss in enumerate(curve["losses"][:600], 1):
        known.take(StepDone(step, loss, 3e-3, 1.0, step * 512, 1.0, 1.0))
    run = new_run("a", project.settings(), curve["parameters"], "", "")
    found = examine(known, run, None, None, curve["vocab_size"], running=True)
    assert found is not None and found.key == "diverging"
    history = [{"step": 300, "batch_size": 4}, {"step": 400, "settings": {"model.dropout": 0.5}},
               {"step": 500, "rate_factor": 0.5}]  # fmt: skip
    assert examine(known, replace(run, history=history), None, None, curve["vocab_size"], running=True) is None
