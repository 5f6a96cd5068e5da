"""The command `runs`: list, compare, rename and delete training runs."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Folder, Json, loss, table
from llm_studio.cli.runner import Interrupted, running
from llm_studio.events import Done, Notice
from llm_studio.i18n import _, duration, energy, number, size
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.training.runs import Run


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("List, compare, rename and delete the runs of a project."))(runs)


def runs(
    folder: Folder,
    rename: Annotated[
        tuple[str, str] | None, typer.Option(metavar="OLD NEW", help=_("give a run another name"))
    ] = None,
    delete: Annotated[
        str | None, typer.Option(metavar="NAME", help=_("delete a run, its checkpoints and its log"))
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=_("compare runs; repeat it for each run"))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_("delete without asking"))] = False,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training import runs as workflow

    project = Project.open(folder)
    if delete and not rename and not yes:
        workflow.require(project, delete)
        _ask_before_deleting(delete, workflow.size(project, delete), as_json)
    with running(as_json) as job:
        if rename:
            workflow.rename(project, *rename)
            job.report(Done(_("The run “{old}” is now called “{new}”.").format(old=rename[0], new=rename[1])))
        elif delete:
            freed = workflow.delete(project, delete)
            job.report(Done(_("“{name}” has been deleted; {size} freed.").format(name=delete, size=size(freed))))
        else:
            selected, problems = workflow.survey(project)
            if compare:
                selected, problems = [workflow.read(project, name) for name in compare], []
            for problem in problems:
                job.report(Notice(problem.what, "warning", problem.to_do))
            job.report(Done(_runs_text(selected, bool(compare)), "", {"runs": [_figures(run) for run in selected]}))


def _figures(run: "Run") -> dict[str, object]:
    return {**asdict(run), "best_bits_per_byte": run.best_bits_per_byte}


def _ask_before_deleting(name: str, bytes_: int, as_json: bool) -> None:
    if as_json:
        raise typer.BadParameter(_("--delete with --json needs --yes, since it can't ask"))
    question = _("Delete “{name}” ({size})? This can't be undone.").format(name=name, size=size(bytes_))
    if not typer.confirm(question):
        raise Interrupted(_("Nothing was deleted."))


def _runs_text(selected: "list[Run]", comparing: bool) -> str:
    from llm_studio.workflows.training.runs import differences

    if not selected:
        return _("No runs yet.")
    header = (_("run"), _("state"), _("steps"), _("loss"), _("best validation"), _("bits/byte"), _("time"),
              _("disk"))  # fmt: skip
    rows = [
        (run.name, _(run.state), f"{number(run.step)} / {number(run.max_steps)}", loss(run.train_loss),
         loss(run.best_loss), loss(run.best_bits_per_byte), duration(run.seconds), size(run.bytes))
        for run in selected
    ]  # fmt: skip
    if any(run.joules is not None for run in selected):
        header = (*header, _("energy"))
        rows = [(*row, _energy(run.joules)) for row, run in zip(rows, selected, strict=True)]
    if any(run.continued_from for run in selected):
        header = (*header, _("continued from"))
        rows = [(*row, run.continued_from) for row, run in zip(rows, selected, strict=True)]
    text = table([header, *rows])
    if comparing:
        differing = differences(selected)
        changed = [(name, *(str(value) for value in values)) for name, values in differing.items()]
        text += "\n\n" + table([(_("setting"), *(run.name for run in selected)), *changed])
    return text


def _energy(joules: float | None) -> str:
    return "–" if joules is None else energy(joules)
