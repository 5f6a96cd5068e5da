"""The README.md of an exported model: architecture, training data, quality, licence."""

import re

from llm_studio import __version__
from llm_studio.export.facts import Facts
from llm_studio.export.format import MEMORIZED_TEXTS
from llm_studio.i18n import _, bits_per_byte, number, short_number


def model_card(known: Facts, licence: str, library: str, use: str) -> str:
    """The card in Markdown, with the metadata of the Hugging Face hub. `use`: how to generate text with the model."""
    loss = _("not measured") if known.validation_loss is None else number(known.validation_loss, 3)
    rows = [
        (_("Parameters"), known.size),
        (_("Vocabulary"), _("{n} tokens").format(n=number(known.vocab_size))),
        (_("Context"), _("{n} tokens").format(n=number(known.context))),
        (_("Run"), _("{run}, step {step}").format(run=known.run, step=number(known.step))),
        (_("Trained on"), _("{n} tokens").format(n=short_number(known.tokens))),
        (_("Validation loss"), loss),
    ]
    if known.bits_per_byte is not None:
        rows.append((_("Validation loss in bits per byte"), bits_per_byte(known.bits_per_byte)))
    tokens = _("{n} tokens")
    sources = [f"- {_plain(one.name)} ({tokens.format(n=number(one.tokens))})" for one in known.sources]
    made = _("A language model of {n} parameters, trained from scratch and made with LLM Studio {version}.")
    return "\n".join([
        "---", f"license: {licence}", f"language: {known.language}", f"library_name: {library}",
        "pipeline_tag: text-generation", "tags: [llm-studio, trained-from-scratch]", "---", "",
        f"# {_plain(known.project)}", "", made.format(n=known.size, version=__version__), "",
        "| | |", "|---|---|", *(f"| {name} | {_plain(value)} |" for name, value in rows), "",
        "## " + _("Texts it was trained on"), "", *(sources or [_("Not recorded: to be filled in.")]), "",
        "## " + _("How to use it"), "", use, "",
        "## " + _("Before you share it"), "", _(MEMORIZED_TEXTS),
        _("A small model makes things up: don't rely on what it writes."), "",
    ])  # fmt: skip


def _plain(text: str) -> str:
    """A name escaped for Markdown, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
