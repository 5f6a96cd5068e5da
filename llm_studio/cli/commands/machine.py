"""The commands about this machine and the program: doctor, gpu, licences."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Json
from llm_studio.cli.runner import running
from llm_studio.events import Done, Notice
from llm_studio.i18n import _, size

if TYPE_CHECKING:
    from llm_studio.workflows.machine.gpu import GpuStatus


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(help=_("Report what this computer has, and what prevents the use of a graphics card."))(doctor)
    app.command(help=_("Report why no graphics card is used, and install the PyTorch build that uses it (packaged "
                       "program)."))(gpu)  # fmt: skip
    app.command(help=_("Print the authors and licences of everything in the program."))(licences)


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help=_("a folder on the disk to check"))] = Path(),
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.machine.diagnosis import diagnose

    with running(as_json) as job:
        findings = diagnose(folder)
        lines: list[str] = []
        for finding in findings:
            lines.append(f"{'✓' if finding.ok else '!'} {finding.name:<18} {finding.value}")
            if finding.cure and not finding.ok:
                lines.append(f"  {'':<18} → {finding.cure}")
        job.report(Done("\n".join(lines), "", {"findings": [asdict(finding) for finding in findings]}))


def gpu(
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="WHEEL", help=_("a PyTorch wheel that you have, for instance on a USB stick")),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help=_("go back to the PyTorch of the program"))] = False,
    check_only: Annotated[bool, typer.Option("--check", help=_("report the status and change nothing"))] = False,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.machine import gpu as workflow

    with running(as_json) as job:
        if remove:
            workflow.remove()
            job.report(Done(_("The PyTorch of the program is used from the next start on.")))
            return
        status = workflow.gpu_status()
        if file is None and (check_only or status.why is None or not status.why.pack):
            job.report(Done(_gpu_text(status), "", {"reason": status.why.reason if status.why else None}))
            return
        if file is not None:
            made = workflow.install_file(file, job)
        else:
            offered = workflow.offer(job)
            job.report(Notice(_("{wheel}: {size} to download, {kept} on the disk, {free} free in {folder}.").format(
                wheel=offered.wheel.name, size=size(offered.bytes - offered.here_already), kept=size(offered.kept),
                free=size(offered.free), folder=offered.folder)))  # fmt: skip
            made = workflow.install(offered, job)
        text = _("PyTorch {version} is installed; it is used from the next start on.").format(version=made.version)
        job.report(Done(text, "llm-studio doctor", {"version": made.version}))


def _gpu_text(status: "GpuStatus") -> str:
    if status.why is None:
        return _("The graphics card is in use.")
    steps = (f"  {number}. {step}" for number, step in enumerate(status.why.steps, start=1))
    return "\n".join([status.why.what, *steps])


def licences() -> None:
    from llm_studio.workflows.machine.licences import all_texts

    print(all_texts(), end="")
