"""The token that might follow, and how the sampler's settings change its chances."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.config import SPECIAL_TOKENS, GenerationSettings
from llm_studio.i18n import _

if TYPE_CHECKING:
    from torch import Tensor

    from llm_studio.data.tokenizer.tokenizer import Tokenizer

PRESETS: dict[str, dict[str, float]] = {
    "precise": {"temperature": 0.3, "top_k": 20, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1},
    "balanced": {"temperature": 0.8, "top_k": 50, "top_p": 0.95, "min_p": 0.0, "repetition_penalty": 1.0},
    "creative": {"temperature": 1.2, "top_k": 200, "top_p": 0.98, "min_p": 0.02, "repetition_penalty": 1.1},
}
"""Settings of the sampler that go together, by name; "balanced" are the defaults."""


@dataclass(frozen=True)
class Candidate:
    """A token that might follow: the model's own probability, and the sampler's, 0 where it is cut."""

    text: str
    """For people: bytes that are no character as 0xC3."""
    own: float
    drawn: float
    writable: bool
    """Whether it is a text that can be put after another."""

    @property
    def kept(self) -> bool:
        """Whether the sampler may draw it."""
        return self.drawn > 0


@dataclass(frozen=True)
class Candidates:
    """The first of the tokens that might follow; `kept` of all `total` can be drawn."""

    first: tuple[Candidate, ...]
    kept: int
    total: int


class NextToken:
    """What a model thinks of the token after `text`, ready to be shown under any settings at once."""

    def __init__(self, text: str, logits: "Tensor", context: list[int], tokenizer: "Tokenizer") -> None:
        self.text = text
        self._logits, self._context, self._tokenizer = logits, context, tokenizer

    def under(self, how: GenerationSettings, count: int = 10) -> Candidates:
        """The chances under these settings. Takes a few milliseconds: fit for the move of a slider."""
        from llm_studio.inference.inspect import choices

        found, kept = choices(self._logits, self._context, how, count)
        first = tuple(
            Candidate(token_text(self._tokenizer, choice.token), choice.model_prob, choice.sampling_prob,
                      is_writable(self._tokenizer, choice.token))
            for choice in found
        )  # fmt: skip
        return Candidates(first, kept, len(self._logits))


def token_text(tokenizer: "Tokenizer", token: int) -> str:
    """A token for people: its text; "(end)" for the end of a document; bytes that are no character as 0xC3 0xA9."""
    if token == tokenizer.end_of_text:
        return _("(end)")
    content = tokenizer.token_bytes(token)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return " ".join(f"0x{byte:02X}" for byte in content)


def is_writable(tokenizer: "Tokenizer", token: int) -> bool:
    """Whether a token is a text that can be put after another: no marker, no part of a character."""
    content = tokenizer.token_bytes(token)
    try:
        return content.decode("utf-8") not in SPECIAL_TOKENS
    except UnicodeDecodeError:
        return False
