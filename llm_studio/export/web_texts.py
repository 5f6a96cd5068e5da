"""The texts of the web page, in all languages of the program. Settings are described as in their declarations."""

import typing
from typing import Any

from llm_studio.config import LANGUAGES, GenerationSettings, ModelSettings
from llm_studio.config.controls import Choices, Slider
from llm_studio.export.facts import Facts
from llm_studio.i18n import LANGUAGE_NAMES, N_, translator

TEXTS = {
    "loading": N_("Loading the model… {percent}"),
    "failed": N_("The model can’t be loaded: {reason}. Copy this file again, or open it in a current browser."),
    "incomplete": N_("the file is incomplete"),
    "language": N_("Language"),
    "theme": N_("Light or dark"),
    "mode": N_("What the model does with what you write"),
    "ask": N_("Ask"),
    "continue": N_("Continue the text"),
    "prompt": N_("What you write"),
    "begin_here": N_("Write the beginning of a text"),
    "ask_here": N_("Write a question"),
    "empty_text": N_("Write the beginning of a text, and the model continues it. With nothing written, it begins one."),
    "empty_question": N_("Write a question, and the model answers as it has learned from conversations."),
    "written": N_("What was written"),
    "write": N_("Generate"),
    "stop": N_("Stop"),
    "clear": N_("New text"),
    "again": N_("Regenerate"),
    "more": N_("Continue"),
    "copy": N_("Copy"),
    "one_token": N_("{n} token"),
    "tokens": N_("{n} tokens"),
    "speed": N_("{rate} tok/s"),
    "seed_was": N_("seed {seed}"),
    "at_limit": N_("The maximum length was reached before the text ended: “Continue” writes more."),
    "prompt_cut": N_("What you wrote is longer than the context of the model: it read only the end."),
    "stopped": N_("A stop string ended the text here."),
    "ended": N_("The model ended the text here."),
    "ended_at_once": N_("The model ended the text at once. Write another beginning, or try again with another seed."),
    "tints": N_("Probabilities"),
    "from_50": N_("≥ 50\u00a0%"),
    "from_20": N_("≥ 20\u00a0%"),
    "from_5": N_("≥ 5\u00a0%"),
    "below_5": N_("< 5\u00a0%"),
    "sampling": N_("Sampling"),
    "seed": N_("Seed"),
    "random": N_("random"),
    "seed_help": N_("The same seed gives the same text again, on this page."),
    "defaults": N_("Back to the defaults"),
    "next_token": N_("Next token"),
    "beginning": N_("At the beginning of a text:"),
    "live": N_("After the text above:"),
    "at_token": N_("Where “{token}” was written:"),
    "possible": N_("{n} possible tokens of {total}"),
    "one_possible": N_("{n} possible token of {total}"),
    "model_probability": N_("model probability"),
    "sampling_probability": N_("sampling probability"),
    "click": N_("Click a written token to see what else was possible there."),
    "end_of_text": N_("end of text"),
    "back": N_("Back to the end"),
    "about": N_("About this model"),
    "summary": N_("{parameters} parameters · made with {program}"),
    "computed_by": N_("Computed by"),
    "may_reproduce": N_(
        "A model may reproduce passages of the texts that it was trained on: give it only to people who may have those."
    ),
    "private": N_(
        "The whole model is in this file. It runs on this device alone: nothing is fetched, and nothing that you write"
        " leaves this page."
    ),
}
"""By the names that the page uses, in English."""

_SHAPE = ("positions", "norm", "activation", "qk_norm", "tie_embeddings", "bias")
_PLAIN = ("n_layers", "d_model", "n_heads", "d_ff", "max_seq_len")


def texts() -> dict[str, dict[str, str]]:
    """All texts by language and name."""
    return {language: {name: translator(language)(text) for name, text in TEXTS.items()} for language in LANGUAGE_NAMES}


def sliders(settings: GenerationSettings) -> list[dict[str, Any]]:
    """The sampling settings that are sliders, with the project's values as defaults."""
    found: list[dict[str, Any]] = []
    for name, info in GenerationSettings.model_fields.items():
        slider = next((one for one in info.metadata if isinstance(one, Slider)), None)
        if slider is None:
            continue
        words = {
            language: {
                "title": translator(language)(info.title or name),
                "help": translator(language)(info.description or ""),
                "zero": translator(language)(slider.zero),
            }
            for language in LANGUAGE_NAMES
        }
        whole = info.annotation is int
        found.append({"name": name, "low": slider.low, "high": slider.high, "curve": slider.curve, "texts": words,
                      "step": max(slider.step, 1) if whole else slider.step, "digits": 0 if whole else 2,
                      "default": getattr(settings, name)})  # fmt: skip
    return found


def card(known: Facts, settings: ModelSettings, date: str) -> dict[str, list[list[Any]]]:
    """The model card by language: rows of a title and a value; a number also has its decimals and unit."""
    return {language: list(_lines(known, settings, date, language)) for language in LANGUAGE_NAMES}


def _lines(known: Facts, settings: ModelSettings, date: str, language: str) -> typing.Iterator[list[Any]]:
    speak = translator(language)
    yield [speak(N_("Run")), f"{known.run} · {speak(N_('step {step}')).format(step=known.step)}"]
    yield [speak(N_("Parameters")), known.parameters]
    yield [speak(N_("Vocabulary")), known.vocab_size, 0, speak(N_("tokens"))]
    for name in _PLAIN:
        yield [speak(ModelSettings.model_fields[name].title or name), getattr(settings, name)]
    for name in _SHAPE:
        yield [speak(ModelSettings.model_fields[name].title or name), _shown(settings, name, speak)]
    yield [speak(N_("Trained on")), known.tokens, 0, speak(N_("tokens"))]
    for source in known.sources:
        yield [speak(N_("Texts")), source.name]
    if known.language in LANGUAGES:
        yield [speak(N_("Language of the texts")), LANGUAGE_NAMES.get(known.language, known.language)]
    if known.validation_loss is not None:
        yield [speak(N_("Validation loss")), known.validation_loss, 3]
    if known.bits_per_byte is not None:
        yield [speak(N_("Bits per byte")), known.bits_per_byte, 3]
    yield [speak(N_("Weights")), speak(N_("int8, one scale per row"))]
    yield [speak(N_("Exported")), date]


def _shown(settings: ModelSettings, name: str, speak: typing.Callable[[str], str]) -> str:
    value: str | bool = getattr(settings, name)
    if isinstance(value, bool):
        return speak(N_("yes") if value else N_("no"))
    choices = (one.names for one in ModelSettings.model_fields[name].metadata if isinstance(one, Choices))
    names: dict[str, str] = next(choices, {})
    return speak(names.get(value, value))
