"""Sequences for training and for evaluation, taken from the tokens of a project.

A draw is a pure function of the seed and the step: a resumed run sees what it would have seen, and nothing about
the draw needs to be saved.
"""

import numpy as np
from numpy.typing import NDArray

from llm_studio.data.dataset import Tokens
from llm_studio.errors import DataError
from llm_studio.i18n import _, number


def draw(tokens: Tokens, seed: int, step: int, sequences: int, length: int) -> NDArray[np.int64]:
    """The sequences of one step: (sequences, length + 1), inputs and the token after each. A pure function.

    A sequence comes from a source with probability proportional to the source's weight times its tokens, and
    begins anywhere in it with the same probability. One that is longer than its source goes on into the next.
    Raises DataError when the corpus is smaller than one sequence.
    """
    last_start = len(tokens.train) - (length + 1)
    if last_start < 0:
        raise _too_small(len(tokens.train), length)
    # The raw numbers of Philox are the same for every version of numpy, those of Generator's methods may change.
    raw = np.random.Philox(np.random.SeedSequence([seed, step])).random_raw(2 * sequences)
    chance = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # in [0, 1)
    which = np.searchsorted(_cumulated_shares(tokens), chance[:sequences], side="right")

    begins = np.array([source.start for source in tokens.sources])
    ends = np.array([source.end for source in tokens.sources])
    rooms = np.maximum(ends - begins - length, 1)
    starts = begins[which] + (chance[sequences:] * rooms[which]).astype(np.int64)
    return _rows(tokens, tokens.train, np.minimum(starts, last_start), length)


def evaluation(tokens: Tokens, count: int, length: int) -> NDArray[np.int64]:
    """The validation sequences, always the same: at most (count, length + 1), evenly spaced, predicting no token twice.

    Where there are too few tokens, fewer sequences; where there are fewer than one sequence, one shorter sequence.
    Raises DataError when there are fewer than two tokens.
    """
    predicted = len(tokens.validation) - 1
    if predicted < 1:
        raise DataError(
            _("No text was kept aside to measure what the model has learned."),
            _("Add texts, or raise data.validation_share, then run “llm-studio prepare” again."),
            "data",
        )
    length = min(length, predicted)
    count = min(count, predicted // length)
    starts = np.linspace(0, predicted - length, count).astype(np.int64)
    return _rows(tokens, tokens.validation, starts, length)


def _cumulated_shares(tokens: Tokens) -> NDArray[np.float64]:
    """Up to which number in [0, 1) the draw takes each source."""
    shares = np.array([source.weight * (source.end - source.start) for source in tokens.sources], dtype=np.float64)
    cumulated = np.cumsum(shares)
    if not cumulated[-1] > 0:
        raise DataError(_("Every source has weight 0."), _("Give at least one of them a greater weight."))
    # Exactly 1 from the last source with a share on, so that rounding never picks a source without one.
    return np.where(cumulated == cumulated[-1], 1.0, cumulated / cumulated[-1])


def _rows(
    tokens: Tokens, ids: NDArray[np.unsignedinteger], starts: NDArray[np.int64], length: int
) -> NDArray[np.int64]:
    rows = ids[starts[:, None] + np.arange(length + 1)].astype(np.int64)
    tokens.require_in_vocabulary(rows)
    return rows


def _too_small(count: int, length: int) -> DataError:
    return DataError(
        _("The corpus is smaller than one context: {count} tokens, {needed} are needed.").format(
            count=number(count), needed=number(length + 1)
        ),
        _("Add texts, or set model.max_seq_len lower."),
    )
