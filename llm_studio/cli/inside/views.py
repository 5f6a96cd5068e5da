"""The views of `inspect` and their computations. Their tables are in `tables.py`, their JSON in `records.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_studio.cli.inside import records, tables
from llm_studio.cli.inside.inspection import Inspection
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.workflows.inside.results import AblationEffect, Contributions, PartImportance

MAPPED = 300
"""Number of tokens on the map of embeddings: the most frequent ones."""
_MOST_SEARCHED = 20
"""Most tokens of a text whose neighbours are searched."""


@dataclass(frozen=True)
class View:
    """A view: its computation, its table for a terminal, its JSON. `of_text`: it needs a text."""

    compute: Callable[[Inspection, Job], Any]
    table: Callable[[Inspection, Any], str]
    record: Callable[[Inspection, Any], dict[str, Any]]
    of_text: bool = True


def _contributions(wanted: Inspection, job: Job) -> "Contributions":
    token, versus = wanted.named(wanted.token), wanted.named(wanted.versus)
    return wanted.session.contributions(wanted.ids, job, wanted.position, token, versus)


def _embeddings(wanted: Inspection, job: Job) -> dict[str, Any]:
    """The neighbours of the named token, or of the tokens of the text, and the map of the most frequent tokens."""
    session, token = wanted.session, wanted.named(wanted.token)
    chosen = list(dict.fromkeys(wanted.ids[1:]))[:_MOST_SEARCHED] if token is None else [token]
    job.check()
    neighbours = {one: session.similar_tokens(one, wanted.count) for one in chosen}
    mapped = list(dict.fromkeys([*session.frequent_tokens(MAPPED), *chosen]))
    return {"neighbours": neighbours, "map": session.embedding_map(mapped)}


def _ablation(wanted: Inspection, job: Job) -> "AblationEffect | list[PartImportance]":
    """The effect of switching off the named parts; without any, the importance of each part."""
    from llm_studio.workflows.inside.ablation import AblationStudy, parse_parts

    facts = wanted.session.facts
    parts = parse_parts(wanted.off, facts.n_layers, facts.n_heads)
    study = AblationStudy(wanted.session, job)
    return study.effect(parts, job, wanted.text) if parts else study.importance(job)


VIEWS: dict[str, View] = {
    "surprise": View(
        lambda wanted, job: wanted.session.surprise(wanted.ids, job), tables.surprise, records.surprise
    ),
    "attention": View(
        lambda wanted, job: wanted.session.attention(wanted.ids, job, wanted.window), tables.attention,
        records.attention,
    ),
    "lens": View(
        lambda wanted, job: wanted.session.lens(wanted.ids, job, wanted.window), tables.lens, records.lens
    ),
    "contributions": View(_contributions, tables.contributions, records.contributions),
    "heads": View(lambda wanted, job: wanted.session.head_kinds(job), tables.heads, records.heads, of_text=False),
    "embeddings": View(_embeddings, tables.embeddings, records.embeddings, of_text=False),
    "ablation": View(_ablation, tables.ablation, records.ablation, of_text=False),
}  # fmt: skip
"""By name, in display order."""
