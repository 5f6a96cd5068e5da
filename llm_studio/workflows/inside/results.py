"""What is inside a model, as plain numbers, strings and NumPy arrays, without torch types.

A text starts with the start-of-document token, <|endoftext|>, at position 0; the text's own tokens follow. Layers and
heads are counted from 0 here. The residual stream has L + 1 states: that of the embeddings (0) and after each layer.

Axes: N tokens of a text, T tokens of a window, L layers, H heads, k top guesses.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_studio.inference.parts import ModelPart, all_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Integers = NDArray[np.int64]

__all__ = [
    "AblationEffect", "AttentionMaps", "Contributions", "EmbeddingMap", "Guess", "HeadKinds", "LogitLens", "ModelFacts",
    "ModelPart", "PartImportance", "ShownToken", "SimilarToken", "Surprise", "TextWindow", "all_parts",
]  # fmt: skip


@dataclass(frozen=True)
class ModelFacts:
    """A model: its name, as in run-1/step-000500, and its shape. `off`: names of the parts that are switched off."""

    name: str
    step: int
    n_layers: int
    n_heads: int
    d_model: int
    context: int
    vocab_size: int
    parameters: int
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownToken:
    """A token of a text: the characters it completes, "" if it ends within one, and the token itself for display."""

    id: int
    text: str
    label: str


@dataclass(frozen=True)
class Guess:
    """A possible next token, for display, and its probability by the model."""

    id: int
    label: str
    probability: float


@dataclass(frozen=True)
class TextWindow:
    """The positions `start` to `start + length - 1`, which the model reads at once.

    The first `skipped` of them are already predicted in the window before, with more context.
    """

    start: int
    length: int
    skipped: int


@dataclass(frozen=True, eq=False)
class Surprise:
    """The surprise of a model at each of the N tokens of a text. Nothing predicts position 0."""

    tokens: tuple[ShownToken, ...]
    bits: "Floats"
    """(N,): -log2 of the token's probability; NaN at position 0."""
    ranks: "Integers"
    """(N,): 1 if the token was the most likely one; 0 at position 0."""
    entropy: "Floats"
    """(N,): entropy in bits of the prediction after each position."""
    next_tokens: "Integers"
    """(N, k): the most likely tokens after each position."""
    next_probabilities: "Floats"
    """(N, k): their probabilities."""
    bits_per_byte: float | None
    """Bits per byte of the whole text; None if it is empty."""
    bytes: int
    windows: tuple[TextWindow, ...]
    """The windows in which the model read the text; more than one if it is longer than the context."""

    @property
    def total_bits(self) -> float:
        """Surprise at the whole text in bits."""
        return float(self.bits[1:].sum(dtype="float64"))


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """The attention weights of all heads on a window of a text."""

    tokens: tuple[ShownToken, ...]
    window: TextWindow
    weights: "NDArray[np.float16]"
    """(L, H, T, T): how much each token (row) attends to each other (column); each row sums to 1."""


@dataclass(frozen=True, eq=False)
class LogitLens:
    """The model's predictions after each token of a window, decoded from each of its L + 1 residual states."""

    tokens: tuple[ShownToken, ...]
    window: TextWindow
    guesses: "Integers"
    """(L + 1, T, k): the most likely tokens."""
    probabilities: "Floats"
    """(L + 1, T, k): their probabilities."""
    entropy: "Floats"
    """(L + 1, T), in bits."""
    bits: "Floats"
    """(L + 1, T): surprise at the following token; NaN if there is none."""
    ranks: "Integers"
    """(L + 1, T): rank of the following token; 0 if there is none."""
    decided: "Integers"
    """(T,): the first state from which on the most likely token is the model's final prediction."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each part adds to a token's logit (or to its difference from the logit of `versus`) after a position.

    The parts sum to `logit`. The scale of the final norm is held fixed.
    """

    position: int
    token: Guess
    versus: Guess | None
    logit: float
    embedding: float
    positions: float
    """Contribution of learned or sinusoidal position embeddings; 0 with rotary ones."""
    heads: "Floats"
    """(L, H)."""
    attention_bias: "Floats"
    """(L,): the bias of the attention output projection, which belongs to no head."""
    feed_forward: "Floats"
    """(L,)."""
    norm_bias: float

    def total(self) -> float:
        """The sum of all parts."""
        arrays = (self.heads, self.attention_bias, self.feed_forward)
        return self.embedding + self.positions + self.norm_bias + sum(float(one.sum()) for one in arrays)


@dataclass(frozen=True, eq=False)
class HeadKinds:
    """The measured behaviour of the heads: mean attention weights on random tokens that are repeated once."""

    kinds: tuple[str, ...]
    """previous, first, self, same, induction: see `llm_studio/inference/heads.py`."""
    scores: "Floats"
    """(L, H, kinds)."""
    names: tuple[tuple[str | None, ...], ...]
    """By layer and head, the kind with the largest score, if that is at least `threshold`."""
    threshold: float
    half: int
    """Number of tokens that are repeated."""


@dataclass(frozen=True)
class SimilarToken:
    """A token with a similar embedding, and their cosine similarity."""

    id: int
    label: str
    cosine: float


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Tokens in the plane of the two principal components of their embeddings."""

    ids: "Integers"
    """(N,)."""
    points: "Floats"
    """(N, 2)."""
    explained: tuple[float, float]
    """Fraction of the variance of these embeddings on each axis."""


@dataclass(frozen=True)
class AblationEffect:
    """A model with parts switched off compared with the intact one: validation loss, and continuations of a prompt."""

    off: tuple[str, ...]
    bits_per_byte: float | None
    intact_bits_per_byte: float | None
    tokens: int
    """Number of validation tokens that were scored."""
    text: str
    intact_text: str


@dataclass(frozen=True)
class PartImportance:
    """A part, by name, and the validation loss when only this part is switched off."""

    part: str
    bits_per_byte: float
    change: float
    """In bits per byte; positive if the part helps."""


def of_window(tokens: tuple[ShownToken, ...], window: TextWindow) -> tuple[ShownToken, ...]:
    """The tokens of a window of a text."""
    return tokens[window.start : window.start + window.length]


def facts_of(name: str, step: int, model: Any, off: tuple[str, ...]) -> ModelFacts:
    """The facts of a Transformer."""
    shape = model.settings
    return ModelFacts(
        name, step, shape.n_layers, shape.n_heads, shape.d_model, shape.max_seq_len, model.vocab_size,
        model.parameter_count(), off,
    )  # fmt: skip
