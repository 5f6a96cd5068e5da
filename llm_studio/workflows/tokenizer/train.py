"""Training the tokenizer of a project on its corpus."""

from dataclasses import dataclass

from llm_studio import files
from llm_studio.config import LARGEST_VOCABULARY
from llm_studio.errors import TokenizerError
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data.corpus import open_whole_corpus
from llm_studio.workflows.projects import tokenizer_inputs

_HELD_OUT_CHARACTERS = 2_000_000


@dataclass(frozen=True)
class TrainedTokenizer:
    """The result of training a tokenizer, measured on validation text."""

    vocab_size: int
    requested: int
    characters_per_token: float
    tokens_per_word: float


def train_tokenizer(project: Project, job: Job, vocab_size: int | None = None) -> TrainedTokenizer:
    """Train the tokenizer on the corpus. A given `vocab_size` is saved in config.yaml. Raises TokenizerError."""
    from llm_studio.data.tokenizer.training import measure_quality
    from llm_studio.data.tokenizer.training import train_tokenizer as train

    with project.writing("tokenizer"):
        requested = project.settings().model.vocab_size if vocab_size is None else vocab_size
        if requested > LARGEST_VOCABULARY:
            raise TokenizerError(
                _("A tokenizer can have at most {count} tokens.").format(count=number(LARGEST_VOCABULARY)),
                _("Choose a smaller model.vocab_size."),
            )
        corpus = open_whole_corpus(project)
        if vocab_size is not None:
            project.change_settings({"model.vocab_size": vocab_size})
        settings = project.settings()
        plan = corpus.plan(job)
        tokenizer = train(plan, requested, settings.tokenizer, job)
        measured = measure_quality(tokenizer, (s.text for s in plan.texts("validation")), _HELD_OUT_CHARACTERS)
        job.check()
        result = TrainedTokenizer(
            tokenizer.vocab_size, requested, measured.characters_per_token, measured.tokens_per_word
        )
        tokenizer.save(project.tokenizer_file)
        files.write_json(project.tokenizer_meta, {
            "version": 1, "asked": requested, "vocab_size": tokenizer.vocab_size, "fingerprint": tokenizer.fingerprint,
            "characters_per_token": result.characters_per_token, "tokens_per_word": result.tokens_per_word,
            "inputs": tokenizer_inputs(settings, corpus.fingerprint()),
        })  # fmt: skip
    return result
