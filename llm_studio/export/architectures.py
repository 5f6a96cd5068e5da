"""The architecture of a model in other programs: Qwen3, Llama or GPT-2, and the names of its weights there.

    RoPE, RMSNorm, SwiGLU, with query/key norm              Qwen3
    the same without query/key norm                         Llama
    learned positions, LayerNorm, GELU                      GPT-2

Only names, splits and transpositions differ, so another program computes the same with the renamed weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from llm_studio.config import ModelSettings
from llm_studio.errors import ProjectError
from llm_studio.export.source import require_checkpoint
from llm_studio.i18n import _
from llm_studio.runs.locate import ModelRef

if TYPE_CHECKING:
    from torch import Tensor

    from llm_studio.runs.tensors import Tensors

Architecture: TypeAlias = Literal["qwen3", "llama", "gpt2"]


def architecture_of(settings: ModelSettings) -> Architecture:
    """The architecture of a model with these settings. Raises ProjectError if no other program supports it."""
    modern = (settings.positions, settings.norm, settings.activation) == ("rope", "rmsnorm", "swiglu")
    if modern and not (settings.qk_norm and settings.bias):
        return "qwen3" if settings.qk_norm else "llama"
    classic = (settings.positions, settings.norm, settings.activation) == ("learned", "layernorm", "gelu")
    if classic and not settings.qk_norm and settings.kv_heads == settings.n_heads:
        return "gpt2"
    raise ProjectError(
        _("Neither transformers nor llama.cpp has models with {parts}.").format(parts=_parts(settings)),
        _("For these programs, train a model with RoPE, RMSNorm and SwiGLU without bias, like the presets nano to "
          "medium, or like GPT-2, as the preset gpt2."),
    )  # fmt: skip


def require_architecture(model: ModelRef) -> None:
    """Raise ProjectError if no other program supports the architecture of a model; CheckpointError if it is gone."""
    require_checkpoint(model)
    architecture_of(model.settings().model)


def _parts(settings: ModelSettings) -> str:
    """The components of a model: “sinusoidal positions + RMSNorm + SwiGLU + bias”."""
    positions = {"rope": "RoPE", "learned": _("learned positions"), "sinusoidal": _("sinusoidal positions")}
    activation = {"swiglu": "SwiGLU", "gelu": "GELU", "relu2": "ReLU²"}
    parts = [positions[settings.positions], "RMSNorm" if settings.norm == "rmsnorm" else "LayerNorm",
             activation[settings.activation]]  # fmt: skip
    parts += [_("query/key norm")] * settings.qk_norm + [_("bias")] * settings.bias
    parts += [_("shared key/value heads")] * (settings.kv_heads != settings.n_heads)
    return " + ".join(parts)


# --- Names ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One of our parameters, `name`, and its equivalent elsewhere: the matrices `parts`, stacked vertically.

    `rows`: number of rows of each part. `transposed`: stored as (inputs, outputs), as in GPT-2. `absent`: a bias
    that we don't have, filled with zeros there.
    """

    name: str
    parts: tuple[str, ...]
    rows: tuple[int, ...]
    transposed: bool = False
    absent: bool = False


def entries(settings: ModelSettings, vocab_size: int) -> Iterator[Entry]:
    """All parameters of a model, under the names of its architecture in transformers."""
    if architecture_of(settings) == "gpt2":
        yield from _gpt2_entries(settings, vocab_size)
    else:
        yield from _llama_entries(settings, vocab_size)


def _llama_entries(settings: ModelSettings, vocab_size: int) -> Iterator[Entry]:
    width, inner = settings.d_model, settings.d_ff
    shared = settings.kv_heads * settings.head_width
    yield Entry("embeddings.token.weight", ("model.embed_tokens.weight",), (vocab_size,))
    for layer in range(settings.n_layers):
        here, there = f"blocks.{layer}.", f"model.layers.{layer}."
        yield Entry(here + "attention_norm.weight", (there + "input_layernorm.weight",), (width,))
        yield Entry(here + "feed_forward_norm.weight", (there + "post_attention_layernorm.weight",), (width,))
        for kind in ("weight", "bias") if settings.bias else ("weight",):
            qkv = tuple(f"{there}self_attn.{one}_proj.{kind}" for one in "qkv")
            yield Entry(f"{here}attention.qkv.{kind}", qkv, (width, shared, shared))
            yield Entry(f"{here}attention.output.{kind}", (f"{there}self_attn.o_proj.{kind}",), (width,))
            gate_up = tuple(f"{there}mlp.{one}_proj.{kind}" for one in ("gate", "up"))
            yield Entry(f"{here}feed_forward.gate_up.{kind}", gate_up, (inner, inner))
            yield Entry(f"{here}feed_forward.down.{kind}", (f"{there}mlp.down_proj.{kind}",), (width,))
        for ours, theirs in (("query", "q"), ("key", "k")) if settings.qk_norm else ():
            name = f"{there}self_attn.{theirs}_norm.weight"
            yield Entry(f"{here}attention.{ours}_norm.weight", (name,), (settings.head_width,))
    yield Entry("final_norm.weight", ("model.norm.weight",), (width,))
    if not settings.tie_embeddings:
        yield Entry("head.weight", ("lm_head.weight",), (vocab_size,))


_GPT2_NAMES = (
    ("attention_norm", "ln_1"), ("attention.qkv", "attn.c_attn"), ("attention.output", "attn.c_proj"),
    ("feed_forward_norm", "ln_2"), ("feed_forward.up", "mlp.c_fc"), ("feed_forward.down", "mlp.c_proj"),
)  # fmt: skip


def _gpt2_entries(settings: ModelSettings, vocab_size: int) -> Iterator[Entry]:
    width = settings.d_model
    rows = {"attention.qkv": 3 * width, "feed_forward.up": settings.d_ff}
    yield Entry("embeddings.token.weight", ("transformer.wte.weight",), (vocab_size,))
    yield Entry("embeddings.position.weight", ("transformer.wpe.weight",), (settings.max_seq_len,))
    for layer in range(settings.n_layers):
        for ours, theirs in _GPT2_NAMES:
            here, there = f"blocks.{layer}.{ours}", f"transformer.h.{layer}.{theirs}"
            count = (rows.get(ours, width),)
            yield Entry(f"{here}.weight", (f"{there}.weight",), count, transposed=not ours.endswith("norm"))
            yield Entry(f"{here}.bias", (f"{there}.bias",), count, absent=not settings.bias)
    yield Entry("final_norm.weight", ("transformer.ln_f.weight",), (width,))
    yield Entry("final_norm.bias", ("transformer.ln_f.bias",), (width,), absent=not settings.bias)
    if not settings.tie_embeddings:
        yield Entry("head.weight", ("lm_head.weight",), (vocab_size,))


def renamed(settings: ModelSettings, weights: "Tensors") -> "Iterator[tuple[str, Tensor]]":
    """Yield the weights of a model with the names and the layout of transformers."""
    import torch

    for entry in entries(settings, len(weights["embeddings.token.weight"])):
        if entry.absent:
            yield entry.parts[0], torch.zeros(entry.rows[0])
            continue
        whole = weights[entry.name].T if entry.transposed else weights[entry.name]
        parts = whole.split(entry.rows) if len(entry.parts) > 1 else (whole,)
        for name, part in zip(entry.parts, parts, strict=True):
            yield name, part.contiguous()


def shapes(settings: ModelSettings, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights in transformers, by name."""
    import torch

    from llm_studio.model.transformer import Transformer

    with torch.device("meta"):
        ours = Transformer(settings, vocab_size).state_dict()
    found: dict[str, tuple[int, ...]] = {}
    for entry in entries(settings, vocab_size):
        width = () if entry.absent else tuple(ours[entry.name].shape[1:])
        for name, rows in zip(entry.parts, entry.rows, strict=True):
            found[name] = (*width, rows) if entry.transposed else (rows, *width)
    return found


def restored(settings: ModelSettings, theirs: "Tensors", vocab_size: int) -> "Tensors":
    """The inverse of `renamed`, in float32. `theirs` have the shapes that `shapes` gives."""
    import torch

    found: Tensors = {}
    for entry in entries(settings, vocab_size):
        if not entry.absent:
            parts = [theirs[name].float() for name in entry.parts]
            whole = torch.cat(parts) if len(parts) > 1 else parts[0]
            found[entry.name] = (whole.T if entry.transposed else whole).contiguous()
    return found
