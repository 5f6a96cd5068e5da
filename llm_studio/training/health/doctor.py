"""The curve doctor: rules over what a run has recorded that say one plain sentence and offer one action.

Arithmetic on the losses alone, the same for a run that trains and for one that has ended long ago. A rule speaks where
the curve shows the thing clearly beyond its noise; a curve that might still turn out well is left in peace. The first
rule that speaks is heard, so they stand in the order of what hurts most.
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
"""What helps: end here and keep the best checkpoint; a new run with `changes`; this run with `changes`; more texts."""

_SURE = 4.0
"""Standard errors by which something must stand out of the noise."""
_FEWEST = 40
"""Steps under which a curve says nothing."""
_SETTLED = 300
"""Steps after the warm-up from which a trend can be told."""
LEARNED_NOTHING = 0.97
"""Share of the loss of guessing at random above which nothing was learned."""
PATIENCE = 200
_RISE = 0.15
"""Share by which the training loss must have risen to be called diverging."""
_LEAST_RISE = 0.05
"""Nats per token that it must have risen at least: texts learned by heart have a loss of nearly nothing."""
_PARTS = 5
_STEADY = 3.0
"""A straight fall: no quarter of it falls so many times as much as another."""
_MOSTLY_UNIGRAM = 0.9
"""The loss of counting single tokens, where it isn't known, as a share of guessing at random."""
_FLAT = 0.0125
"""Share of the loss that a third of the run must gain, not to be a plateau."""
_BY_HEART = 0.03
"""Share by which the validation loss must have risen over its best."""
_GAP = 0.05
"""Share by which the loss on texts known already may be lower than on others."""
_MANY_PASSES = 4
"""Up to so many, text seen again teaches nearly as much as new text (Muennighoff et al. 2023)."""
_FEW_TOKENS_PER_PARAMETER = 5
_TINY_RATE, _USUAL_RATE = 1e-4, 3e-4


@dataclass(frozen=True)
class RunFacts:
    """What the curves don't tell. `corpus_tokens` and `unigram` (that model's loss) are None where not known."""

    parameters: int
    vocab_size: int
    learning_rate: float
    warmup_steps: int
    max_steps: int
    corpus_tokens: int | None = None
    unigram: float | None = None
    muon_learning_rate: float | None = None
    """Of the blocks' matrices, where another optimizer has a rate of its own for them."""
    changed_at: int = 0
    """After this step the settings were changed, which may move the losses: what was before tells nothing now."""


@dataclass(frozen=True)
class Record:
    """The curves: at each of `steps` the training loss and the learning rate, and the validation losses.

    Losses are in nats per token, ascending by step. `tokens` were seen so far.
    """

    steps: Floats
    losses: Floats
    rates: Floats
    evaluated: Floats
    validation: Floats
    tokens: float


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong: `text` says what, `remedy` what helps; `step` is the best one where it is to be kept."""

    key: str
    text: str
    remedy: Remedy
    changes: Mapping[str, object] = field(default_factory=dict[str, object])
    step: int = 0


def verdict(record: Record, facts: RunFacts) -> Diagnosis | None:
    """What can be said about a run; None where all is well, or nothing is sure yet."""
    record = _that_counts(record, facts.changed_at)
    if len(record.steps) < _FEWEST:
        return None
    return next((found for rule in _RULES if (found := rule(record, facts)) is not None), None)


def _that_counts(record: Record, changed_at: int) -> Record:
    """What was recorded after a step, without the losses that are no numbers."""
    known = np.isfinite(record.losses) & (record.steps > changed_at)
    measured = np.isfinite(record.validation) & (record.evaluated > changed_at)
    return Record(record.steps[known], record.losses[known], record.rates[known], record.evaluated[measured],
                  record.validation[measured], record.tokens)  # fmt: skip


# --- Arithmetic -------------------------------------------------------------------------------------------------


def _noise(values: Floats) -> float:
    """Spread of the values about their trend, from the differences of neighbours, which a slow trend hardly moves."""
    return float(np.sqrt(np.mean(np.diff(values) ** 2) / 2)) if len(values) > 1 else 0.0


def _means(values: Floats, count: int) -> Floats:
    """Means of `count` equal parts of the values, in order."""
    edges = np.linspace(0, len(values), count + 1).astype(int)
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)


def _after_warm_up(record: Record, facts: RunFacts) -> slice:
    """The steps with the full learning rate, or what comes after."""
    return slice(int(np.searchsorted(record.steps, facts.warmup_steps, "right")), None)


def _at(record: Record, step: float, width: int) -> Floats:
    """The training losses of `width` steps about `step`."""
    place = int(np.searchsorted(record.steps, step))
    start = max(0, min(place - width // 2, len(record.losses) - width))
    return record.losses[start : start + width]


# --- The rules --------------------------------------------------------------------------------------------------


def _diverging(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The training loss is far above where it has been, or above that of guessing at random, and stays there."""
    width = max(20, len(record.losses) // 100)
    means = _means(record.losses, max(2, len(record.losses) // width))
    place, chance = int(means.argmin()), math.log(facts.vocab_size)
    before = record.losses[: max(2, (place + 1) * width)]
    lowest, since = float(means[place]), min(len(record.steps) - 1, (place + 1) * width)
    if lowest > chance:  # it went wrong within the first steps
        lowest, since, before = chance, 0, before[:0]
    elif place == len(means) - 1:
        return None
    limit = max(_RISE * lowest, _LEAST_RISE, _SURE * _noise(before) * math.sqrt(2 / width))
    recent = record.losses[-2 * width :]
    # nine of ten steps: one spike, as every training has some, is none of its business
    if float(np.quantile(recent, 0.1)) < lowest + limit:
        return None
    text = _("The training diverges: since step {step} its loss has risen from {low} to {high}. A learning rate three "
             "times lower is calmer.")  # fmt: skip
    text = text.format(step=number(int(record.steps[since])), low=number(lowest, 2),
                       high=number(float(recent.mean()), 2))  # fmt: skip
    return Diagnosis("diverging", text, "anew", _at_rate(facts, 1 / 3))


def _stuck(record: Record, facts: RunFacts) -> Diagnosis | None:
    """The loss is still that of guessing at random."""
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
    """The validation loss has risen for good while the training loss went on falling."""
    del facts
    losses, count = record.validation, len(record.validation)
    if count < 6:
        return None
    best = int(losses.argmin())
    if count - best < 4:
        return None
    # about the best, since the lowest of many values that only scatter is too low at random
    lowest = float(losses[max(0, best - 1) : best + 2].mean())
    after = losses[max(0, best - 1) :]  # before, its fall bends, which would be taken for scatter
    scatter = float(np.sqrt(np.mean(np.diff(after, 2) ** 2) / 6))  # a straight line has none
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
    """Texts seen many times are known much better than others, and there are few of them for so large a model."""
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
    """Worse than counting how often each token occurs, the loss still falls in a straight line.

    A loss falls fast, then slowly. At so low a rate that the gradient hardly turns, it falls by as much for each bit of
    rate that is spent.
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
    """For a third of the steps the loss has hardly fallen, though the rate is high: a falling one gains some more."""
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
    # not "no fall is seen", which noise alone can do, but "a fall would be seen"
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
    """Settings with so many times the learning rate."""
    changes: dict[str, object] = {"training.learning_rate": _rounded(times * facts.learning_rate)}
    if facts.muon_learning_rate is not None:
        changes["training.muon_learning_rate"] = _rounded(times * facts.muon_learning_rate)
    return changes


def _rounded(rate: float) -> float:
    """A rate with two figures."""
    return float(f"{rate:.1e}")


_RULES: tuple[Callable[[Record, RunFacts], Diagnosis | None], ...] = (
    _diverging, _stuck, _overfitting, _few_texts, _rate_too_low, _plateau,
)  # fmt: skip
