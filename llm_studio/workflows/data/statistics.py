"""What the corpus of a project is made of, and which part each source has in its training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.config import Settings
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows.data.corpus import open_corpus
from llm_studio.workflows.data.kept import recall, remember

if TYPE_CHECKING:
    from llm_studio.data.corpus.statistics import Figures as Figures
    from llm_studio.data.corpus.statistics import Statistics

_VERSION = 2


def measure(project: Project, job: Job) -> "Statistics":
    """Read all texts as they are after cleaning, and count; kept in the project for the next time.

    Raises ProjectError where there are no texts, DataError where cleaning leaves none, Cancelled.
    """
    from llm_studio.data.corpus.statistics import measure as measure_plan

    corpus = open_corpus(project, job=job)
    known = _recalled(project, corpus.readable_fingerprint())
    if known is not None:
        return known
    found = measure_plan(corpus.plan(job), job)
    remember(_kept(project), found, corpus.readable_fingerprint(), _VERSION)
    return found


def known(project: Project) -> "Statistics | None":
    """The statistics where they were measured already and the texts are the same: at once."""
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    return _recalled(project, corpus.readable_fingerprint()) if corpus.sources else None


def _recalled(project: Project, key: str) -> "Statistics | None":
    from llm_studio.data.corpus.statistics import Statistics

    return recall(_kept(project), Statistics, key, _VERSION)


def _kept(project: Project):
    return project.raw.parent / ".statistics.json"


# --- The mixture -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """The part of a source in the training. `documents` and `characters` are as gathered, before cleaning.

    `tokens` for training, `share` (0 to 1) of all that will be drawn, `passes`: how often each token is seen on
    average in `training.max_steps`. Estimated from the characters (those that cleaning keeps, where they were
    measured), and without tokens and passes where nothing is known of the tokenizer, unless `exact`: the texts have
    been turned into tokens.
    """

    source: str
    documents: int
    characters: int
    tokens: int | None
    weight: float
    share: float
    passes: float | None
    exact: bool
    conversations: bool


def shares(project: Project, settings: Settings | None = None) -> list[Share]:
    """The part of each source in the training, under these settings or the project's. Reads manifests alone.

    Where all weights are 0, so are all shares: training says that.
    """
    from llm_studio.data.sources import store

    settings = settings or project.settings()
    sources = store.list_sources(project.raw)
    tokens = _exact_tokens(project)
    exact = tokens is not None
    if tokens is None:
        per_token = _characters_per_token(project)
        kept = 1 - settings.data.validation_share
        measured = known(project)
        cleaned = {name: f.characters for name, f in measured.sources.items()} if measured else {}
        tokens = {
            s.name: cleaned.get(s.name, 0 if measured else s.characters) * kept / (per_token or 1.0) for s in sources
        }
        known_tokens = per_token is not None
    else:
        known_tokens = True
    weights = {source.name: settings.data.weights.get(source.name, 1.0) for source in sources}
    total = sum(weights[name] * tokens.get(name, 0) for name in weights)
    training = settings.training
    drawn = (training.max_steps * training.batch_size * training.gradient_accumulation_steps
             * settings.model.max_seq_len)  # fmt: skip
    found: list[Share] = []
    for source in sources:
        count, weight = tokens.get(source.name, 0), weights[source.name]
        share = weight * count / total if total else 0.0
        passes = (drawn * share / count if count else 0.0) if known_tokens else None
        found.append(Share(source.name, source.documents, source.characters, round(count) if known_tokens else None,
                           weight, share, passes, exact, source.conversations))  # fmt: skip
    return found


def _exact_tokens(project: Project) -> dict[str, float] | None:
    """Training tokens by source, where they were made of the texts and settings as they are now."""
    from llm_studio.data.tokens.meta import recall_meta
    from llm_studio.workflows.projects import steps

    if not project.tokens_meta.exists() or steps(project).tokens is not State.READY:
        return None
    meta = recall_meta(project.processed)
    if meta is None:
        return None
    found: dict[str, float] = {}
    for part in meta.sources:
        found[part.name] = found.get(part.name, 0) + part.end - part.start
    return found


def _characters_per_token(project: Project) -> float | None:
    from llm_studio.data.tokenizer.record import recall_record

    return recall_record(project.tokenizer_meta).characters_per_token or None
