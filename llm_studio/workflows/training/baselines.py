"""Reference losses on the tokens of a project: uniform guessing, and models that only count."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from llm_studio import files, records
from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.records import Amount

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer


_MOST_CHANCE = 30.0
"""An upper bound for ln(vocabulary size)."""


@dataclass(frozen=True)
class Baselines:
    """Losses of uniform guessing, a unigram and a bigram model, on the tokens with the fingerprint `data`."""

    data: str
    chance: Annotated[float, records.checked(records.reader(Amount), lambda loss: loss < _MOST_CHANCE)]
    """ln(vocabulary size): the loss of uniform guessing."""
    unigram: Amount
    bigram: Amount
    bytes_per_token: Amount | None = None
    """Mean bytes per token of the tokens they predict; None if the tokenizer of these tokens is gone."""

    def bits_per_byte(self, loss: float) -> float | None:
        """A loss in bits per byte, comparable across vocabularies."""
        return bits_per_byte(loss, self.bytes_per_token)


def baselines(project: Project, job: Job) -> Baselines | None:
    """The baselines of the project's tokens, cached in a file beside them; None if there are none or too few."""
    from llm_studio.data.tokens import baselines as counted
    from llm_studio.data.tokens.dataset import open_tokens
    from llm_studio.errors import ConfigError, DataError

    if not project.tokens_meta.exists():
        return None
    kept = project.processed / "baselines.json"
    try:
        with open_tokens(project.processed) as tokens:
            loss_on = project.settings().training.loss_on
            data, answers = tokens.fingerprint_for(loss_on), loss_on == "answers"
            known = records.recall(kept, Baselines)
            if known and known.data == data and known.bytes_per_token is not None:
                return known
            unigram = counted.unigram_loss(tokens, answers)
            job.check()
            tokenizer = _tokenizer_of(project, tokens.tokenizer)
            bytes_per_token = tokenizer and counted.bytes_per_token(tokens, tokenizer, answers)
            found = Baselines(
                data, math.log(tokens.vocab_size), unigram, counted.bigram_loss(tokens, answers), bytes_per_token
            )
    except (ConfigError, DataError, KeyError):
        return None
    files.write_json(kept, found.__dict__)
    return found


def _tokenizer_of(project: Project, fingerprint: str) -> "Tokenizer | None":
    """The project's tokenizer, if it is the one with this fingerprint."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.errors import TokenizerError

    try:
        tokenizer = Tokenizer.load(project.tokenizer_file)
    except TokenizerError:
        return None
    return tokenizer if tokenizer.fingerprint == fingerprint else None
