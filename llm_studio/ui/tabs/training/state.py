"""What the page shows before a training run can start, and what it offers after one has ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.i18n import _, number, short_number

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Overview
    from llm_studio.workflows.training.runs import Run


@dataclass(frozen=True)
class Offer:
    """A card above the figures. Its button opens `tab`, or resumes `run`.

    `start`: text of a second button that starts a new run, "" for none. `by_hand`: text of a link to `tab`; the button
    then opens *Prepare and train*.
    """

    title: str
    text: str
    action: str
    tab: str = ""
    run: str = ""
    start: str = ""
    by_hand: str = ""
    warns: bool = True


def newest(overview: "Overview") -> "Run | None":
    """The run that was started last."""
    return max(overview.runs, key=lambda run: run.created, default=None)


def blocked(overview: "Overview") -> Offer | None:
    """Why no run can be started, with a solution; None if one can."""
    steps = overview.steps
    if overview.settings_problem is not None:
        first = overview.settings_problem.problems[:1]
        text = first[0].summary if first else str(overview.settings_problem)
        return Offer(_("The settings of this project can't be used"), text, _("Fix the settings"), "model")
    if overview.unusable and steps.tokens.value != "ready":
        text = overview.unusable[0].problem + " " + _("No tokens can be prepared until it is replaced or removed.")
        return Offer(_("Some of the texts can't be read"), text, _("Go to the sources"), "data")
    if steps.tokens.value == "to do":
        if not overview.sources:
            text = _("A model learns from texts. Add some first; they will then be split into tokens.")
            return Offer(_("This project has no texts yet"), text, _("Add texts"), "data", warns=False)
        text = _("Texts are split into tokens before a model can learn from them. “Prepare and train” does that and"
                 " all that follows.")  # fmt: skip
        return Offer(_("The tokens are not prepared yet"), text, _("Prepare and train…"), "tokenizer", warns=False,
                     by_hand=_("Prepare the tokens by hand"))  # fmt: skip
    if steps.tokens.value == "out of date":
        text = _("The texts, their cleaning or the tokenizer have changed since the tokens were prepared: a model"
                 " would learn from the old ones.")  # fmt: skip
        return Offer(_("The tokens are out of date"), text, _("Prepare and train…"), "tokenizer",
                     by_hand=_("Prepare the tokens again by hand"))  # fmt: skip
    return None


def offer(overview: "Overview", paused: bool) -> Offer | None:
    """The page's offer, if any. Resuming needs no texts, so unreadable texts don't prevent it."""
    resume = unfinished(overview, paused)
    if resume is not None and overview.unusable and overview.steps.tokens.value != "to do":
        return resume
    return blocked(overview) or resume or stale_tokenizer(overview)


def unfinished(overview: "Overview", paused: bool) -> Offer | None:
    """The offer to resume the newest run, if it is unfinished."""
    run = overview.interrupted
    if run is not None:
        reached = max(overview.interrupted_at, run.step)
        if run.step and reached > run.step:
            title = _("Your training stopped around step {reached}; it resumes at step {step}")
        else:
            title = _("Your training stopped at step {reached}")
        title = title.format(reached=number(reached), step=number(run.step))
        why = _("“{run}” ended with a problem.") if run.state == "failed" else _("“{run}” was interrupted.")
        text = why.format(run=run.name) + " " + (
            _("Its last checkpoint is intact: training can resume from there as if nothing had happened.") if run.step
            else _("It had not saved anything yet, so it starts over.")
        )  # fmt: skip
        return Offer(title, text, _("Resume"), run=run.name, start=_("Start over"))
    run = newest(overview)
    if run is not None and paused:
        title = _("Paused at step {step} of {last}").format(step=number(run.step), last=number(run.max_steps))
        text = _("“{run}” is saved. It can be resumed exactly there, today or another day.").format(run=run.name)
        return Offer(title, text, _("Resume"), run=run.name, start=_("Start over"), warns=False)
    return None


def ready(overview: "Overview") -> "Run | None":
    """The newest run, if it has ended and has a model; not one that is paused."""
    run = newest(overview)
    return run if run is not None and run.step and run.state in ("finished", "stopped") else None


def stale_tokenizer(overview: "Overview") -> Offer | None:
    """The notice that a new run would use an old tokenizer; None if the tokenizer is up to date."""
    from llm_studio.workflows.projects import cost_of

    if overview.steps.tokenizer.value != "out of date" or overview.tokenizer is None:
        return None
    text = _("The texts or the settings of the tokenizer have changed since it was trained.")
    old, planned = cost_of(overview.settings, overview.tokenizer.vocab_size), overview.cost
    if old.vocab_size != planned.vocab_size:
        text += " " + _(
            "A run started now has {old} parameters instead of {planned}: its vocabulary is {size} tokens."
        ).format(old=short_number(old.parts.total), planned=short_number(planned.parts.total),
                 size=number(old.vocab_size))  # fmt: skip
    title, action = _("The tokenizer is out of date"), _("Retrain the tokenizer")
    return Offer(title, text, action, "tokenizer", start=_("Train anyway"))
