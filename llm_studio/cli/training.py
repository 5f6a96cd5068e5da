"""The commands of training and after: train, runs, generate, doctor, gpu, licences, quickstart."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_studio.cli import curve, forecast
from llm_studio.cli.app import INTERRUPTED, Interrupted, running
from llm_studio.cli.options import Changes, Folder, Json, Language, parse_changes, table
from llm_studio.errors import StudioError
from llm_studio.events import Done, Notice, TextWritten
from llm_studio.i18n import N_, _, duration, energy, number, size, system_language
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gpu import GpuStatus
    from llm_studio.workflows.quickstart import QuickStart
    from llm_studio.workflows.training.runs import Run
    from llm_studio.workflows.training.train import TrainResult


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    helps: tuple[tuple[Callable[..., Any], str], ...] = (
        (train, _("Train the model; Ctrl+C stops and saves.")),
        (runs, _("List, compare, rename and delete the trainings of a project.")),
        (generate, _("Let a trained model write.")),
        (doctor, _("Tell what this computer has, and what keeps a graphics card from being used.")),
        (gpu, _("Tell why no graphics card is used, and get the torch that uses it (the packaged program).")),
        (licences, _("Print whose work is in the program, with the text of every licence.")),
        (quickstart, _("Do every step on the built-in stories, in about three minutes.")),
    )
    for command, text in helps:
        app.command(help=text)(command)


def train(
    folder: Folder,
    run: Annotated[
        str | None,
        typer.Option("--run", "--name", metavar="NAME",  # torchrun takes --run for an option of its own
                     help=_("name of the run; run-1, run-2, ... without it")),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help=_("go on with a run: the one named, or the last"))] = False,
    continue_from: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help=_("begin with the weights of a run, as run-1 or run-1/step-000500, or "
                                                  "of a checkpoint's folder in any project")),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help=_("take the micro-batch that suits this machine, found by trying; the "
                                           "sequences of a step stay the same"))
    ] = False,
    like: Annotated[
        str | None, typer.Option(metavar="RUN", help=_("repeat a run: a new one with its settings and its beginning"))
    ] = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    from llm_studio.workflows.training.distributed import is_distributed, is_first
    from llm_studio.workflows.training.train import train as train_model

    if sum((resume, continue_from is not None, like is not None)) > 1:
        raise typer.BadParameter(_("say one of --resume, --continue-from and --like"))
    if fit and (resume or like is not None or continue_from is not None):
        raise typer.BadParameter(_("--fit is for new runs: one that goes on or is like another has a shape already"))
    if fit and is_distributed():
        raise typer.BadParameter(_("--fit is for one process: find out with “llm-studio forecast --fit” beforehand"))

    wanted = parse_changes(changes)
    project = Project.open(folder)
    with running(as_json, speaks=is_first()) as job:
        if fit:
            wanted = forecast.fitted(project, wanted, job)
        trained = train_model(
            project, job, run=run, resume=resume, changes=wanted, continue_from=continue_from, like=like
        )
        if not is_first():
            return
        curve.report_finding(project, trained.run.name, job)
        job.report(_ended(folder, trained))
    if not trained.finished:
        raise typer.Exit(INTERRUPTED)


def _ended(folder: Path, trained: "TrainResult") -> Done:
    """What became of a training, and what comes next."""
    made = trained.run
    figures = {"run": made.name, "state": made.state, "step": made.step, "loss": made.train_loss,
               "best_loss": made.best_loss, "seconds": made.seconds}  # fmt: skip
    if trained.finished:
        text = _("Run “{run}” is finished: {steps} steps in {time}, best validation loss {loss}.")
        follow = f'llm-studio generate {quoted(folder)} --{"chat" if made.conversations else "prompt"} "..."'
    else:
        text = _("Run “{run}” is stopped and saved at step {steps}.")
        follow = f"llm-studio train {quoted(folder)} --run {quoted(made.name)} --resume"
    loss = number(made.best_loss, 3) if made.best_loss is not None else "–"
    text = text.format(run=made.name, steps=number(made.step), time=duration(made.seconds), loss=loss)
    return Done(text, follow, figures)


def runs(
    folder: Folder,
    rename: Annotated[
        tuple[str, str] | None, typer.Option(metavar="OLD NEW", help=_("give a run another name"))
    ] = None,
    delete: Annotated[
        str | None, typer.Option(metavar="NAME", help=_("delete a run, its checkpoints and its log"))
    ] = None,
    compare: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_("compare runs; give it for each"))] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_("delete without asking"))] = False,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.training import runs as workflow

    project = Project.open(folder)
    if delete and not rename and not yes:
        _ask_before_deleting(workflow.read(project, delete), as_json)
    with running(as_json) as job:
        if rename:
            workflow.rename(project, *rename)
            job.report(Done(_("The run “{old}” is now “{new}”.").format(old=rename[0], new=rename[1])))
        elif delete:
            freed = workflow.delete(project, delete)
            job.report(Done(_("“{name}” is deleted; {size} are free again.").format(name=delete, size=size(freed))))
        else:
            chosen = [workflow.read(project, name) for name in compare] if compare else workflow.listed(project)
            job.report(Done(_runs_text(chosen, bool(compare)), "", {"runs": [asdict(run) for run in chosen]}))


def _ask_before_deleting(run: "Run", as_json: bool) -> None:
    if as_json:
        raise typer.BadParameter(_("--delete with --json needs --yes: no one is there to be asked"))
    question = _("Delete “{name}” ({size})? This can't be undone.").format(name=run.name, size=size(run.bytes))
    if not typer.confirm(question):
        raise Interrupted(_("Nothing was deleted."))


def _runs_text(chosen: "list[Run]", comparing: bool) -> str:
    from llm_studio.workflows.training.runs import differences

    if not chosen:
        return _("No training yet.")
    head = (_("run"), _("state"), _("steps"), _("loss"), _("best validation"), _("time"), _("disk"))
    rows = [
        (run.name, _(run.state), f"{number(run.step)} / {number(run.max_steps)}", _loss(run.train_loss),
         _loss(run.best_loss), duration(run.seconds), size(run.bytes))
        for run in chosen
    ]  # fmt: skip
    if any(run.joules is not None for run in chosen):
        head = (*head, _("energy"))
        rows = [(*row, _energy(run.joules)) for row, run in zip(rows, chosen, strict=True)]
    if any(run.continued_from for run in chosen):
        head = (*head, _("continued from"))
        rows = [(*row, run.continued_from) for row, run in zip(rows, chosen, strict=True)]
    text = table([head, *rows])
    if comparing:
        differing = differences(chosen)
        changed = [(name, *(str(value) for value in values)) for name, values in differing.items()]
        text += "\n\n" + table([(_("setting"), *(run.name for run in chosen)), *changed])
    return text


def _loss(value: float | None) -> str:
    return "–" if value is None else number(value, 3)


def _energy(joules: float | None) -> str:
    return "–" if joules is None else energy(joules)


def generate(
    folder: Folder,
    prompt: Annotated[str, typer.Option(help=_("the beginning to go on with; “-” reads it from standard input"))] = "",
    chat: Annotated[
        str | None, typer.Option(metavar="QUESTION", help=_("a question, for a model trained on conversations"))
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="NAME", help=_("the run; the last one without it"))] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="best|last|STEP|DIR", help=_("which checkpoint of the run"))
    ] = "best",
    temperature: Annotated[
        float | None, typer.Option(help=_("above 1 bolder, below 1 safer, 0: the likeliest"))
    ] = None,
    top_k: Annotated[int | None, typer.Option(help=_("keep the k likeliest tokens; 0: all"))] = None,
    top_p: Annotated[
        float | None, typer.Option(help=_("keep the likeliest tokens that reach this probability"))
    ] = None,
    min_p: Annotated[float | None, typer.Option(help=_("drop tokens under this share of the likeliest one"))] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help=_("above 1: what is there comes less often"))] = None,
    max_tokens: Annotated[int | None, typer.Option(help=_("longest text, in tokens"))] = None,
    seed: Annotated[int | None, typer.Option(help=_("same seed, same text"))] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help=_("always the likeliest token: temperature 0"))] = False,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.generation.generate import load_generator

    given = {
        "temperature": 0.0 if greedy else temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
        "repetition_penalty": repetition_penalty, "max_tokens": max_tokens, "seed": seed,
    }  # fmt: skip
    changes = {name: value for name, value in given.items() if value is not None}
    if prompt and chat is not None:
        raise typer.BadParameter(_("say either --prompt or --chat"))
    project = Project.open(folder)
    given_text = prompt if chat is None else chat
    beginning = _standard_input() if given_text == "-" else given_text
    with running(as_json) as job:
        writer = load_generator(project, job, run, checkpoint)
        settings = writer.settings_with(changes)
        if chat is None:
            job.report(TextWritten(beginning))
        elif not writer.chat:
            job.report(Notice(_("This model was not trained on conversations: don't expect an answer."), "warning"))
        text = writer.write(beginning, job, settings, chat=chat is not None)
        job.report(Done("", "", {"checkpoint": writer.name, "prompt": beginning, "chat": chat is not None,
                                 "text": text}))  # fmt: skip
        if job.stop_requested:
            raise Interrupted(_("Stopped."))


def _standard_input() -> str:
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # pyright: ignore[reportAttributeAccessIssue]  Windows consoles say cp1252
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise StudioError(_("The prompt is not UTF-8 text."), _("Save it as UTF-8.")) from error


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help=_("a folder on the disk to look at"))] = Path(),
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.machine.diagnosis import diagnose

    with running(as_json) as job:
        findings = diagnose(folder)
        lines: list[str] = []
        for finding in findings:
            lines.append(f"{'✓' if finding.ok else '!'} {finding.name:<18} {finding.value}")
            if not finding.ok:
                lines.append(f"  {'':<18} → {finding.cure}")
        job.report(Done("\n".join(lines), "", {"findings": [asdict(finding) for finding in findings]}))


def gpu(
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="WHEEL", help=_("a wheel of torch that you have, as on a USB stick")),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help=_("go back to the program's own torch"))] = False,
    only_tell: Annotated[bool, typer.Option("--check", help=_("tell how things stand, and change nothing"))] = False,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.machine import gpu as workflow

    with running(as_json) as job:
        if remove:
            workflow.remove()
            job.report(Done(_("The program's own torch is used from the next start on.")))
            return
        standing = workflow.gpu_status()
        if file is None and (only_tell or standing.why is None or not standing.why.pack):
            job.report(Done(_gpu_text(standing), "", {"reason": standing.why.reason if standing.why else None}))
            return
        if file is not None:
            made = workflow.install_file(file, job)
        else:
            offered = workflow.offer(job)
            job.report(Notice(_("{wheel}: {size} to fetch, {kept} on the disk, {free} free in {folder}.").format(
                wheel=offered.wheel.name, size=size(offered.bytes - offered.here_already), kept=size(offered.kept),
                free=size(offered.free), folder=offered.folder)))  # fmt: skip
            made = workflow.install(offered, job)
        text = _("torch {version} is in place: it is used from the next start on.").format(version=made.version)
        job.report(Done(text, "llm-studio doctor", {"version": made.version}))


def _gpu_text(standing: "GpuStatus") -> str:
    if standing.why is None:
        return _("The graphics card is used.")
    steps = (f"  {number}. {step}" for number, step in enumerate(standing.why.steps, start=1))
    return "\n".join([standing.why.what, *steps])


_STEPS = {
    "new": N_("1. The project: a folder with its settings"),
    "download": N_("2. The texts: short stories, made from a grammar"),
    "tokenizer": N_("3. The tokenizer: which pieces words are made of"),
    "tokens": N_("4. The tokens: the texts as numbers"),
    "train": N_("5. The training: guessing the next token, again and again"),
    "generate": N_("6. The model writes"),
}


def licences() -> None:
    from llm_studio.workflows.machine.licences import all_texts

    print(all_texts(), end="")


def quickstart(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help=_("the folder to make; llm-studio-quickstart-en or -fr without it")),
    ] = None,
    lang: Language = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help=_("training steps; measured to take two minutes without it"))
    ] = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.quickstart import quickstart as run_quickstart

    language = lang or system_language()
    folder = folder or Path(f"llm-studio-quickstart-{language}")
    with running(as_json) as job:

        def say(step: str) -> None:
            job.report(Notice(_(_STEPS[step])))

        made = run_quickstart(folder, language, job, say, steps)
        figures = {
            "project": str(made.project.root),
            "run": made.run.name,
            "loss": made.run.best_loss,
            "unigram_loss": made.unigram_loss,
            "bigram_loss": made.bigram_loss,
            "stories": made.stories,
        }
        job.report(Done(_quickstart_text(made), f'llm-studio generate {quoted(folder)} --prompt "..."', figures))


def _quickstart_text(made: "QuickStart") -> str:
    return _(
        "Done: the project is in {path}. Loss on stories it never saw: {loss}, where counting single tokens gives "
        "{unigram} and counting pairs {bigram} (lower is better)."
    ).format(
        path=made.project.root, loss=_loss(made.run.best_loss), unigram=number(made.unigram_loss, 2),
        bigram=number(made.bigram_loss, 2),
    )  # fmt: skip
