"""Bits per byte: a loss that is comparable across vocabularies.

    bits per byte = summed loss of the tokens / ln 2 / UTF-8 bytes of their text
                  = loss per token / ln 2 / bytes per token

With longer tokens, a model makes fewer, harder predictions, so losses per token of different tokenizers aren't
comparable; the bytes of a text don't depend on how it is split. The loss of `<|endoftext|>` is counted, but it has no
bytes: a special token belongs to no text.
"""

import math


def bits_per_byte(loss: float | None, bytes_per_token: float | None) -> float | None:
    """Convert `loss`, in nats per token, to bits per byte, for tokens with `bytes_per_token` bytes on average.

    None if either is unknown, or the loss isn't finite.
    """
    if loss is None or not bytes_per_token or not math.isfinite(loss):
        return None
    return loss / math.log(2) / bytes_per_token
