"""Presets: the complete settings of a model size, one YAML file each in resources/presets.

A preset is added by adding its file. Its first lines are its title and its description, in English and French:

    # Nano: 1 M parameters, trains in minutes on any processor.
    # fr: 1 M de paramètres, s’entraîne en quelques minutes sur n’importe quel processeur.
"""

import functools
import re
from dataclasses import dataclass

from llm_studio.config.settings import Settings
from llm_studio.config.yaml_file import parse
from llm_studio.errors import ConfigError, Problem
from llm_studio.i18n import N_, _, language
from llm_studio.paths import resource

_HEADER = re.compile(r"# (?P<title>[^:\n]+): (?P<about>.+)")
_TRANSLATED = re.compile(r"^# (?P<language>[a-z]{2}): (?P<about>.+)$", re.MULTILINE)
_TITLES = (N_("Small"), N_("Medium"))
"""Titles that have a translation."""


@dataclass(frozen=True)
class Preset:
    """A preset. `name` is the name of its file, `title` the display name."""

    name: str
    title: str
    descriptions: dict[str, str]
    """By language; always includes English."""
    settings: Settings

    @property
    def about(self) -> str:
        """Its description in the user's language."""
        return self.descriptions.get(language(), self.descriptions["en"])

    @property
    def size(self) -> int:
        """A rough number of parameters, to sort by: 12 L D^2 in the blocks, V D in the embedding."""
        model = self.settings.model
        return 12 * model.n_layers * model.d_model**2 + model.vocab_size * model.d_model


@functools.cache
def presets() -> dict[str, Preset]:
    """All presets by name, the smallest model first."""
    found = [_read(path.stem, path.read_text(encoding="utf-8")) for path in resource("presets").glob("*.yaml")]
    return {preset.name: preset for preset in sorted(found, key=lambda preset: preset.size)}


def preset_names() -> tuple[str, ...]:
    """The names of all presets, the smallest model first."""
    return tuple(presets())


def load_preset(name: str) -> Settings:
    """The settings of the preset `name`. Raises ConfigError if there is none."""
    if name not in presets():
        problem = Problem("preset", _("must be one of {choices}").format(choices=", ".join(presets())))
        raise ConfigError(_("There is no preset “{name}”:").format(name=name), [problem])
    return presets()[name].settings


def _read(name: str, text: str) -> Preset:
    header = _HEADER.match(text)
    title, about = (header["title"], header["about"]) if header else (name, "")
    translated = {found["language"]: found["about"] for found in _TRANSLATED.finditer(text)}
    return Preset(name, title, {"en": about, **translated}, parse(text))
