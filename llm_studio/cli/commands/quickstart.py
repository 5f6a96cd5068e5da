"""The command `quickstart`: every step on the built-in stories."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio.cli.options import Json, Language, losses
from llm_studio.cli.runner import running
from llm_studio.events import Done, Notice
from llm_studio.i18n import N_, _, bits_per_byte, number, system_language
from llm_studio.paths import quoted

if TYPE_CHECKING:
    from llm_studio.workflows.quickstart import QuickStart

_STEPS = {
    "new": N_("1. The project: a folder with its settings"),
    "download": N_("2. The texts: short stories, generated from a grammar"),
    "plan": N_("   The plan: the model that suits the texts, this computer and two minutes"),
    "tokenizer": N_("3. The tokenizer: how words are split into tokens"),
    "tokens": N_("4. The tokens: the texts as numbers"),
    "train": N_("5. Training: predicting the next token, again and again"),
    "generate": N_("6. The model writes"),
}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(help=_("Do every step on the built-in stories, in about three minutes."))(quickstart)


def quickstart(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help=_("the folder to create; llm-studio-quickstart-en or -fr by default")),
    ] = None,
    lang: Language = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help=_("training steps; by default, as many as take two minutes here"))
    ] = None,
    as_json: Json = False,
) -> None:
    from llm_studio.workflows.quickstart import quickstart as run_quickstart

    language = lang or system_language()
    folder = folder or Path(f"llm-studio-quickstart-{language}")
    with running(as_json) as job:

        def announce(step: str) -> None:
            job.report(Notice(_(_STEPS[step])))

        made = run_quickstart(folder, language, job, announce, steps)
        figures = {
            "project": str(made.project.root),
            "run": made.run.name,
            "loss": made.run.best_loss,
            "bits_per_byte": made.run.best_bits_per_byte,
            "unigram_loss": made.unigram_loss,
            "unigram_bits_per_byte": made.bits_per_byte(made.unigram_loss),
            "bigram_loss": made.bigram_loss,
            "bigram_bits_per_byte": made.bits_per_byte(made.bigram_loss),
            "stories": made.stories,
        }
        job.report(Done(_quickstart_text(made), f'llm-studio generate {quoted(folder)} --prompt "..."', figures))


def _quickstart_text(made: "QuickStart") -> str:
    return _(
        "Done: the project is in {path}. Loss on unseen stories: {loss}; token frequencies alone give {unigram}, "
        "the previous token alone {bigram} (lower is better)."
    ).format(
        path=made.project.root, loss=losses(made.run.best_loss, made.run.best_bits_per_byte),
        unigram=_with_bits(made, made.unigram_loss), bigram=_with_bits(made, made.bigram_loss),
    )  # fmt: skip


def _with_bits(made: "QuickStart", baseline: float) -> str:
    bits = made.bits_per_byte(baseline)
    return number(baseline, 2) if bits is None else f"{number(baseline, 2)} · {bits_per_byte(bits)}"
