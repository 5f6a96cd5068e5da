"""Sequences for training and for evaluation, taken from the tokens of a project.

A draw is a pure function of the seed and the step: a resumed run sees what it would have seen, and nothing about
the draw needs to be saved.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.tokens.dataset import SourceRange, Tokens
from llm_studio.errors import DataError
from llm_studio.i18n import _, number


def draw(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.int64]:
    """The sequences of one step: (sequences, length + 1), inputs and the token after each. A pure function.

    A sequence comes from a source with probability proportional to the source's weight times its tokens, and
    begins anywhere in it with the same probability. One that is longer than its source goes on into the next; where
    a source is left out (weight 0) it begins the source again instead, so that no token of that one is seen.
    Raises DataError when the corpus is smaller than one sequence, or every source has weight 0.
    """
    rows = tokens.train[_places(tokens, seed, step, sequences, length, weights)].astype(np.int64)
    tokens.require_in_vocabulary(rows)
    return rows


def draw_answers(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.bool_]:
    """Of the sequences that `draw` gives for the same arguments: whether each target belongs to an answer.

    (sequences, length): a target is the token after each input.
    """
    places = _places(tokens, seed, step, sequences, length, weights)
    return tokens.answers("train", places[:, 1:])


def _places(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float]
) -> NDArray[np.int64]:
    """Where in the training tokens the sequences of one step are: (sequences, length + 1)."""
    last_start = len(tokens.train) - (length + 1)
    if last_start < 0:
        raise _too_small(len(tokens.train), length)
    # The raw numbers of Philox are the same for every version of numpy, those of Generator's methods may change.
    raw = np.random.Philox(np.random.SeedSequence([seed, step])).random_raw(2 * sequences)
    chance = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
    shares = source_shares(tokens.sources, weights)
    which = np.searchsorted(_cumulated(shares), chance[:sequences], side="right")

    begins = np.array([source.start for source in tokens.sources])
    ends = np.array([source.end for source in tokens.sources])
    rooms = np.maximum(ends - begins - length, 1)
    starts = begins[which] + (chance[sequences:] * rooms[which]).astype(np.int64)
    offsets = np.arange(length + 1)
    if shares.all():
        return np.minimum(starts, last_start)[:, None] + offsets
    first, size = begins[which][:, None], (ends - begins)[which][:, None]
    return first + (starts[:, None] - first + offsets) % size


def source_shares(sources: Sequence[SourceRange], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """How often each source is drawn, in no particular unit: its tokens times its weight.

    Raises DataError where that is 0 for all.
    """
    shares = np.array(
        [source.weight * weights.get(source.name, 1.0) * (source.end - source.start) for source in sources],
        dtype=np.float64,
    )
    if not shares.sum() > 0:
        raise DataError(_("Every source has weight 0: there is nothing to train on."),
                        _("Give at least one of them a greater weight in data.weights."), "data")  # fmt: skip
    return shares


def evaluation(tokens: Tokens, count: int, length: int, weights: Mapping[str, float] = {}) -> NDArray[np.int64]:
    """The validation sequences, always the same: at most (count, length + 1), evenly spaced, predicting no token twice.

    Where there are too few tokens, fewer sequences; where there are fewer than one sequence, one shorter sequence.
    Of the weights only 0 counts: what isn't trained on isn't measured either, if anything is left then. The other
    sources are there as the texts are, so that a loss stays comparable when the mixture changes. Raises DataError
    when there are fewer than two tokens.
    """
    rows = tokens.validation[_evaluation_places(tokens, count, length, weights)].astype(np.int64)
    tokens.require_in_vocabulary(rows)
    return rows


def evaluation_answers(tokens: Tokens, count: int, length: int, weights: Mapping[str, float] = {}) -> NDArray[np.bool_]:
    """Of the sequences that `evaluation` gives: whether each target belongs to an answer, (count, length)."""
    return tokens.answers("validation", _evaluation_places(tokens, count, length, weights)[:, 1:])


def _evaluation_places(tokens: Tokens, count: int, length: int, weights: Mapping[str, float]) -> NDArray[np.int64]:
    kept = [s for s in tokens.validation_sources if s.weight * weights.get(s.name, 1.0) > 0]
    if sum(source.end - source.start for source in kept) < 2:
        kept = [SourceRange("", 0, len(tokens.validation))]
    begins, sizes = np.array([s.start for s in kept]), np.array([s.end - s.start for s in kept])
    predicted = int(sizes.sum()) - 1
    if predicted < 1:
        raise DataError(
            _("No text was kept aside to measure what the model has learned."),
            _("Add texts, or raise data.validation_share, then run “llm-studio prepare” again."),
            "data",
        )
    length = min(length, predicted)
    count = min(count, predicted // length)
    starts = np.linspace(0, predicted - length, count).astype(np.int64)
    places = starts[:, None] + np.arange(length + 1)  # as if the sources that are kept stood side by side
    which = np.searchsorted(np.cumsum(sizes), places, side="right")
    return places - (np.cumsum(sizes) - sizes)[which] + begins[which]


def _cumulated(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up to which number in [0, 1) the draw takes each source."""
    cumulated = np.cumsum(shares)
    # Exactly 1 from the last source with a share on, so that rounding never picks a source without one.
    return np.where(cumulated == cumulated[-1], 1.0, cumulated / cumulated[-1])


def _too_small(count: int, length: int) -> DataError:
    return DataError(
        _("The corpus is smaller than one context: {count} tokens, {needed} are needed.").format(
            count=number(count), needed=number(length + 1)
        ),
        _("Add texts, or set model.max_seq_len lower."),
    )
