"""Statistics of the corpus of a project, and the fraction of its training tokens that each source contributes."""

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
    """The statistics of the texts after cleaning, measured once and cached in the project.

    Raises ProjectError if there are no texts, DataError if cleaning leaves none, Cancelled.
    """
    from llm_studio.data.corpus.statistics import measure as measure_plan

    corpus = open_corpus(project, job=job)
    known = _recalled(project, corpus.readable_fingerprint())
    if known is not None:
        return known
    found = measure_plan(corpus.plan(job), job)
    remember(_cache_file(project), found, corpus.readable_fingerprint(), _VERSION)
    return found


def known(project: Project) -> "Statistics | None":
    """The cached statistics; None if they were never measured or the texts have changed. Fast."""
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, project.settings().data)
    return _recalled(project, corpus.readable_fingerprint()) if corpus.sources else None


def _recalled(project: Project, key: str) -> "Statistics | None":
    from llm_studio.data.corpus.statistics import Statistics

    return recall(_cache_file(project), Statistics, key, _VERSION)


def _cache_file(project: Project):
    return project.raw.parent / ".statistics.json"


# --- The mixture -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """The contribution of one source to training. `documents` and `characters` are counted before cleaning.

    `tokens`: its training tokens; `share`: the fraction (0 to 1) of sequences drawn from it; `passes`: how often each
    token is seen on average in `training.max_steps`. `exact`: counted in the prepared tokens. Otherwise estimated from
    the characters (after cleaning, if that was measured); then `tokens` and `passes` are None if the characters per
    token are unknown.
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
    """The contribution of each source, with these settings or the project's. Reads no texts, only what is recorded.

    If all weights are 0, all shares are 0; training raises an error in that case.
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
    """Training tokens by source; None unless they were prepared from the current texts and settings."""
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
