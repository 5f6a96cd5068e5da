"""All settings of a project as one object: created from plain values, changed, checked; all problems reported at once.

The form of the window, `config/config.yaml` and `--set training.max_steps=200` are three views of `Settings`.
Each setting is declared in `sections.py`; `yaml_file.py` reads and writes them as YAML.
"""

import difflib
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llm_studio.config.sections import (
    LANGUAGES,
    LARGEST_VOCABULARY,
    SMALLEST_VOCABULARY,
    SPECIAL_TOKENS,
    DataSettings,
    GenerationSettings,
    ModelSettings,
    ProjectSettings,
    Section,
    TokenizerSettings,
    TrainingSettings,
)
from llm_studio.errors import ConfigError, Problem
from llm_studio.i18n import N_, _

__all__ = [
    "LANGUAGES",
    "LARGEST_VOCABULARY",
    "MAPPINGS",
    "SECTIONS",
    "SMALLEST_VOCABULARY",
    "SPECIAL_TOKENS",
    "DataSettings",
    "GenerationSettings",
    "ModelSettings",
    "ProjectSettings",
    "Section",
    "Settings",
    "TokenizerSettings",
    "TrainingSettings",
    "problems",
    "split_path",
]

SECTIONS: dict[str, type[Section]] = {
    "project": ProjectSettings,
    "data": DataSettings,
    "tokenizer": TokenizerSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "generation": GenerationSettings,
}


@dataclass(frozen=True)
class Settings:
    """All settings of a project. `from_dict` checks fields and rules; a section alone checks only its own fields."""

    project: ProjectSettings = field(default_factory=ProjectSettings)
    data: DataSettings = field(default_factory=DataSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> "Settings":
        """Create settings from sections of plain values; missing ones get their default. Raises ConfigError."""
        found = problems(values)
        if found:
            raise ConfigError(_("These settings can't be used:"), found)
        return Settings(**{name: SECTIONS[name].model_validate(values.get(name) or {}) for name in SECTIONS})  # pyright: ignore[reportArgumentType]  each class from its own name

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return sections of plain values, suitable for YAML and JSON."""
        return {name: getattr(self, name).model_dump(mode="json") for name in SECTIONS}

    def replaced(self, changes: Mapping[str, object]) -> "Settings":
        """Return a copy with `changes` by dotted name, `{"training.max_steps": 200}`. Raises ConfigError.

        A single entry of a mapping can be changed: `{"data.weights.stories-en": 2}`.
        """
        values: dict[str, dict[str, Any]] = self.to_dict()
        for path, value in changes.items():
            section, name, key = split_path(path)
            content = values.setdefault(section, {})
            if key is None:
                content[name] = value
            elif isinstance(content.get(name), dict):
                content[name] = {**content[name], key: value}
        return Settings.from_dict(values)


MAPPINGS = ("data.weights",)
"""Settings that are mappings with keys chosen by the user."""


def split_path(path: str) -> tuple[str, str, str | None]:
    """Split a dotted path into section, setting and, for an entry of a mapping, its key (which may contain dots)."""
    section, _dot, name = path.partition(".")
    for mapping in MAPPINGS:
        if path.startswith(mapping + "."):
            return section, mapping.partition(".")[2], path[len(mapping) + 1 :]
    return section, name, None


# --- Rules between settings ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A condition on several settings of one section; a problem is reported for the first of them."""

    section: str
    names: tuple[str, ...]
    holds: Callable[[Any], bool]
    message: str


RULES = (
    Rule("data", ("max_characters", "min_characters"), lambda d: not 0 < d.max_characters < d.min_characters,
         N_("no document is longer than min_characters = {min_characters} and shorter than {max_characters}")),
    Rule("model", ("d_model", "n_heads"), lambda m: m.d_model % m.n_heads == 0,
         N_("{d_model} can't be divided among n_heads = {n_heads} heads: take a multiple of {n_heads}")),
    Rule("model", ("n_kv_heads", "n_heads"), lambda m: m.n_heads % m.kv_heads == 0,
         N_("n_heads = {n_heads} can't be shared among {n_kv_heads} key/value heads: take a divisor of {n_heads}")),
    Rule("model", ("d_model", "n_heads", "positions"),
         lambda m: m.positions != "rope" or m.d_model % m.n_heads != 0 or m.head_width % 2 == 0,
         N_("rotary positions need heads of even width, but {d_model} / {n_heads} is odd")),
    Rule("model", ("d_model", "positions"), lambda m: m.positions != "sinusoidal" or m.d_model % 2 == 0,
         N_("sinusoidal positions need an even width, not {d_model}")),
)  # fmt: skip


_MOST_PROBLEMS = 100
"""Most problems reported for one file."""


def problems(values: Mapping[str, object]) -> list[Problem]:
    """Return every problem of these settings, in the user's language; empty when they are valid."""
    found: list[Problem] = []
    for name, content in values.items():
        if len(found) >= _MOST_PROBLEMS:
            break
        if name not in SECTIONS:
            found.append(Problem(name, _("unknown section") + _did_you_mean(name, SECTIONS)))
        elif content is not None and not isinstance(content, Mapping):
            found.append(Problem(name, _("must hold settings, one to a line, as in “max_steps: 200”")))
        else:
            written = cast("Mapping[object, object]", content or {})
            found += _section_problems(name, {str(key): value for key, value in written.items()})
    return found


def _section_problems(name: str, content: Mapping[str, object]) -> list[Problem]:
    kind = SECTIONS[name]
    found: list[Problem] = []
    wrong: set[str] = set()
    try:
        kind.model_validate(content)
    except ValidationError as error:
        for detail in error.errors():
            key = str(detail["loc"][0])
            entry = isinstance(content[key], Mapping) and f"{name}.{key}" in MAPPINGS if key in content else False
            known = key in wrong and not entry
            wrong.add(key)
            if not known and len(found) < _MOST_PROBLEMS:
                path = f"{name}.{key}.{detail['loc'][1]}" if entry else f"{name}.{key}"
                found.append(Problem(path, problem_sentence(detail, kind)))
    usable = kind.model_validate({key: value for key, value in content.items() if key not in wrong})
    broken = (r for r in RULES if r.section == name and not wrong.intersection(r.names) and not r.holds(usable))
    return found + [Problem(f"{name}.{r.names[0]}", _(r.message).format(**usable.model_dump())) for r in broken]


def _did_you_mean(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return _(": did you mean “{name}”?").format(name=near[0]) if near else ""


def problem_sentence(detail: ErrorDetails, kind: type[Section] | None = None) -> str:
    """One of pydantic's errors as a sentence for the user. `kind`: the section that it is about, if any."""
    given, shown = _figure(detail["input"]), _shown(detail["input"])
    limits = {name: _figure(limit) for name, limit in detail.get("ctx", {}).items()}
    match detail["type"]:
        case "extra_forbidden" if kind:
            return _("unknown setting") + _did_you_mean(str(detail["loc"][0]), kind.model_fields)
        case "greater_than_equal":
            return _("must be at least {limit}, not {given}").format(limit=limits["ge"], given=given)
        case "greater_than":
            return _("must be greater than {limit}, not {given}").format(limit=limits["gt"], given=given)
        case "less_than_equal":
            return _("must be at most {limit}, not {given}").format(limit=limits["le"], given=given)
        case "less_than":
            return _("must be less than {limit}, not {given}").format(limit=limits["lt"], given=given)
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return _("must be a whole number, not {given}").format(given=shown)
        case "float_type" | "float_parsing" | "finite_number":
            return _("must be a number, not {given}").format(given=shown)
        case "bool_type" | "bool_parsing":
            return _("must be true or false, not {given}").format(given=shown)
        case "literal_error" if kind:
            choices = get_args(kind.model_fields[str(detail["loc"][0])].annotation)
            return _("must be one of {choices}, not {given}").format(choices=", ".join(choices), given=shown)
        case "string_too_long":
            return _("must be at most {limit} characters long").format(limit=limits["max_length"])
        case "string_too_short":
            return _("must not be empty")
        case "string_type" | "string_unicode":
            return _("must be a text, not {given}").format(given=shown)
        case "tuple_type":
            return _("must be a list of texts, not {given}").format(given=shown)
        case "dict_type":
            return _("must name sources with their weights, as in {{stories-en: 2}}, not {given}").format(given=shown)
        case _:
            return detail["msg"]


def _figure(value: object) -> object:
    """A whole float without its “.0”; other values unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 else value


def _shown(value: object) -> str:
    text = _("nothing") if value is None else repr(value[:60]) if isinstance(value, str) else reprlib.repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
