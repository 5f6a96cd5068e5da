"""Which branches of the templates a model uses, and its config.yaml with only the settings that its code reads."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llm_studio.config import GenerationSettings, Section
from llm_studio.data.tokenizer import patterns
from llm_studio.export.source import Source
from llm_studio.i18n import N_, _

_MODEL = ("d_model", "n_heads", "n_kv_heads", "n_layers", "d_ff", "max_seq_len", "dropout", "rope_theta")
_TRAINING = (
    "batch_size", "gradient_accumulation_steps", "learning_rate", "muon_learning_rate", "muon_momentum", "warmup_steps",
    "max_steps", "gradient_clip", "final_learning_rate_ratio", "decay_share", "weight_decay", "beta1", "beta2",
    "eval_interval", "eval_sequences", "checkpoint_interval", "seed", "threads",
)  # fmt: skip
_GENERATION = tuple(GenerationSettings.model_fields)
_ONLY_WITH = {
    "n_kv_heads": "grouped", "dropout": "dropout", "rope_theta": "rope", "muon_learning_rate": "muon",
    "muon_momentum": "muon", "gradient_clip": "clipped", "decay_share": "constant", "stop": "stop_strings",
}  # fmt: skip
"""Settings that only one branch of the templates reads."""

_HELP = {
    "vocab_size": N_("tokens of the tokenizer"),
    "threads": N_("processor threads"),
    "eval_interval": N_("steps between two evaluations"),
    "gradient_clip": N_("gradient-norm clipping threshold"),
}
"""Help texts that replace those of settings whose declaration mentions more than the exported code does."""


def flags(source: Source) -> dict[str, bool]:
    """The values of the conditions in the templates, by name."""
    model, training = source.settings.model, source.settings.training
    split_digits = source.settings.tokenizer.split_digits
    pattern = _pattern(json.loads(source.tokenizer.to_json())["pre_tokenizer"])
    one_of = {
        "positions": ("rope", "learned", "sinusoidal"), "norm": ("rmsnorm", "layernorm"),
        "activation": ("swiglu", "gelu", "relu2"),
    }  # fmt: skip
    chosen = {value: getattr(model, name) == value for name, values in one_of.items() for value in values}
    return chosen | {
        "grouped": model.kv_heads != model.n_heads,
        "qk_norm": model.qk_norm,
        "tied": model.tie_embeddings,
        "bias": model.bias,
        "dropout": model.dropout > 0,
        "zero_init": model.zero_init,
        "muon": training.optimizer == "muon",
        "cosine": training.schedule == "cosine",
        "constant": training.schedule == "constant",
        "clipped": training.gradient_clip > 0,
        "bfloat16": source.saved.state.compute.precision == "bfloat16",
        "conversations": source.conversations,
        "answers": source.conversations and training.loss_on == "answers",
        "excluded": any(weight == 0 for weight in source.settings.data.weights.values()),
        "stop_strings": bool(source.settings.generation.stop),
        "gpt2_words": pattern == patterns.GPT2,
        "digits_apart": split_digits if pattern == patterns.GPT2 else pattern == patterns.QWEN2,
    }


def names(source: Source) -> dict[str, str]:
    """Replacements for placeholder names in the templates."""
    model = source.settings.model
    return {"config.bias": str(model.bias), "Norm": "RMSNorm" if model.norm == "rmsnorm" else "LayerNorm"}


def config_yaml(source: Source, used: Mapping[str, bool]) -> str:
    """config.yaml, with a comment on each setting."""
    settings = source.settings
    factor = float(source.saved.state.recovery.get("rate_factor", 1.0))  # after a divergence the rates are lower
    changed = {name: factor * getattr(settings.training, name) for name in ("learning_rate", "muon_learning_rate")}
    changed["threads"] = source.saved.state.compute.threads
    vocab = {"vocab_size": source.tokenizer.vocab_size}
    sections: list[tuple[str, Section, tuple[str, ...], Mapping[str, Any]]] = [
        ("model", settings.model, ("vocab_size", *_MODEL), vocab),
        ("training", settings.training, _TRAINING, changed),
        ("generation", settings.generation, _GENERATION, {}),
        ("tokenizer", settings.tokenizer, ("min_frequency",), {}),
    ]
    lines: list[str] = []
    for name, section, fields, other in sections:
        read = [one for one in fields if used.get(_ONLY_WITH.get(one, ""), True)]
        lines += [f"{name}:", *_lines(section, read, other), ""]
    held_out = f"  {f'validation_fraction: {settings.data.validation_share}':<36}# "
    return "\n".join([*lines, "data:", held_out + _("fraction of the texts held out for validation"), ""])


def _lines(section: Section, fields: list[str], changed: Mapping[str, Any]) -> Iterator[str]:
    for name in fields:
        value = changed.get(name, getattr(section, name))
        shown = "null" if value is None else json.dumps(value)
        about = type(section).model_fields[name].description or ""
        yield f"  {name + ': ' + shown:<36}# {_(_HELP.get(name, about))}"


def _pattern(pre_tokenizer: dict[str, Any]) -> str:
    """The pattern with which a tokenizer splits texts, if it is one of this program's; otherwise that of Qwen2."""
    steps: list[dict[str, Any]] = pre_tokenizer.get("pretokenizers") or [pre_tokenizer]
    if any(step["type"] == "ByteLevel" and step.get("use_regex", True) for step in steps):
        return patterns.GPT2
    found = [step["pattern"].get("Regex") for step in steps if step["type"] == "Split"]
    return patterns.LLAMA3 if patterns.LLAMA3 in found else patterns.QWEN2
