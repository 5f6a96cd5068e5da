"""The project's sampling settings with the names of other programs."""

from llm_studio.config import GenerationSettings

_OFF = {"min_p": 0.0, "repetition_penalty": 1.0}
"""Values without an effect, which transformers needs no entry for."""
_OLLAMA = {"repetition_penalty": "repeat_penalty"}
"""Ollama's names, if they differ."""
_KNOWN = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""The settings that other programs have as well."""


def for_transformers(settings: GenerationSettings) -> dict[str, object]:
    """The entries of generation_config.json."""
    if settings.temperature == 0:
        return {"do_sample": False}
    values = {name: getattr(settings, name) for name in _KNOWN}
    return {"do_sample": True, **{name: value for name, value in values.items() if _OFF.get(name) != value}}


def for_ollama(settings: GenerationSettings) -> dict[str, object]:
    """All parameters of a Modelfile: for a missing one, Ollama has a default of its own."""
    return {_OLLAMA.get(name, name): getattr(settings, name) for name in _KNOWN}
