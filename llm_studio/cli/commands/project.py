"""The commands `new` and `config`."""

from typing import Annotated

import typer

from llm_studio.cli.options import Changes, Folder, Json, Language, parse_changes
from llm_studio.cli.runner import running
from llm_studio.config import SECTIONS, Settings
from llm_studio.config.presets import preset_names, presets
from llm_studio.config.yaml_file import scalar
from llm_studio.errors import StudioError
from llm_studio.events import Done
from llm_studio.i18n import _, number, short_number, size, system_language
from llm_studio.paths import quoted
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data.corpus import report_unusable
from llm_studio.workflows.data.sources import unusable_sources


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(help=_("Create the folder of a new project."))(new)
    app.command(help=_("Show, check and change the settings, and show what the model costs."))(config)


def _known_preset(name: str | None) -> str | None:
    if name is not None and name not in preset_names():
        raise typer.BadParameter(_("must be one of {choices}").format(choices=", ".join(preset_names())))
    return name


def _list_presets(requested: bool) -> None:
    if requested:
        for preset in presets().values():
            typer.echo(f"{preset.name:<12}{preset.about}")
        raise typer.Exit


PresetName = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", callback=_known_preset,
                 help=_("size of the model: nano, mini, small, ...; --presets lists them")),
]  # fmt: skip
ListPresets = Annotated[
    bool, typer.Option("--presets", callback=_list_presets, is_eager=True, help=_("list the presets"))
]


def new(
    folder: Folder,
    preset: PresetName = projects.DEFAULT_PRESET,
    list_presets: ListPresets = False,
    lang: Language = None,
    as_json: Json = False,
) -> None:
    del list_presets  # handled by its callback
    project = projects.new_project(folder, preset or projects.DEFAULT_PRESET, lang or system_language())
    with running(as_json) as job:
        job.report(Done(
            _("The project is in {path}; its settings are in config/config.yaml.").format(path=project.root),
            f"llm-studio download {quoted(folder)} --dataset stories",
        ))  # fmt: skip


def config(
    folder: Folder,
    preset: PresetName = None,
    changes: Changes = None,
    as_json: Json = False,
) -> None:
    edits = parse_changes(changes)
    project = Project.open(folder)
    if preset:
        settings = projects.apply_preset(project, preset)
    settings = projects.change_settings(project, edits) if edits else project.settings()
    cost = projects.model_cost(project, settings)
    figures: dict[str, object] = {
        "settings": settings.to_dict(), "vocab_size": cost.vocab_size, "parameters": cost.parts.total,
        "flops_per_token": cost.flops_per_token, "training_bytes": cost.training_bytes,
        "generation_bytes": cost.generation_bytes,
    }  # fmt: skip
    with running(as_json) as job:
        report_unusable(unusable_sources(project), job)
        figures["steps"], steps_text = _steps(project)
        lines = [] if as_json else [_settings_text(settings)]
        job.report(Done("\n".join([*lines, _cost_text(cost), steps_text]), "", figures))


def _settings_text(settings: Settings) -> str:
    lines: list[str] = []
    for name in SECTIONS:
        section = getattr(settings, name)
        lines.append(f"{name}:")
        lines += [f"  {key + ':':<28}{scalar(getattr(section, key))}" for key in type(section).model_fields]
    return "\n".join(lines)


def _steps(project: Project) -> tuple[dict[str, str] | None, str]:
    """The state of the steps before training: as JSON, and as a line of text."""
    name = _("Steps").ljust(28)
    try:
        steps = projects.steps(project)
    except StudioError as error:  # unreadable texts or tokenizer: the settings can still be changed
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
