"""A small language model, from texts to generated text. Here: its settings, which all parts share."""

from pathlib import Path
from types import SimpleNamespace

import yaml

ROOT = Path(__file__).parents[1]
"""The folder of the project."""


def load_config() -> SimpleNamespace:
    """The settings in config/config.yaml, as in config.model.d_model."""
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    return SimpleNamespace(**{
        section: SimpleNamespace(**{name: number(value) for name, value in values.items()})
        for section, values in content.items()
    })  # fmt: skip


def number(value: object) -> object:
    """YAML takes 3e-4 for a text, since it has no point: here it is a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
