"""What a plan must know of the texts, and of a tokenizer or model that must be kept."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.config import ModelSettings
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.overview import Overview
from llm_studio.workflows.projects import tokenizer_fingerprint
from llm_studio.workflows.tokenizer.borrowed import bytes_per_token, is_imported
from llm_studio.workflows.training.continue_from import Origin
from llm_studio.workflows.training.familiarity import is_familiar
from llm_studio.workflows.training.scaling_law import ScalingLaw, scaling_law

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

VOCABULARIES = (512, 1024, 2048, 4096, 8192, 16_384, 32_768)
TIMES_PER_TOKEN = 140
"""A token of the vocabulary should occur at least this often in the texts, on average. The law, whose runs end at a
vocabulary of 8,192, would choose 16,384 for 9 MB of novels, where a token occurs 125 times; at 150 times, as with 2,048
on Shakespeare, half the vocabulary is worse."""


@dataclass(frozen=True)
class PlanTexts:
    """The texts to learn from, with their `size` in bytes.

    `tokenizer`: (vocabulary size, bytes per token) of a tokenizer that must be kept; `model`: the shape of a model that
    must be kept; `borrows`: that tokenizer isn't the project's yet; `familiar`: that model already knows such texts.
    """

    size: int
    law: ScalingLaw
    tokenizer: tuple[int, float] | None
    model: ModelSettings | None = None
    borrows: bool = False
    familiar: bool = False

    def bytes_per_token(self, vocab_size: int) -> float:
        """Mean bytes per token of a tokenizer with this vocabulary size."""
        return self.tokenizer[1] if self.tokenizer else self.law.bytes_per_token(vocab_size)

    def tokens(self, vocab_size: int) -> float:
        """Number of tokens of all texts."""
        return self.size / self.bytes_per_token(vocab_size)

    def vocabularies(self) -> list[int]:
        """Vocabulary sizes worth considering."""
        if self.tokenizer:
            return [self.tokenizer[0]]
        kept = [v for v in VOCABULARIES if v * TIMES_PER_TOKEN <= self.size / self.law.bytes_per_token(v)]
        return kept or [VOCABULARIES[0]]


def plan_texts(here: Overview, origin: Origin | None, job: Job) -> PlanTexts:
    """The texts of a project. `origin`: the model that the run starts from. Raises TokenizerError, Cancelled."""
    size = max(1, int(sum(source.bytes for source in here.sources) * (1 - here.settings.data.validation_share)))
    tokenizer = _kept_tokenizer(here.project, origin)
    if tokenizer is None:
        return PlanTexts(size, scaling_law(), None)
    known = (tokenizer.vocab_size, bytes_per_token(here.project, tokenizer))
    if origin is None:
        return PlanTexts(size, scaling_law(), known)
    fixed = {"vocab_size": tokenizer.vocab_size, "dropout": 0.0}
    model = origin.checkpoint.settings().model.model_copy(update=fixed)
    borrows = tokenizer_fingerprint(here.project) != tokenizer.fingerprint
    return PlanTexts(size, scaling_law(), known, model, borrows, is_familiar(here.project, origin, job))


def _kept_tokenizer(project: Project, origin: Origin | None) -> "Tokenizer | None":
    """The tokenizer of the model that the run starts from, or one that the user has imported."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    if origin:
        return Tokenizer.from_json(origin.checkpoint.tokenizer_json())
    return Tokenizer.load(project.tokenizer_file) if is_imported(project) else None
