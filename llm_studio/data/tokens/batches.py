"""Sequences for training and evaluation, sampled from the tokens of a project.

The sampling is a pure function of the seed and the step: a resumed run sees the same sequences as an uninterrupted one,
and no sampling state needs to be saved.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.tokens.dataset import Tokens
from llm_studio.data.tokens.meta import SourceRange
from llm_studio.errors import DataError
from llm_studio.i18n import _, number


def draw_sequences(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.int64]:
    """The sequences of one step: (sequences, length + 1), the inputs and the token after each. A pure function.

    The source of a sequence is drawn with probability proportional to weight × tokens, its start uniformly within the
    source. A sequence that is longer than its source continues into the next one; if any source is excluded (weight 0),
    it wraps around to the start of its own source instead, so that no token of an excluded source is seen.
    Raises DataError when the corpus is smaller than one sequence, or every source has weight 0.
    """
    rows = tokens.train[_places(tokens, seed, step, sequences, length, weights)].astype(np.int64)
    tokens.require_in_vocabulary(rows)
    return rows


def draw_answer_mask(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.bool_]:
    """Whether each target of `draw_sequences` with the same arguments is in an answer: (sequences, length).

    A target is the token after each input.
    """
    places = _places(tokens, seed, step, sequences, length, weights)
    return tokens.in_answer("train", places[:, 1:])


def _places(
    tokens: Tokens, seed: int, step: int, sequences: int, length: int, weights: Mapping[str, float]
) -> NDArray[np.int64]:
    """The indices into the training tokens of the sequences of one step: (sequences, length + 1)."""
    last_start = len(tokens.train) - (length + 1)
    if last_start < 0:
        raise _too_small(len(tokens.train), length)
    # The raw numbers of Philox are the same in every version of numpy; those of Generator's methods may change.
    raw = np.random.Philox(np.random.SeedSequence([seed, step])).random_raw(2 * sequences)
    uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
    source_weights = sampling_weights(tokens.sources, weights)
    which = np.searchsorted(_cumulative_probabilities(source_weights), uniform[:sequences], side="right")

    begins = np.array([source.start for source in tokens.sources])
    ends = np.array([source.end for source in tokens.sources])
    rooms = np.maximum(ends - begins - length, 1)
    starts = begins[which] + (uniform[sequences:] * rooms[which]).astype(np.int64)
    offsets = np.arange(length + 1)
    if source_weights.all():
        return np.minimum(starts, last_start)[:, None] + offsets
    first, size = begins[which][:, None], (ends - begins)[which][:, None]
    return first + (starts[:, None] - first + offsets) % size


def sampling_weights(sources: Sequence[SourceRange], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """The sampling weight of each source, not normalised: its tokens times its weight.

    Raises DataError if all are 0.
    """
    products = np.array(
        [source.weight * weights.get(source.name, 1.0) * (source.end - source.start) for source in sources],
        dtype=np.float64,
    )
    if not products.sum() > 0:
        raise DataError(_("Every source has weight 0: there is nothing to train on."),
                        _("Give at least one of them a greater weight in data.weights."), "data")  # fmt: skip
    return products


def evaluation_sequences(
    tokens: Tokens, count: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.int64]:
    """The validation sequences, always the same: at most (count, length + 1), evenly spaced, without repeated targets.

    With too few tokens there are fewer sequences; with less than one sequence, one shorter sequence. Of the weights
    only 0 has an effect: sources that are not trained on are not evaluated either, unless nothing would be left. The
    other sources are represented in proportion to their texts, so that losses stay comparable when the weights change.
    Raises DataError when there are fewer than two tokens.
    """
    rows = tokens.validation[_evaluation_places(tokens, count, length, weights)].astype(np.int64)
    tokens.require_in_vocabulary(rows)
    return rows


def evaluation_answer_mask(
    tokens: Tokens, count: int, length: int, weights: Mapping[str, float] = {}
) -> NDArray[np.bool_]:
    """Whether each target of `evaluation_sequences` is in an answer: (count, length)."""
    return tokens.in_answer("validation", _evaluation_places(tokens, count, length, weights)[:, 1:])


def validation_stream(
    tokens: Tokens, weights: Mapping[str, float] = {}
) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.bool_] | None]:
    """All validation tokens that `evaluation_sequences` chooses from, and which are in answers if there are masks."""
    kept = _evaluated_sources(tokens, weights)
    ids = np.concatenate([tokens.validation[source.start : source.end] for source in kept])
    tokens.require_in_vocabulary(ids)
    if not tokens.has_conversations:
        return ids, None
    places = (np.arange(source.start, source.end) for source in kept)
    return ids, np.concatenate([tokens.in_answer("validation", those) for those in places])


def _evaluated_sources(tokens: Tokens, weights: Mapping[str, float]) -> list[SourceRange]:
    """The sources that are trained on; all of them if none would be left."""
    kept = [s for s in tokens.validation_sources if s.weight * weights.get(s.name, 1.0) > 0]
    if sum(source.end - source.start for source in kept) < 2:
        return [SourceRange("", 0, len(tokens.validation))]
    return kept


def _evaluation_places(tokens: Tokens, count: int, length: int, weights: Mapping[str, float]) -> NDArray[np.int64]:
    kept = _evaluated_sources(tokens, weights)
    begins, sizes = np.array([s.start for s in kept]), np.array([s.end - s.start for s in kept])
    predicted = int(sizes.sum()) - 1
    if predicted < 1:
        raise DataError(
            _("There is no validation text to measure what the model has learned."),
            _("Add texts, or raise data.validation_share, then run “llm-studio prepare” again."),
            "data",
        )
    length = min(length, predicted)
    count = min(count, predicted // length)
    starts = np.linspace(0, predicted - length, count).astype(np.int64)
    places = starts[:, None] + np.arange(length + 1)  # positions in the concatenation of the kept sources
    which = np.searchsorted(np.cumsum(sizes), places, side="right")
    return places - (np.cumsum(sizes) - sizes)[which] + begins[which]


def _cumulative_probabilities(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cumulative probabilities of sources with these weights."""
    sums = np.cumsum(weights)
    # Exactly 1 from the last source with a weight on, so that rounding never selects a source without one.
    return np.where(sums == sums[-1], 1.0, sums / sums[-1])


def _too_small(count: int, length: int) -> DataError:
    return DataError(
        _("The corpus is smaller than one context: {count} tokens, {needed} are needed.").format(
            count=number(count), needed=number(length + 1)
        ),
        _("Add texts, or set model.max_seq_len lower."),
    )
