"""The command `inspect`: what happens inside a model while it reads a text, as tables or as JSON."""

from typing import Annotated

import typer

from llm_studio.cli.display import print_styled
from llm_studio.cli.inside import records, tables
from llm_studio.cli.inside.inspection import begin
from llm_studio.cli.inside.views import VIEWS
from llm_studio.cli.options import CHECKPOINT_HELP, Folder, Json, standard_input
from llm_studio.cli.runner import running
from llm_studio.errors import ProjectError
from llm_studio.events import Done, Notice
from llm_studio.i18n import _
from llm_studio.project import Project

MOST_GUESSES = 20
ALL = "all"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("inspect", help=_("Look inside a trained model while it reads a text."))(inspect)


Reference = Annotated[
    str | None,
    typer.Option(metavar="CHECKPOINT", help=CHECKPOINT_HELP),
]
Step = Annotated[
    int | None,
    typer.Option(
        min=0, help=_("the checkpoint or the snapshot of this step; the run is the last one unless --checkpoint names "
                      "another")
    ),
]  # fmt: skip
Views = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VIEW", help=_("what to show, surprise by default; can be repeated: {views}").format(
            views=", ".join((*VIEWS, ALL)))
    ),
]  # fmt: skip
Position = Annotated[
    int | None,
    typer.Option(
        min=0, help=_("the token of the text after which the model predicts, counted from 1; the last one by default; "
                      "0 is the beginning of the text")
    ),
]  # fmt: skip
Token = Annotated[
    str | None, typer.Option(help=_("for contributions and embeddings: a token, by its text or as in #300"))
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART", help=_("for ablation: a part to switch off, as in L1H2, L1.attention, L1.feed_forward or L1; "
                               "can be repeated")
    ),
]  # fmt: skip


def inspect(
    folder: Folder,
    text: Annotated[str, typer.Option(help=_("the text to read; “-” reads it from standard input"))] = "",
    checkpoint: Reference = None,
    step: Step = None,
    view: Views = None,
    position: Position = None,
    token: Token = None,
    versus: Annotated[
        str | None, typer.Option(help=_("for contributions: why the model prefers --token to this token"))
    ] = None,
    layer: Annotated[int | None, typer.Option(help=_("for attention and lens: only this layer"))] = None,
    head: Annotated[int | None, typer.Option(help=_("for attention: only the heads of this number"))] = None,
    off: Parts = None,
    count: Annotated[int, typer.Option(min=1, max=MOST_GUESSES, help=_("number of guesses or neighbours"))] = 5,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.inside.session import BEST, open_session

    views = _views(view or ["surprise"])
    content = standard_input(_("The text is not UTF-8.")) if text == "-" else text
    if not content and any(VIEWS[name].of_text for name in views):
        raise typer.BadParameter(_("give a text with --text"))
    reference = checkpoint or BEST if step is None else f"{checkpoint}/{step}" if checkpoint else str(step)
    project = Project.open(folder)
    with running(as_json) as job:
        session = open_session(project, job, reference)
        wanted = begin(session, content, position, count, token, versus, layer, head, off or [])
        figures, texts = records.model(wanted), list[str]()
        for name in views:
            try:
                found = VIEWS[name].compute(wanted, job)
            except ProjectError as error:  # a model that was opened may have no texts
                if ALL not in (view or ()):
                    raise
                left_out = _("The view {name} is left out. {reason}").format(name=name, reason=error)
                job.report(Notice(left_out, "warning"))
                continue
            if as_json:
                figures[name] = VIEWS[name].record(wanted, found)
                continue
            if name == "surprise":
                print_styled(*tables.tinted(found))
            title = f"{tables.titles()[name]}\n\n" if len(views) > 1 else ""
            texts.append(title + VIEWS[name].table(wanted, found))
        job.report(Done("\n\n\n".join(texts), "", figures))


def _views(names: list[str]) -> list[str]:
    """The views of these names, each once. Raises BadParameter for an unknown one."""
    for name in names:
        if name not in (*VIEWS, ALL):
            raise typer.BadParameter(
                _("“{name}” is not a view; choose from {views}").format(name=name, views=", ".join((*VIEWS, ALL)))
            )
    return list(VIEWS) if ALL in names else list(dict.fromkeys(names))
