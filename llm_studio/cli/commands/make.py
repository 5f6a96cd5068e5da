"""The command `make`: from texts to a trained model in one go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Changes, FollowLinks, Json, Language, generate_command, parse_changes
from llm_studio.cli.runner import INTERRUPTED, running
from llm_studio.events import Done, Notice
from llm_studio.i18n import N_, _, duration, system_language
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.make import MadeModel
    from llm_studio.workflows.training.planner import RunPlan

_PRESET = "nano"
_OFFERED = 3
"""Most other models that are suggested."""
_STEPS = {
    "plan": N_("Planning: which model suits the texts, this computer and the time"),
    "tokenizer": N_("Training the tokenizer"),
    "tokens": N_("Preparing the tokens"),
    "train": N_("Training the model"),
}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Make a model of your texts: plan it for the time you have, train its tokenizer, prepare the "
                       "tokens, train."))(make)  # fmt: skip


def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=_("the project's folder, created if there is none"))],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXTS]...", help=_("files and folders to add, or “stories”; none: those of the "
                                                    "project")),
    ] = None,
    minutes: Annotated[float, typer.Option(metavar="N", help=_("minutes of training"))] = 30.0,
    lang: Language = None,
    follow_links: FollowLinks = False,
    continue_from: Annotated[
        str | None,
        typer.Option(metavar="PATH", help=_("begin with the model of another project, run or checkpoint, by its "
                                            "folder; its tokenizer and its shape are taken over")),
    ] = None,
    new: Annotated[bool, typer.Option("--new", help=_("start a new run, also where one was interrupted"))] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help=_("only show the plan"))] = False,
    changes: Changes = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    from llm_studio.workflows.make import make as make_model
    from llm_studio.workflows.training.plan_text import plan_text
    from llm_studio.workflows.training.planner import plan_run
    from llm_studio.workflows.training.timed import check_minutes

    check_minutes(minutes)
    edits = parse_changes(changes)
    with running(as_json) as job:
        project = _project(folder, lang)
        _add(project, texts or [], follow_links, job)
        if plan_only:
            plan = plan_run(project, minutes, job, continue_from=continue_from)
            _offer_help(project, plan, job)
            job.report(Done(plan_text(plan), "", plan_figures(plan)))
            return
        shown: list[RunPlan] = []

        def announce(step: str, plan: "RunPlan | None") -> None:
            if plan is not None and not shown:
                shown.append(plan)
                job.report(Notice(plan_text(plan)))
                _offer_help(project, plan, job)
            job.report(Notice(_(_STEPS[step])))

        made = make_model(project, minutes, job, announce, edits, resume=not new, continue_from=continue_from)
        job.report(_done(project, folder, made))
    if not made.result.finished:
        raise typer.Exit(INTERRUPTED)


def _project(folder: Path, language: str | None) -> Project:
    from llm_studio.workflows import projects

    if (folder / "config" / "config.yaml").exists():
        return Project.open(folder)
    return projects.new_project(folder, _PRESET, language or system_language())


def _add(project: Project, texts: list[str], follow_links: bool, job: Job) -> None:
    """Add the texts that aren't yet in the project under their names."""
    from llm_studio.workflows.data import sources
    from llm_studio.workflows.overview import overview

    known = {source.name for source in overview(project).sources}
    for text in texts:
        if text == sources.STORIES:
            if not any(name.startswith(sources.STORIES) for name in known):
                sources.add_stories(project, project.settings().project.language, sources.DEFAULT_STORIES, job)
        elif not known & {Path(text).name, Path(text).stem}:
            sources.add_files(project, Path(text), job, follow_links=follow_links)


def _offer_help(project: Project, plan: "RunPlan", job: Job) -> None:
    """If the texts are few for the time, say what helps besides more texts of the same kind."""
    from llm_studio.workflows.data.sources import STORIES
    from llm_studio.workflows.other_models import other_models
    from llm_studio.workflows.overview import overview

    if not plan.more_texts:
        return
    lines: list[str] = []
    if not any(source.name.startswith(STORIES) for source in overview(project).sources):
        lines.append(_("Built-in stories can be mixed in: name “stories” among the texts."))
    if plan.origin is None:
        lines.append(_("Or begin with another model of yours: --continue-from and the folder of its project."))
        models = other_models(project, job)[:_OFFERED]
        lines += [f"  --continue-from {quoted(model.reference)}  ({model.text})" for model in models]
    if lines:
        job.report(Notice("\n".join(lines)))


def plan_figures(plan: "RunPlan") -> dict[str, object]:
    """The plan as JSON for `--json`."""
    from llm_studio.workflows.training.plan_text import snapshots_figures

    names = ("minutes", "parameters", "vocab_size", "context", "batch", "steps", "tokens", "passes", "memory", "disk",
             "preparation", "bits_per_byte", "more_texts", "changes")  # fmt: skip
    origin = plan.origin.name if plan.origin else None
    figures = {name: getattr(plan, name) for name in names} | snapshots_figures(plan.snapshots)
    return figures | {"continue_from": origin}


def _done(project: Project, folder: Path, made: "MadeModel") -> Done:
    run = made.result.run
    figures = {"run": run.name, "state": run.state, "step": run.step, "best_loss": run.best_loss,
               "bits_per_byte": run.best_bits_per_byte, "seconds": run.seconds,
               "plan": plan_figures(made.plan) if made.plan else None}  # fmt: skip
    if made.result.finished:
        text = _("Your model is ready: run “{run}”, trained for {time}.")
        follow = generate_command(project, run)
    else:
        text = _("Run “{run}” is stopped and saved after {time}.")
        follow = f"llm-studio train {quoted(folder)} --run {quoted(run.name)} --resume"
    return Done(text.format(run=run.name, time=duration(run.seconds)), follow, figures)
