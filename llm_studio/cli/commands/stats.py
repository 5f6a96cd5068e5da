"""The command `stats`: statistics of the texts, and the weight of each source in training."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from llm_studio.cli.options import Folder, Json, table
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, number, percent, short_number
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.corpus.statistics import Figures, Lengths, Statistics
    from llm_studio.workflows.data.statistics import Share

_WORDS, _LANGUAGES = 20, 5
_WIDEST_BAR = 40


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(help=_("Show statistics of the texts, and the weight of each source in training."))(stats)


def stats(folder: Folder, as_json: Json = False) -> None:
    from llm_studio.workflows.data.statistics import measure, shares

    project = Project.open(folder)
    with running(as_json) as job:
        found = measure(project, job)
        mixture = shares(project)
        figures: dict[str, object] = {"shares": [asdict(share) for share in mixture], "statistics": found.to_json()}
        job.report(Done("" if as_json else _text(found, mixture), "", figures))


def _text(found: "Statistics", mixture: "list[Share]") -> str:
    from llm_studio.workflows.data.cleaning import left_out

    sections = [_mixture(mixture), _figures_table(found), _lengths(found.corpus.lengths), _frequent(found.corpus)]
    what = left_out(found.left_out)
    if what:
        sections.append(_("Documents left out by cleaning: {what}.").format(what=what))
    return "\n\n".join(sections)


def _mixture(mixture: "list[Share]") -> str:
    head = (_("source"), _("documents"), _("characters"), _("training tokens"), _("weight"), _("share in training"),
            _("passes"))  # fmt: skip
    rows = [_share(share) for share in mixture]
    text = table([head, *rows], numbers=6)
    notes: list[str] = []
    if not any(share.exact for share in mixture):
        notes.append(_("Estimated from the characters until the tokens are prepared."))
    if not any(share.share for share in mixture):
        notes.append(_("Every source has weight 0: there is nothing to train on."))
    return "\n".join([text, *notes])


def _share(share: "Share") -> tuple[str, ...]:
    whole = share.weight == int(share.weight)
    return (
        share.source,
        number(share.documents),
        short_number(share.characters),
        "–" if share.tokens is None else short_number(share.tokens),
        number(share.weight, 0 if whole else 2),
        percent(share.share, 1),
        "–" if share.passes is None else number(share.passes, 1),
    )


def _figures_table(found: "Statistics") -> str:
    head = (_("after cleaning"), _("documents"), _("characters"), _("words"), _("distinct words"),
            _("letters per word"), _("words per sentence"), _("near duplicates"), _("languages"))  # fmt: skip
    named = list(found.sources.items())
    if len(named) > 1:
        named.append((_("all together"), found.corpus))
    rows = [
        (name, number(f.documents), short_number(f.characters), short_number(f.words),
         ("" if f.distinct_exact else "≈ ") + number(f.distinct_words), number(f.word_length, 1),
         number(f.sentence_length, 1), number(f.duplicates + f.near_duplicates), _languages(f))
        for name, f in named
    ]  # fmt: skip
    return table([head, *rows], numbers=8)


def _languages(figures: "Figures") -> str:
    unsure = _("unsure")
    whole = max(figures.characters, 1)
    named = [f"{code or unsure} " + percent(part / whole) for code, part in figures.languages]
    return ", ".join(named[:_LANGUAGES]) + (", …" if len(named) > _LANGUAGES else "")


def _lengths(lengths: "Lengths") -> str:
    lines = [_("Length of the documents, in characters: {shortest} to {longest}, half of them up to {median}.").format(
        shortest=number(lengths.shortest), longest=number(lengths.longest), median=number(lengths.median))]  # fmt: skip
    most = max(lengths.counts)
    for start, end, count in zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False):
        bar = "█" * round(_WIDEST_BAR * count / most) or ("▏" if count else "")
        lines.append(f"{number(start):>11} – {number(end - 1):<11} {bar} {number(count)}".rstrip())
    return "\n".join(lines)


def _frequent(figures: "Figures") -> str:
    words = " · ".join(f"{word} {short_number(count)}" for word, count in figures.frequent[:_WORDS])
    return _("Most frequent words: {words}").format(words=words)
