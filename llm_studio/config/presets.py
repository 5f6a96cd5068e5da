"""Presets: the complete settings of a model size, one YAML file each in resources/presets.

A preset is added by adding its file. The first line is its title and description:

    # Nano: 1 M parameters, trains in minutes on any processor.
"""

import functools
import re
from dataclasses import dataclass

from llm_studio.config.settings import Settings
from llm_studio.config.yaml_file import parse
from llm_studio.errors import ConfigError, Problem
from llm_studio.i18n import N_, _
from llm_studio.paths import resource

_HEADER = re.compile(r"# (?P<title>[^:]+): (?P<about>.+)")
_TITLES = (N_("Small"), N_("Medium"))
"""Titles that have a translation."""


@dataclass(frozen=True)
class Preset:
    """A preset. `name` is that of its file, `title` the one for people."""

    name: str
    title: str
    about: str
    settings: Settings

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
    """The settings of the preset `name`. Raises ConfigError when there is none."""
    if name not in presets():
        problem = Problem("preset", _("must be one of {choices}").format(choices=", ".join(presets())))
        raise ConfigError(_("There is no preset “{name}”:").format(name=name), [problem])
    return presets()[name].settings


def _read(name: str, text: str) -> Preset:
    header = _HEADER.match(text)
    title, about = (header["title"], header["about"]) if header else (name, "")
    return Preset(name, title, about, parse(text))
