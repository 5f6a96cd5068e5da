"""The commands, from a new project to its tokens. Those of training and after are in `run_commands.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_studio import __version__
from llm_studio.cli import cleaning, curve, forecast, look, statistics, training
from llm_studio.cli import hub as hub_commands
from llm_studio.cli.app import running
from llm_studio.cli.hub import DatasetName, MaxMegabytes, Split, TextLanguage, counted, story_language
from llm_studio.cli.options import Changes, Folder, Json, Language, Separator, TextField, parse_changes
from llm_studio.config import SECTIONS, Settings
from llm_studio.config.yaml_file import Preset, scalar
from llm_studio.errors import StudioError
from llm_studio.events import Done
from llm_studio.i18n import _, number, short_number, size, system_language
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import download as hub
from llm_studio.workflows.data import texts

if TYPE_CHECKING:
    from llm_studio.data.sources.store import Source

app = typer.Typer(
    help=_(
        "Build a small language model from nothing: gather texts, learn a tokenizer, train a Transformer, talk to it."
    )
    + "\n\n"
    + _("New here? Try “llm-studio quickstart”: it does every step in a few minutes."),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_PRESET_HELP = _("size of the model: nano 1 M, mini 6 M, small 15 M, medium 42 M, gpt2 124 M parameters")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llm-studio {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help=_("print the version"), callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    del version


@app.command(help=_("Make the folder of a new project."))
def new(
    folder: Folder,
    preset: Annotated[Preset, typer.Option(help=_PRESET_HELP)] = projects.DEFAULT_PRESET,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    project = projects.new_project(folder, preset, lang or system_language())
    with running(as_json) as job:
        job.report(Done(
            _("The project is in {path}; its settings are in config/config.yaml.").format(path=project.root),
            f"llm-studio download {quoted(folder)} --dataset stories",
        ))  # fmt: skip


@app.command(help=_("Gather texts: the built-in stories, data sets of the hub, your own files. Or remove them again."))
def download(
    folder: Folder,
    dataset: DatasetName = None,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help=_("remove this source from the project instead"))
    ] = None,
    lang: TextLanguage = None,
    max_samples: Annotated[int | None, typer.Option(min=1, help=_("at most so many documents"))] = None,
    max_megabytes: MaxMegabytes = None,
    split: Split = None,
    separator: Separator = None,
    text_field: TextField = None,
    seed: Annotated[int, typer.Option(min=0, help=_("other stories for each seed"))] = 0,
    as_json: Json = False,
) -> None:
    if (dataset is None) == (remove is None):
        raise typer.BadParameter(_("say either --dataset or --remove"))
    project = Project.open(folder)
    with running(as_json) as job:
        if dataset is None:
            texts.remove_source(project, remove or "")
            job.report(Done(_("The source “{name}” is removed.").format(name=remove)))
            return
        if dataset == texts.STORIES:
            language = story_language(lang) or project.settings().project.language
            source = texts.add_stories(project, language, max_samples or texts.DEFAULT_STORIES, job, seed)
        elif (wanted := hub.wanted(dataset, lang=lang, split=split, text_field=text_field, max_documents=max_samples,
                                   max_megabytes=max_megabytes)):  # fmt: skip
            asked = {"dataset": dataset, "lang": lang, "split": split, "text-field": text_field,
                     "max-samples": max_samples, "max-megabytes": max_megabytes}  # fmt: skip
            source = hub_commands.fetch(project, wanted, asked, job)
        else:
            source = texts.add_files(project, Path(dataset), job, separator=separator, text_field=text_field,
                                     max_documents=max_samples)  # fmt: skip
        job.report(_source_done(folder, source))


def _source_done(folder: Path, source: "Source") -> Done:
    return Done(
        _("Source “{name}”: {documents}, {characters} characters, {size}.").format(
            name=source.name, documents=counted(source.documents), characters=short_number(source.characters),
            size=size(source.bytes)),
        f"llm-studio train-tokenizer {quoted(folder)}",
        {"name": source.name, "documents": source.documents, "characters": source.characters, "bytes": source.bytes},
    )  # fmt: skip


@app.command("train-tokenizer", help=_("Learn which pieces of words the texts are made of (byte-level BPE)."))
def train_tokenizer(
    folder: Folder,
    vocab_size: Annotated[int | None, typer.Option(help=_("tokens in the vocabulary; kept in config.yaml"))] = None,
    as_json: Json = False,
) -> None:
    project = Project.open(folder)
    with running(as_json) as job:
        made = texts.train_tokenizer(project, job, vocab_size)
        text = _("tokenizer.json: {n} tokens; {characters} characters per token, {tokens} tokens per word "
                 "on text it has not seen.").format(
            n=number(made.vocab_size), characters=number(made.characters_per_token, 2),
            tokens=number(made.tokens_per_word, 2))  # fmt: skip
        if made.vocab_size < made.asked:
            text += " " + _("The texts gave no more than that of the {asked} asked for.").format(
                asked=number(made.asked)
            )
        figures = {"vocab_size": made.vocab_size, "characters_per_token": made.characters_per_token,
                   "tokens_per_word": made.tokens_per_word}  # fmt: skip
        job.report(Done(text, f"llm-studio prepare {quoted(folder)}", figures))


@app.command(help=_("Turn the texts into tokens for training and validation."))
def prepare(folder: Folder, as_json: Json = False) -> None:
    project = Project.open(folder)
    with running(as_json) as job:
        made = texts.prepare(project, job)
        job.report(Done(
            _("train.bin: {train} tokens; val.bin: {validation} tokens.").format(
                train=number(made.train_tokens), validation=number(made.validation_tokens)),
            f"llm-studio train {quoted(folder)}",
            {"train_tokens": made.train_tokens, "validation_tokens": made.validation_tokens},
        ))  # fmt: skip


@app.command(help=_("Show, check and change the settings, and what the model costs."))
def config(
    folder: Folder,
    preset: Annotated[Preset | None, typer.Option(help=_PRESET_HELP)] = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    wanted = parse_changes(changes)
    project = Project.open(folder)
    if preset:
        settings = projects.apply_preset(project, preset)
    settings = projects.change_settings(project, wanted) if wanted else project.settings()
    cost = projects.model_cost(project, settings)
    figures: dict[str, object] = {
        "settings": settings.to_dict(), "vocab_size": cost.vocab_size, "parameters": cost.parts.total,
        "flops_per_token": cost.flops_per_token, "training_bytes": cost.training_bytes,
        "generation_bytes": cost.generation_bytes,
    }  # fmt: skip
    with running(as_json) as job:
        figures["steps"], steps_text = _steps(project)
        told = [] if as_json else [_settings_text(settings)]
        job.report(Done("\n".join([*told, _cost_text(cost), steps_text]), "", figures))


def _settings_text(settings: Settings) -> str:
    lines: list[str] = []
    for name in SECTIONS:
        section = getattr(settings, name)
        lines.append(f"{name}:")
        lines += [f"  {key + ':':<28}{scalar(getattr(section, key))}" for key in type(section).model_fields]
    return "\n".join(lines)


def _steps(project: Project) -> tuple[dict[str, str] | None, str]:
    """Where the steps before the training stand, for scripts and as a line for people."""
    name = _("Steps").ljust(28)
    try:
        steps = projects.steps(project)
    except StudioError as error:  # texts or a tokenizer that can't be read: the settings can be changed all the same
        return None, name + str(error)
    states = ((_("texts"), steps.data), (_("tokenizer"), steps.tokenizer), (_("tokens"), steps.tokens))
    figures = {"texts": steps.data.value, "tokenizer": steps.tokenizer.value, "tokens": steps.tokens.value}
    return figures, name + " · ".join(
        _("{step}: {state}").format(step=step, state=_(state.value)) for step, state in states
    )


def _cost_text(cost: projects.Cost) -> str:
    parts = cost.parts
    rows = [
        (_("Parameters"), short_number(parts.total)),
        (_("  embedding"), short_number(parts.embedding + parts.positions)),
        (_("  attention"), short_number(parts.attention)),
        (_("  feed-forward"), short_number(parts.feed_forward)),
        (_("  norms and head"), short_number(parts.norms + parts.head)),
        (_("Vocabulary"), number(cost.vocab_size)),
        (_("Training, per token"), short_number(cost.flops_per_token) + "FLOP"),
        (_("Memory to train"), size(cost.training_bytes)),
        (_("Memory to generate"), size(cost.generation_bytes)),
    ]
    return "\n".join(f"{name:<28}{value}" for name, value in rows)


hub_commands.register(app)
look.register(app)
cleaning.register(app)
statistics.register(app)
training.register(app)
curve.register(app)
forecast.register(app)
