"""The commands `train-tokenizer` and `prepare`."""

from typing import Annotated

import typer

from llm_studio.cli.options import Folder, Json
from llm_studio.cli.runner import running
from llm_studio.events import Done
from llm_studio.i18n import _, number
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer as train_project_tokenizer


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("train-tokenizer", help=_("Train a byte-level BPE tokenizer on the texts."))(train_tokenizer)
    app.command(help=_("Turn the texts into tokens for training and validation."))(prepare)


def train_tokenizer(
    folder: Folder,
    vocab_size: Annotated[int | None, typer.Option(help=_("size of the vocabulary; stored in config.yaml"))] = None,
    as_json: Json = False,
) -> None:
    project = Project.open(folder)
    with running(as_json) as job:
        made = train_project_tokenizer(project, job, vocab_size)
        text = _("tokenizer.json: {n} tokens; {characters} characters per token, {tokens} tokens per word "
                 "on unseen text.").format(
            n=number(made.vocab_size), characters=number(made.characters_per_token, 2),
            tokens=number(made.tokens_per_word, 2))  # fmt: skip
        if made.vocab_size < made.requested:
            text += " " + _("The texts yielded no more than that, {requested} were requested.").format(
                requested=number(made.requested)
            )
        figures = {"vocab_size": made.vocab_size, "characters_per_token": made.characters_per_token,
                   "tokens_per_word": made.tokens_per_word}  # fmt: skip
        job.report(Done(text, f"llm-studio prepare {quoted(folder)}", figures))


def prepare(folder: Folder, as_json: Json = False) -> None:
    project = Project.open(folder)
    with running(as_json) as job:
        made = prepare_tokens(project, job)
        job.report(Done(
            _("train.bin: {train} tokens; val.bin: {validation} tokens.").format(
                train=number(made.train_tokens), validation=number(made.validation_tokens)),
            f"llm-studio train {quoted(folder)}",
            {"train_tokens": made.train_tokens, "validation_tokens": made.validation_tokens},
        ))  # fmt: skip
