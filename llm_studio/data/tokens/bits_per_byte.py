"""Bits per byte: a loss that compares across vocabularies.

    bits per byte = summed loss of the tokens / ln 2 / UTF-8 bytes of their text
                  = loss per token / ln 2 / bytes per token

A tokenizer with longer tokens makes fewer, harder predictions, so losses per token of different tokenizers don't
compare; the bytes of a text don't depend on how it is cut. The loss of `<|endoftext|>` is counted, its bytes are zero:
a special token belongs to no text.
"""

import math


def bits_per_byte(loss: float | None, bytes_per_token: float | None) -> float | None:
    """`loss`, in nats per token, in bits per byte, where a token stands for `bytes_per_token` bytes on average.

    None where either isn't known, or the loss isn't a finite number.
    """
    if loss is None or not bytes_per_token or not math.isfinite(loss):
        return None
    return loss / math.log(2) / bytes_per_token
