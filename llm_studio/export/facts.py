"""Facts about an exported model, for the model cards of the formats."""

from dataclasses import dataclass

from llm_studio.data.tokens.meta import recall_meta
from llm_studio.export.format import Option
from llm_studio.export.source import Source
from llm_studio.files import fingerprint
from llm_studio.i18n import N_, short_number
from llm_studio.project import Project

LICENCES = ("unknown", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "mit", "apache-2.0", "other")
"""Licence identifiers of the Hugging Face hub; the first means that nothing is known."""
LICENCE = Option(
    "licence",
    N_("Licence"),
    N_("What others may do with the model, written into its model card. Choose one that the texts allow."),
    LICENCES,
)


@dataclass(frozen=True)
class TextSource:
    """A source of the texts that a model was trained on, with its number of tokens."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Facts:
    """The content of a model card. `sources` is empty if they are unknown, as for a checkpoint that was moved."""

    project: str
    language: str
    run: str
    step: int
    tokens: int
    """Number of tokens seen in training."""
    parameters: int
    vocab_size: int
    context: int
    validation_loss: float | None
    bits_per_byte: float | None
    sources: tuple[TextSource, ...]

    @property
    def size(self) -> str:
        """The number of parameters, abbreviated."""
        return short_number(self.parameters)


def facts(source: Source) -> Facts:
    """The facts about a model."""
    saved, settings = source.saved, source.settings
    return Facts(
        project=settings.project.name or _project(source).root.name,
        language=settings.project.language,
        run=source.model.run,
        step=saved.step,
        tokens=saved.state.tokens,
        parameters=source.parameters,
        vocab_size=source.tokenizer.vocab_size,
        context=settings.model.max_seq_len,
        validation_loss=saved.state.validation_loss,
        bits_per_byte=saved.bits_per_byte,
        sources=_sources(source),
    )


def _project(source: Source) -> Project:
    return Project(source.model.path.absolute().parents[2])


def _sources(source: Source) -> tuple[TextSource, ...]:
    """The sources of the project's current tokens, if they are those of the run."""
    meta = recall_meta(_project(source).processed)
    if meta is None:
        return ()
    whole, answers = meta.fingerprint, fingerprint(meta.fingerprint, source.settings.training.loss_on)
    if source.saved.state.data not in (whole, answers):
        return ()
    return tuple(TextSource(one.name, one.end - one.start) for one in meta.sources)
