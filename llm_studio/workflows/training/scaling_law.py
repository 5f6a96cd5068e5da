"""The scaling law: the bits per byte of a model as a function of its size, its texts and its training, fitted to runs.

The form is that of Hoffmann et al. (2022, arXiv:2203.15556), with more terms, and the discount for repeated texts
of Muennighoff et al. (2023, arXiv:2305.16264):

    bits = E + A N^-α + B D^-β + C X^-γ + K X / R + G (V / T)^δ + H V^-η

N: parameters without the embedding. R: bytes of text read. D: the same, where a byte that was read before counts less:
with U bytes of texts and n = R / U - 1 repetitions, D = U + U n* (1 - exp(-n / n*)). X: bytes of context; a long one is
worth more (C) but is learned later (K). V: tokens of the vocabulary, T: tokens read. The constants are in
`resources/scaling.yaml`, which `python -m tests.benchmarks.scaling` fits to its runs. E differs from text to text, and
doesn't affect which model is best.
"""

import math
from dataclasses import dataclass
from functools import cache

import yaml

from llm_studio.paths import resource


@dataclass(frozen=True)
class ScalingLaw:
    """The constants of the law, of the bytes per token with a vocabulary of V tokens, p + q ln V (`bytes_of_token`,
    `bytes_per_log_vocabulary`), and of the tokens per step of a run over T tokens, k sqrt(T) (`batch_factor`).
    """

    irreducible: float
    size_factor: float
    size_exponent: float
    text_factor: float
    text_exponent: float
    context_factor: float
    context_exponent: float
    long_context_factor: float
    vocabulary_factor: float
    vocabulary_exponent: float
    merges_factor: float
    merges_exponent: float
    repetitions: float
    bytes_of_token: float
    bytes_per_log_vocabulary: float
    batch_factor: float

    def bits_per_byte(self, parameters: int, read: float, texts: float, context: float, vocab_size: int,
                      tokens: float) -> float:  # fmt: skip
        """Bits per byte of held-out text after training on `read` bytes, or `tokens` tokens, from `texts` bytes of
        text. `parameters`: without the embedding; `context` in bytes.
        """
        return (
            self.irreducible
            + self.size_factor * parameters**-self.size_exponent
            + self.text_factor * self.worth(read, texts) ** -self.text_exponent
            + self.context_factor * context**-self.context_exponent
            + self.long_context_factor * context / read
            + self.vocabulary_factor * (vocab_size / tokens) ** self.vocabulary_exponent
            + self.merges_factor * vocab_size**-self.merges_exponent
        )

    def worth(self, read: float, texts: float) -> float:
        """The bytes of new text worth as much as `read` bytes read in several passes over `texts` bytes."""
        if read <= texts:
            return read
        repeated = read / texts - 1
        return texts + texts * self.repetitions * (1 - math.exp(-repeated / self.repetitions))

    def bytes_per_token(self, vocab_size: int) -> float:
        """Mean bytes per token of typical texts with a vocabulary of this size."""
        return self.bytes_of_token + self.bytes_per_log_vocabulary * math.log(vocab_size)

    def batch_tokens(self, tokens: float) -> float:
        """The tokens per step that suit a run over `tokens` tokens: longer runs need larger steps."""
        return self.batch_factor * math.sqrt(tokens)


@cache
def scaling_law() -> ScalingLaw:
    """The fitted law. Its file is read only once."""
    values = yaml.safe_load(resource("scaling.yaml").read_text(encoding="utf-8"))
    return ScalingLaw(**{name: float(value) for name, value in values.items()})
