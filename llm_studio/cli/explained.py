"""Explains how a token was sampled, as a table: the candidates, and the effect of each filter on them."""

from llm_studio.cli.options import table
from llm_studio.events import TokenExplained
from llm_studio.i18n import _, ngettext, number, percent
from llm_studio.workflows.generation.next_token import stage_name, visible


def explanation(event: TokenExplained) -> str:
    """The table of one token, with a heading and the sampled token."""
    stages = [stage_name(stage) for stage in event.stages]
    rows = [(_("token"), _("removed by"), _("id"), *stages)]
    for one in event.candidates:
        removed = stage_name(one.removed_by) if one.removed_by else ""
        end = event.stages.index(one.removed_by) if one.removed_by else len(stages)
        shares = [percent(p, 1) if place < end else "–" for place, p in enumerate(one.probs)]
        rows.append((visible(one.text), removed, str(one.token), *shares))
    rows.append((_("tokens left"), "", "", *map(number, event.left)))
    kept = ngettext("{n} possible token of {total}",
                    "{n} possible tokens of {total}", event.left[-1])  # fmt: skip
    drawn = _("Drawn: {token} (id {id})").format(token=visible(event.text), id=event.token)
    head = kept.format(n=number(event.left[-1]), total=number(event.left[0]))
    return f"{head}\n\n{table(rows, numbers=len(stages) + 1)}\n\n{drawn}\n"


def legend() -> str:
    """The meaning of the columns."""
    return _("The first column of percentages is the model’s probability, the last one the probability when drawing.")
