"""The distribution of the next token, how each sampling setting changes it, and adding a chosen token to a text."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_studio.config import SPECIAL_TOKENS, GenerationSettings
from llm_studio.events import ExplainedCandidate, TokenExplained
from llm_studio.i18n import N_, _
from llm_studio.workflows.generation import chats

if TYPE_CHECKING:
    from torch import Tensor

    from llm_studio.data.tokenizer.tokenizer import StreamDecoder, Tokenizer

PRESETS: dict[str, dict[str, float]] = {
    "precise": {"temperature": 0.3, "top_k": 20, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1},
    "balanced": {"temperature": 0.8, "top_k": 50, "top_p": 0.95, "min_p": 0.0, "repetition_penalty": 1.0},
    "creative": {"temperature": 1.2, "top_k": 200, "top_p": 0.98, "min_p": 0.02, "repetition_penalty": 1.1},
}
"""Combinations of sampling settings, by name; "balanced" has the defaults."""
_SHORT_NAMES = {"model": N_("Model"), "repetition_penalty": N_("Penalty")}
"""Short names of sampling stages whose setting has a long title, or none."""
_UNFINISHED = "\ufffd"


@dataclass(frozen=True)
class Candidate:
    """A possible next token, with its probability at each stage of sampling.

    `removed_by` is the setting that removes it, or "" if it can be sampled.
    """

    token: int
    text: str
    """For display; bytes that aren't a character are shown as 0xC3."""
    probs: tuple[float, ...]
    removed_by: str = ""
    writable: bool = True
    """Whether it can be added to the text: it is not a special token, except those that end the text."""

    @property
    def model_prob(self) -> float:
        """The model's probability."""
        return self.probs[0]

    @property
    def sampling_prob(self) -> float:
        """The probability of being sampled, after all stages."""
        return self.probs[-1]

    @property
    def kept(self) -> bool:
        """Whether it can be sampled."""
        return not self.removed_by


@dataclass(frozen=True)
class Candidates:
    """Possible next tokens. After each of `stages` ("model", then settings), `left` of all `total` tokens remain."""

    first: tuple[Candidate, ...]
    stages: tuple[str, ...]
    left: tuple[int, ...]
    total: int

    @property
    def kept(self) -> int:
        """Number of tokens that can be sampled."""
        return self.left[-1]

    @property
    def removed(self) -> tuple[int, ...]:
        """Number of tokens removed by each stage."""
        return tuple(before - after for before, after in zip((self.total, *self.left), self.left, strict=False))


class NextToken:
    """A model's logits for the token after `turns`, from which candidates are computed for any sampling settings.

    `context`: the ids that the model has read. `stop`: the tokens that end the text.
    """

    def __init__(
        self, turns: Sequence[chats.Turn], logits: "Tensor", context: list[int], tokenizer: "Tokenizer",
        stop: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.turns = tuple(turns)
        self.total = len(logits)
        self._logits, self._context, self._tokenizer, self._stop = logits, context, tokenizer, frozenset(stop)

    @property
    def text(self) -> str:
        """The text that the model has read: the last text of the turns, or its end."""
        return "".join(turn.prompt + turn.text for turn in chats.context(self.turns))

    def candidates(self, sampling: GenerationSettings, count: int = 10, also: Sequence[int] = ()) -> Candidates:
        """The top `count` candidates with these settings, followed by the tokens of `also` that aren't among them.

        Takes a few milliseconds: fast enough for a slider.
        """
        from llm_studio.inference.generate import threads_for
        from llm_studio.inference.probabilities import candidate_table

        with threads_for(0):  # one thread, so as not to compete with a training run
            table = candidate_table(self._logits, self._context, sampling, count, also)
        first = tuple(
            Candidate(row.token, token_text(self._tokenizer, row.token), row.probs,
                      "" if row.removed_at is None else table.stages[row.removed_at], self._is_writable(row.token))
            for row in table.rows
        )  # fmt: skip
        return Candidates(first, table.stages, table.kept, self.total)

    def explained(self, drawn: int, sampling: GenerationSettings, rows: int) -> TokenExplained:
        """How `drawn` was sampled, with the top `rows` candidates."""
        found = self.candidates(sampling, rows, also=(drawn,))
        candidates = tuple(ExplainedCandidate(c.token, c.text, c.probs, c.removed_by or None) for c in found.first)
        return TokenExplained(drawn, token_text(self._tokenizer, drawn), found.stages, found.left, candidates)

    def draw(self, sampling: GenerationSettings) -> int:
        """Sample a token with these settings."""
        from llm_studio.inference.generate import threads_for
        from llm_studio.inference.sampling import distribution, draw, make_generator

        with threads_for(0):
            return draw(distribution(self._logits, self._context, sampling), make_generator(None))

    def chosen(self, token: int) -> chats.Turn:
        """The last turn with this token appended to its text as a new version; ended if the token ends the text."""
        from llm_studio.inference.probabilities import most_likely

        turn = self.turns[-1]
        before, decoder = resumed(self._tokenizer, turn)
        if token in self._stop:
            return turn.with_tree(turn.tree.branch(0, before, (chats.FINISHED,)))
        probability, best = most_likely(self._logits, token, chats.MOST_ALTERNATIVES)
        alternatives = tuple((token_text(self._tokenizer, one), chats.rounded(p)) for one, p in best)
        text = decoder.push(token) + decoder.finish()
        new = chats.Token(token, text, chats.rounded(probability), alternatives)
        return turn.with_tree(turn.tree.branch(0, [*before, new]))

    def token_text(self, token: int) -> str:
        """A token for display."""
        return token_text(self._tokenizer, token)

    def _is_writable(self, token: int) -> bool:
        return (
            token in self._stop or self._tokenizer.token_bytes(token).decode("utf-8", "replace") not in SPECIAL_TOKENS
        )


def known_ids(tokenizer: "Tokenizer", turn: chats.Turn) -> list[int] | None:
    """The ids of the generated text of a turn; None if they are unknown or another tokenizer made them."""
    ids = [token.id for token in turn.tokens]
    if not all(0 <= token < tokenizer.vocab_size for token in ids):
        return None
    same = tokenizer.decode(ids).rstrip(_UNFINISHED) == turn.text.rstrip(_UNFINISHED)
    return ids if same else None


def resumed(tokenizer: "Tokenizer", turn: chats.Turn) -> "tuple[tuple[chats.Token, ...], StreamDecoder]":
    """The tokens of a turn that is to be continued, and a decoder for those that follow.

    If the text ends within a character, its bytes are left to the decoder.
    """
    decoder, tokens = tokenizer.stream(), turn.tree.tokens()
    for token in known_ids(tokenizer, turn) or ():
        decoder.push(token)
    if tokens and decoder.is_inside_character:
        tokens = (*tokens[:-1], replace(tokens[-1], text=tokens[-1].text.removesuffix(_UNFINISHED)))
    return tokens, decoder


def token_text(tokenizer: "Tokenizer", token: int) -> str:
    """A token for display: its text; "(end)" for the end of a document; bytes that aren't a character as 0xC3 0xA9."""
    if token == tokenizer.end_of_text:
        return _("(end)")
    content = tokenizer.token_bytes(token)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return " ".join(f"0x{byte:02X}" for byte in content)


def stage_name(stage: str) -> str:
    """The short name of a stage of sampling: the model's own probabilities, or a setting of the sampler."""
    return _(_SHORT_NAMES[stage] if stage in _SHORT_NAMES else str(GenerationSettings.model_fields[stage].title))


def visible(text: str) -> str:
    """A token with visible white space."""
    return text.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥")
