"""Creating a project, changing its settings, and computing the state of its steps and the cost of its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio import files, records
from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.config.yaml_file import parse, read_text
from llm_studio.errors import DamagedConfigError, ProjectError, TokenizerError
from llm_studio.i18n import _
from llm_studio.model import cost
from llm_studio.project import Project, State, state

if TYPE_CHECKING:
    from llm_studio.data.sources.store import SourceList

DEFAULT_PRESET = "small"


def new_project(root: Path, preset: str = DEFAULT_PRESET, language: str = "en", name: str = "") -> Project:
    """Create a project folder with the settings of a preset. Raises ProjectError, StorageError."""
    settings = load_preset(preset).replaced({"project.name": name or root.resolve().name, "project.language": language})
    return Project.create(root, settings)


def apply_preset(project: Project, preset: str) -> Settings:
    """Give the project all settings of a preset, except its name, language and cleaning.

    If config.yaml can't be read, these are lost, too; the damaged file is kept. Raises ConfigError, StorageError.
    """
    new = load_preset(preset).to_dict()
    try:
        old = project.settings().to_dict()
    except DamagedConfigError:
        old = load_preset(preset).replaced({"project.name": project.root.name}).to_dict()
        with files.translate_os_errors(project.config_file):
            records.keep_aside(project.config_file)
    settings = Settings.from_dict({**new, "project": old["project"], "data": old["data"]})
    project.replace_settings(settings)
    return settings


def config_text(project: Project) -> str:
    """The content of config.yaml, valid or not. Raises ConfigError if it can't be read as text."""
    return read_text(project.config_file)


def write_config_text(project: Project, text: str, before: str | None = None) -> Settings:
    """Write `text` to config.yaml, atomically. `before`: the content that the author of `text` started from.

    Raises ConfigError if it isn't valid, ProjectError if the file has changed since `before`, BusyError.
    """
    settings = parse(text)
    with project.writing("config"):
        if before is not None and config_text(project) != before:
            raise ProjectError(_("config.yaml was changed by something else while you were writing."),
                               _("Take over what the file holds now, or keep your text."))  # fmt: skip
        files.write_text(project.config_file, text)
    return settings


def change_settings(project: Project, changes: Mapping[str, object]) -> Settings:
    """Change values in config.yaml. Raises ConfigError with every problem, without changing anything."""
    return project.change_settings(changes)


@dataclass(frozen=True)
class Steps:
    """The state of each step of a project."""

    data: State
    tokenizer: State
    tokens: State


def steps(project: Project) -> Steps:
    """Which steps are done, to do, or out of date because an earlier one changed."""
    from llm_studio.data.corpus.corpus import Corpus
    from llm_studio.data.tokens.meta import recall_meta

    settings = project.settings()
    corpus = Corpus(project.raw, settings.data)
    here = corpus.fingerprint() if corpus.found.all() else ""
    tokenizer = state(project.tokenizer_file, project.tokenizer_meta, tokenizer_inputs(settings, here))
    tokens = state(project.tokens_meta, project.tokens_meta, {})
    if tokens is State.READY:
        used = recall_meta(project.processed)
        same = used and used.corpus == here and used.tokenizer == tokenizer_fingerprint(project)
        tokens = State.READY if used and same and not used.damaged else State.OUT_OF_DATE
    return Steps(texts_state(corpus.found), tokenizer, tokens)


def texts_state(found: "SourceList") -> State:
    """The state of the texts; OUT_OF_DATE if there are only texts that can't be read."""
    return State.READY if found.usable else State.OUT_OF_DATE if found.unusable else State.TO_DO


def tokenizer_inputs(settings: Settings, corpus: str) -> dict[str, str]:
    """Fingerprints of the inputs of a tokenizer's training."""
    requested = settings.tokenizer.model_dump() | {"vocab_size": settings.model.vocab_size}
    return {"corpus": corpus, "settings": files.fingerprint(requested)}


def tokenizer_fingerprint(project: Project) -> str | None:
    """The fingerprint of the project's tokenizer; None if there is none or it can't be used."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    try:
        return Tokenizer.load(project.tokenizer_file).fingerprint
    except TokenizerError:
        return None


@dataclass(frozen=True)
class Cost:
    """The cost of a model: counts, FLOPs, bytes. `vocab_size` is the tokenizer's actual size if there is one."""

    vocab_size: int
    parts: cost.ParameterCounts
    flops_per_token: float
    training_bytes: int
    generation_bytes: int


def model_cost(project: Project, settings: Settings) -> Cost:
    """The cost of the model with these settings and the tokenizer's actual size."""
    return cost_of(settings, _real_vocab_size(project, settings.model.vocab_size))


def cost_of(settings: Settings, vocab_size: int) -> Cost:
    """The cost of the model with these settings and a given vocabulary size. Pure arithmetic.

    With precision "auto" the memory is an upper bound: only torch knows what this machine would use.
    """
    model, training = settings.model, settings.training
    precisions = ("float32", "bfloat16") if training.precision == "auto" else (training.precision,)
    again, muon = training.activation_checkpointing, training.optimizer == "muon"
    needed = [cost.training_bytes(model, vocab_size, training.batch_size, precision, checkpointing=again, muon=muon)
              for precision in precisions]  # fmt: skip
    return Cost(
        vocab_size=vocab_size,
        parts=cost.count_parameters(model, vocab_size),
        flops_per_token=3 * cost.flops_per_token(model, vocab_size, model.max_seq_len),
        training_bytes=max(memory.total for memory in needed),
        generation_bytes=cost.generation_bytes(model, vocab_size),
    )


def _real_vocab_size(project: Project, requested: int) -> int:
    """Number of tokens of the tokenizer if it was imported, borrowed from another model, or trained with `requested`;
    otherwise `requested`."""
    from llm_studio.data.tokenizer.record import recall_record
    from llm_studio.data.tokenizer.tokenizer import Tokenizer, read_content

    recorded = recall_record(project.tokenizer_meta)
    foreign = not project.tokenizer_meta.exists() or recorded.origin  # these are never out of date
    if project.tokenizer_file.exists() and foreign:
        try:
            return Tokenizer.load(project.tokenizer_file).vocab_size
        except TokenizerError:
            return requested
    if recorded.requested != requested or not recorded.vocab_size:
        return requested
    try:
        here = files.fingerprint(read_content(project.tokenizer_file))
    except TokenizerError:
        return requested
    return recorded.vocab_size if recorded.fingerprint == here else requested
