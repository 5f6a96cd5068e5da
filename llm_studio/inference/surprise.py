"""The surprise of a model at each token of a text of any length, given at least half a context before it.

A text longer than the context is read in windows that overlap by half, as in `evaluate`: every token after the first
one is predicted once, in the window that contains the most of its context.
"""

from collections.abc import Iterator, Sequence

import torch

from llm_studio.inference.evaluate import windows
from llm_studio.inference.generate import threads_for
from llm_studio.inference.logit_lens import KEPT, NO_TARGET, Predictions, predict
from llm_studio.inference.trace import Check, never
from llm_studio.model.transformer import Transformer


def surprises(model: Transformer, ids: Sequence[int], kept: int = KEPT, check: Check = never) -> Iterator[Predictions]:
    """The predictions after each of `ids`, window by window; concatenated they have one row per id.

    The target of a row is the id after it; the last one has none.
    """
    device = model.head_weight.device
    targets = torch.tensor([*ids[1:], NO_TARGET], device=device)
    for window in windows(len(ids), model.settings.max_seq_len):
        check()
        end = window.start + window.length
        with torch.inference_mode(), threads_for(model.parameter_count() * window.length):
            hidden = model.hidden(torch.tensor([list(ids[window.start : end])], device=device))[0]  # (T, D)
        yield predict(model, hidden[window.skipped :], targets[window.start + window.skipped : end], kept, check)
