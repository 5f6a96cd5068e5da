"""The curve doctor: rules over the recorded curves of a run. Each rule states one problem and offers one remedy.

The rules use arithmetic on the losses only, and are the same for a running and a finished run. A rule fires only if the
curve shows the problem clearly above its noise, not if the curve may still turn out well. Only the first rule that
fires is reported, so the rules are ordered by severity.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llm_studio.i18n import _, number

Floats = NDArray[np.float64]
Remedy = Literal["stop", "anew", "let fall", "texts"]
"""Stop here and keep the best checkpoint; start a new run with `changes`; apply `changes` to this run; add texts."""

_SURE = 4.0
"""Standard errors by which an effect must exceed the noise."""
_FEWEST = 40
"""Steps below which no diagnosis is made."""
_SETTLED = 300
"""Steps after the warm-up from which a trend can be detected."""
LEARNED_NOTHING = 0.97
"""If the loss stays above this fraction of the loss of uniform guessing, nothing was learned."""
PATIENCE = 200
_RISE = 0.15
"""Relative rise of the training loss from which it is diverging."""
_LEAST_RISE = 0.05
"""Smallest such rise in nats per token: the loss of memorized texts is almost zero."""
_PARTS = 5
_STEADY = 3.0
"""A decrease is linear if no quarter of it falls more than this factor faster than another."""
_MOSTLY_UNIGRAM = 0.9
"""Loss of a unigram model as a fraction of that of uniform guessing, where it isn't known."""
_FLAT = 0.0125
"""Fraction of the loss that must be gained in a third of the run; less is a plateau."""
_BY_HEART = 0.03
"""Relative rise of the validation loss above its minimum."""
_GAP = 0.05
"""Largest normal gap between the losses on known and on unseen texts, as a fraction."""
_MANY_PASSES = 4
"""Up to this many epochs, repeated text teaches nearly as much as new text (Muennighoff et al. 2023)."""
_FEW_TOKENS_PER_PARAMETER = 5
_TINY_RATE, _USUAL_RATE = 1e-4, 3e-4


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run that its curves don't contain. `corpus_tokens` and `unigram` (its loss) are None if unknown."""

    parameters: int
    vocab_size: int
    learning_rate: float
    warmup_steps: int
    max_steps: int
    corpus_tokens: int | None = None
    unigram: float | None = None
    muon_learning_rate: float | None = None
    """Peak rate of Muon for the matrices of the blocks, if it is used."""
    changed_at: int = 0
    """The step after which the settings were last changed: losses before it are not comparable."""


@dataclass(frozen=True)
class Record:
    """The curves: training loss and learning rate at each of `steps`, and the validation losses.

    Losses are in nats per token, ascending by step. `tokens`: tokens seen so far.
    """

    steps: Floats
    losses: Floats
    rates: Floats
    evaluated: Floats
    validation: Floats
    tokens: float


@dataclass(frozen=True)
class Diagnosis:
    """One problem: `text` describes it, `remedy` says what helps; `step` is the best checkpoint if it should be
    kept."""

    key: str
    text: str
    remedy: Remedy
    changes: Mapping[str, object] = field(default_factory=dict[str, object])
    step: int = 0


def verdict(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The most severe problem of a run; None if there is none or nothing is certain yet."""
    record = _comparable(record, facts.changed_at)
    if len(record.steps) < _FEWEST:
        return None
    return next((found for rule in _RULES if (found := rule(record, facts)) is not None), None)


def _comparable(record: Record, changed_at: int) -> Record:
    """The part of the record after step `changed_at`, without losses that are not finite."""
    known = np.isfinite(record.losses) & (record.steps > changed_at)
    measured = np.isfinite(record.validation) & (record.evaluated > changed_at)
    return Record(record.steps[known], record.losses[known], record.rates[known], record.evaluated[measured],
                  record.validation[measured], record.tokens)  # fmt: skip


# --- Arithmetic -------------------------------------------------------------------------------------------------


def _noise(values: Floats) -> float:
    """Standard deviation around the trend, from the differences of neighbours, which a slow trend hardly affects."""
    return float(np.sqrt(np.mean(np.diff(values) ** 2) / 2)) if len(values) > 1 else 0.0


def _means(values: Floats, count: int) -> Floats:
    """Means of `count` equal parts of the values, in order."""
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def _after_warm_up(record: Record, facts: RunFacts) -> slice:
    """The steps after the warm-up."""
    return slice(int(np.searchsorted(record.steps, facts.warmup_steps, "right")), None)


def _at(record: Record, step: float, width: int) -> Floats:
    """The training losses of `width` steps around `step`."""
    place = int(np.searchsorted(record.steps, step))
    start = max(0, min(place - width // 2, len(record.losses) - width))
    return record.losses[start : start + width]


# --- The rules --------------------------------------------------------------------------------------------------


def _diverging(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The training loss stays far above its minimum, or above the loss of uniform guessing."""
    width = max(20, len(record.losses) // 100)
    means = _means(record.losses, max(2, len(record.losses) // width))
    place, chance = int(means.argmin()), math.log(facts.vocab_size)
    before = record.losses[: max(2, (place + 1) * width)]
    lowest, since = float(means[place]), min(len(record.steps) - 1, (place + 1) * width)
    if lowest > chance:  # it diverged within the first steps
        lowest, since, before = chance, 0, before[:0]
    elif place == len(means) - 1:
        return None
    limit = max(_RISE * lowest, _LEAST_RISE, _SURE * _noise(before) * math.sqrt(2 / width))
    recent = record.losses[-2 * width :]
    # nine of ten steps must be high: a single spike is normal
    if float(np.quantile(recent, 0.1)) < lowest + limit:
        return None
    text = _("The training diverges: since step {step} its loss has risen from {low} to {high}. A learning rate three "
             "times lower is calmer.")  # fmt: skip
    text = text.format(step=number(int(record.steps[since])), low=number(lowest, 2),
                       high=number(float(recent.mean()), 2))  # fmt: skip
    return Diagnosis("diverging", text, "anew", _at_rate(facts, 1 / 3))


def _stuck(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The loss is still that of uniform guessing."""
    recent, chance = record.losses[-50:], math.log(facts.vocab_size)
    settled = max(facts.warmup_steps, facts.changed_at) + PATIENCE
    if record.steps[-1] < settled or float(recent.mean()) < LEARNED_NOTHING * chance:
        return None
    tiny = facts.learning_rate < _TINY_RATE
    rate = max(10 * facts.learning_rate, _USUAL_RATE) if tiny else facts.learning_rate / 3
    text = _("Nothing is learned: after {step} steps the loss is {loss}, and guessing at random gives {chance}.")
    text = text.format(step=number(int(record.steps[-1])), loss=number(float(recent.mean()), 2),
                       chance=number(chance, 2))  # fmt: skip
    why = _("The learning rate is tiny.") if tiny else _("The learning rate is too high for this model.")
    return Diagnosis("stuck", f"{text} {why}", "anew", _at_rate(facts, rate / facts.learning_rate))


def _overfitting(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The validation loss keeps rising while the training loss keeps falling."""
    del facts
    losses, count = record.validation, len(record.validation)
    if count < 6:
        return None
    best = int(losses.argmin())
    if count - best < 4:
        return None
    # a mean around the minimum: the minimum of noisy values alone is biased downwards
    lowest = float(losses[max(0, best - 1) : best + 2].mean())
    after = losses[max(0, best - 1) :]  # the curvature of the earlier decrease would count as noise
    scatter = float(np.sqrt(np.mean(np.diff(after, 2) ** 2) / 6))  # second differences: 0 for a straight line
    if losses[-3:].min() < lowest * (1 + _BY_HEART) or losses[-3:].mean() < lowest + _SURE * scatter:
        return None
    width = max(10, min(200, len(record.losses) // 10))
    then, now = _at(record, record.evaluated[best], width), record.losses[-width:]
    if then.mean() - now.mean() < _SURE * _noise(record.losses[-2 * width :]) * math.sqrt(2 / width):
        return None
    step = int(record.evaluated[best])
    text = _("The model learns its texts by heart: since step {step} it gets worse on texts it has never seen "
             "({best} then, {last} now). Its checkpoint of that step is the best.")  # fmt: skip
    text = text.format(step=number(step), best=number(float(losses[best]), 2), last=number(float(losses[-1]), 2))
    return Diagnosis("overfitting", text, "stop", step=step)


def _few_texts(record: Record, facts: RunFacts) -> Diagnosis | None:
    """Texts seen many times have a much lower loss than unseen ones, and there are few texts for so large a model."""
    corpus = facts.corpus_tokens
    if not corpus or len(record.validation) < 2 or corpus >= _FEW_TOKENS_PER_PARAMETER * facts.parameters:
        return None
    passes = record.tokens / corpus
    width = max(10, min(200, len(record.losses) // 10))
    seen, unseen = _at(record, record.evaluated[-1], width), float(record.validation[-1])
    error = _noise(record.losses[-2 * width :]) / math.sqrt(width) + _noise(record.validation[-4:])
    if passes < _MANY_PASSES or unseen - float(seen.mean()) < max(_GAP * unseen, _SURE * error):
        return None
    text = _("There are too few texts for this model: it has seen them {passes} times and knows them better (loss "
             "{seen}) than others ({unseen}). They hold {ratio} tokens for each parameter.")  # fmt: skip
    text = text.format(passes=number(passes), seen=number(float(seen.mean()), 2), unseen=number(unseen, 2),
                       ratio=number(corpus / facts.parameters, 1))  # fmt: skip
    return Diagnosis("few texts", text, "texts")


def _rate_too_low(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The loss is worse than that of a unigram model and still falls in a straight line.

    A loss usually falls fast, then slowly. If the learning rate is so low that the gradient hardly changes direction,
    the loss falls in proportion to the learning rate spent.
    """
    after = _after_warm_up(record, facts)
    losses = record.losses[after]
    known = _MOSTLY_UNIGRAM * math.log(facts.vocab_size) if facts.unigram is None else facts.unigram
    if len(losses) < _SETTLED or float(losses[-50:].mean()) < known:
        return None
    spent = np.cumsum(record.rates[after])
    edges = np.searchsorted(spent, np.linspace(0, spent[-1], _PARTS + 1)[1:-1])
    parts = np.array([part.mean() for part in np.split(losses, edges)])
    falls = -np.diff(parts)
    error = _noise(losses) * math.sqrt(2 * _PARTS / len(losses))
    surely = float(falls.min()) - error
    if surely <= 0 or float(falls.max()) + error > _STEADY * surely:
        return None
    text = _("The learning rate seems too low: after {step} steps the loss is {loss}, and still falls in a straight "
             "line. With a rate three times higher it falls sooner.")  # fmt: skip
    text = text.format(step=number(int(record.steps[-1])), loss=number(float(losses[-50:].mean()), 2))
    return Diagnosis("rate too low", text, "anew", _at_rate(facts, 3))


def _plateau(record: Record, facts: RunFacts) -> Diagnosis | None:
    """For a third of the steps the loss has hardly fallen, though the learning rate is still high."""
    after = _after_warm_up(record, facts)
    losses, rates = record.losses[after], record.rates[after]
    if len(losses) < 2 * _SETTLED or float(rates[-1]) < 0.5 * facts.learning_rate:
        return None
    third = losses[-(len(losses) // 3) :]
    means = _means(third, 16)
    places = np.linspace(-0.5, 0.5, len(means))
    slope = float((places * means).sum() / (places**2).sum())
    rest = means - means.mean() - slope * places
    error = float(np.sqrt((rest**2).sum() / (len(means) - 2) / (places**2).sum()))
    # not "no decrease is visible", which noise alone can cause, but "a decrease would be visible"
    if abs(slope) + 2 * error > _FLAT * float(means.mean()):
        return None
    found = record.validation
    earlier = record.evaluated <= record.steps[-len(third)]
    if earlier.any() and not earlier.all() and found[~earlier].min() < (1 - _FLAT) * found[earlier].min():
        return None
    last = int(record.steps[-1])
    end = max(last + 50, int(round(1.25 * last, 2 - len(str(last)))))
    text = _("The loss has been stuck at {loss} for {steps} steps. It falls once more when the learning rate does: "
             "the run could end at step {end}.")  # fmt: skip
    text = text.format(loss=number(float(means.mean()), 2), steps=number(len(third)), end=number(end))
    return Diagnosis("plateau", text, "let fall", {"training.max_steps": end})


def _at_rate(facts: RunFacts, times: float) -> dict[str, object]:
    """Settings with the learning rate multiplied by `times`."""
    changes: dict[str, object] = {"training.learning_rate": _rounded(times * facts.learning_rate)}
    if facts.muon_learning_rate is not None:
        changes["training.muon_learning_rate"] = _rounded(times * facts.muon_learning_rate)
    return changes


def _rounded(rate: float) -> float:
    """A rate rounded to two significant digits."""
    return float(f"{rate:.1e}")


_RULES: tuple[Callable[[Record, RunFacts], Diagnosis | None], ...] = (
    _diverging, _stuck, _overfitting, _few_texts, _rate_too_low, _plateau,
)  # fmt: skip
