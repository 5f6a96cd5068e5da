"""The distribution of the next token, and how the sampler's settings change it."""

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
"""Settings of the sampler that suit each other, by name; "balanced" are the defaults."""


@dataclass(frozen=True)
class Candidate:
    """A possible next token: its probability by the model, and after the sampler's filters, 0 if it is cut."""

    text: str
    """For display: bytes that aren't a character as 0xC3."""
    model_prob: float
    sampling_prob: float
    writable: bool
    """Whether its text can be appended to another."""

    @property
    def kept(self) -> bool:
        """Whether the sampler can draw it."""
        return self.sampling_prob > 0


@dataclass(frozen=True)
class Candidates:
    """The first possible next tokens; of all `total` tokens, `kept` can be drawn."""

    first: tuple[Candidate, ...]
    kept: int
    total: int


class NextToken:
    """A model's logits for the token after `text`, from which the candidates under any settings follow at once."""

    def __init__(self, text: str, logits: "Tensor", context: list[int], tokenizer: "Tokenizer") -> None:
        self.text = text
        self._logits, self._context, self._tokenizer = logits, context, tokenizer

    def candidates(self, sampling: GenerationSettings, count: int = 10) -> Candidates:
        """The `count` first candidates with these settings. Takes a few milliseconds: fast enough for a slider."""
        from llm_studio.inference.probabilities import token_probabilities

        found, kept = token_probabilities(self._logits, self._context, sampling, count)
        first = tuple(
            Candidate(token_text(self._tokenizer, choice.token), choice.model_prob, choice.sampling_prob,
                      is_writable(self._tokenizer, choice.token))
            for choice in found
        )  # fmt: skip
        return Candidates(first, kept, len(self._logits))


def token_text(tokenizer: "Tokenizer", token: int) -> str:
    """A token for display: its text; "(end)" for the end of a document; bytes that aren't a character as 0xC3 0xA9."""
    if token == tokenizer.end_of_text:
        return _("(end)")
    content = tokenizer.token_bytes(token)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return " ".join(f"0x{byte:02X}" for byte in content)


def is_writable(tokenizer: "Tokenizer", token: int) -> bool:
    """Whether the text of a token can be appended to another: not a marker, not part of a character."""
    content = tokenizer.token_bytes(token)
    try:
        return content.decode("utf-8") not in SPECIAL_TOKENS
    except UnicodeDecodeError:
        return False
