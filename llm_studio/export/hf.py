"""A Hugging Face folder, readable with `from_pretrained` of transformers and by programs based on it."""

import json
from pathlib import Path
from typing import Any

from llm_studio.config import Settings
from llm_studio.data.sources.conversations import END
from llm_studio.events import Progress
from llm_studio.export import source
from llm_studio.export.architectures import architecture_of, renamed, require_architecture
from llm_studio.export.chat_template import CHAT_TEMPLATE, stops
from llm_studio.export.facts import LICENCE, facts
from llm_studio.export.format import Exported, Format, Options
from llm_studio.export.model_card import model_card
from llm_studio.export.place import exported, new_folder
from llm_studio.export.sampling import for_transformers
from llm_studio.export.source import Source
from llm_studio.i18n import N_, _
from llm_studio.jobs import Job
from llm_studio.runs.checkpoint import MODEL, TOKENIZER
from llm_studio.runs.locate import ModelRef

CONFIG, TOKENIZER_CONFIG, GENERATION, CARD = (
    "config.json",
    "tokenizer_config.json",
    "generation_config.json",
    "README.md",
)
TEMPLATE = "chat_template.jinja"
EPS = 1e-5
"""The epsilon of our models' norms."""
OWN = "llm_studio"
"""The key of this program's entry in config.json."""
_TEXTS = 10_000
"""Approximate bytes of the small files."""
CLASSES = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM", "gpt2": "GPT2LMHeadModel"}
"""The classes of transformers by architecture."""


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Bytes of the weights, the tokenizer and the small files."""
    del options
    tokenizer = model.path / TOKENIZER
    return {MODEL: source.weights_bytes(model), TOKENIZER: tokenizer.stat().st_size if tokenizer.is_file() else 0,
            CONFIG: _TEXTS}  # fmt: skip


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """Write a checkpoint to the new folder `target`."""
    from llm_studio.runs import tensors

    found = source.read(model, job, require_architecture)
    total = sum(sizes(model, options).values())
    with new_folder(target, total) as folder:
        weights = dict(renamed(found.settings.model, found.weights))
        job.report(Progress(_("Writing {file}").format(file=MODEL), 0, total, _("bytes")))
        tensors.write(folder / MODEL, weights, {"format": "pt"})
        job.check()
        for name, content in (
            (CONFIG, config(found.settings, found)), (TOKENIZER_CONFIG, tokenizer_config(found)),
            (GENERATION, generation_config(found)), (TOKENIZER, tokenizer_json(found)),
        ):  # fmt: skip
            text = json.dumps(content, ensure_ascii=False, indent=2 if name != TOKENIZER else 1) + "\n"
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        if found.conversations:
            (folder / TEMPLATE).write_text(CHAT_TEMPLATE, encoding="utf-8", newline="\n")
        card = model_card(facts(found), str(LICENCE.value(options)), "transformers", _usage(found))
        (folder / CARD).write_text(card, encoding="utf-8", newline="\n")
        job.report(Progress(_("Writing {file}").format(file=MODEL), total, total, _("bytes")))
        job.check()
    return exported(target)


def config(settings: Settings, found: Source) -> dict[str, Any]:
    """config.json. Every number is set: the defaults of the classes are those of other models."""
    shape, kind = settings.model, architecture_of(settings.model)
    common: dict[str, Any] = {
        "architectures": [CLASSES[kind]], "model_type": kind, "vocab_size": found.tokenizer.vocab_size,
        "tie_word_embeddings": shape.tie_embeddings, "initializer_range": 0.02, "use_cache": True,
        "bos_token_id": found.tokenizer.end_of_text, "eos_token_id": found.tokenizer.end_of_text,
        "pad_token_id": found.tokenizer.end_of_text, "dtype": "float32", "torch_dtype": "float32",
        OWN: _own(found),
    }  # fmt: skip
    if kind == "gpt2":
        return common | {
            "n_positions": shape.max_seq_len, "n_ctx": shape.max_seq_len, "n_embd": shape.d_model,
            "n_layer": shape.n_layers, "n_head": shape.n_heads, "n_inner": shape.d_ff,
            "activation_function": "gelu_new", "layer_norm_epsilon": EPS, "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False, "reorder_and_upcast_attn": False, "add_cross_attention": False,
            "resid_pdrop": shape.dropout, "embd_pdrop": shape.dropout, "attn_pdrop": 0.0,
        }  # fmt: skip
    common |= {
        "hidden_size": shape.d_model, "intermediate_size": shape.d_ff, "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads, "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_width,
        "hidden_act": "silu", "max_position_embeddings": shape.max_seq_len, "rms_norm_eps": EPS,
        "rope_theta": shape.rope_theta, "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "attention_bias": shape.bias, "attention_dropout": 0.0,
    }  # fmt: skip
    if kind == "llama":
        return common | {"mlp_bias": shape.bias, "pretraining_tp": 1}
    return common | {"use_sliding_window": False, "sliding_window": None, "max_window_layers": shape.n_layers}


def _own(found: Source) -> dict[str, Any]:
    """Facts that transformers has no field for, used by this program when it opens the folder."""
    return {"run": found.model.run, "step": found.saved.step, "conversations": found.conversations,
            "validation_loss": found.saved.state.validation_loss,
            "bytes_per_token": found.saved.bytes_per_token}  # fmt: skip


def tokenizer_config(found: Source) -> dict[str, Any]:
    """tokenizer_config.json, with the generic class: those of Llama or Qwen would change the text."""
    more = [name for name in found.tokenizer.markers if name != END]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "pad_token": END,
        "additional_special_tokens": more, "add_bos_token": False, "add_eos_token": False, "add_prefix_space": False,
        "clean_up_tokenization_spaces": False, "model_max_length": found.settings.model.max_seq_len,
        "model_input_names": ["input_ids", "attention_mask"],
    }  # fmt: skip


def tokenizer_json(found: Source) -> dict[str, Any]:
    """tokenizer.json, without a post-processor that would add tokens, which an imported tokenizer may have."""
    content: dict[str, Any] = json.loads(found.tokenizer.to_json())
    after = content.get("post_processor")
    return content if after is None or after.get("type") == "ByteLevel" else {**content, "post_processor": None}


def generation_config(found: Source) -> dict[str, Any]:
    """generation_config.json: the project's sampling settings, and the tokens that end a text."""
    markers = found.tokenizer.markers
    ends = [markers[name] for name in stops(markers, found.conversations)]
    return {
        "bos_token_id": found.tokenizer.end_of_text, "eos_token_id": ends if len(ends) > 1 else ends[0],
        "pad_token_id": found.tokenizer.end_of_text, "max_length": found.settings.model.max_seq_len,
        **for_transformers(found.settings.generation),
    }  # fmt: skip


def _usage(found: Source) -> str:
    """Python code that generates text with the model."""
    asking = [
        'turns = [{"role": "user", "content": "..."}]',
        'ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
    ]
    beginning = ['ids = tokenizer("...", return_tensors="pt")']
    return "\n".join([
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer", "",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")', 'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
        *(asking if found.conversations else beginning),
        "print(tokenizer.decode(model.generate(**ids)[0]))",
        "```",
    ])  # fmt: skip


FORMAT = Format(
    name="hf",
    title="Hugging Face",
    action=N_("Export for Hugging Face…"),
    suffix="",
    summary=N_("For Python with transformers, and programs that build on it"),
    note=N_("A folder that from_pretrained reads as it is, with a model card. Nothing is uploaded."),
    files={MODEL: N_("Weights of the model"), TOKENIZER: N_("Tokenizer"), CONFIG: N_("Settings, model card")},
    sizes=sizes,
    write=write,
    options=(LICENCE,),
    require=require_architecture,
)
