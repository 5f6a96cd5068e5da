"""Opening a Hugging Face folder: one written by `hf.py`, or another with the architecture of GPT-2, Llama or Qwen3.

Only config.json, tokenizer.json and model.safetensors are read, with limits. No code is run, no link is followed out of
the folder, and a model that this program would compute differently is rejected.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio import files, records
from llm_studio.config import Settings
from llm_studio.errors import CheckpointError, ConfigError, RecordError, TokenizerError, reason_of
from llm_studio.export.architectures import restored, shapes
from llm_studio.export.hf import CLASSES, CONFIG, EPS
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.links import leads_out
from llm_studio.records import Amount, Count
from llm_studio.runs.checkpoint import MODEL, TOKENIZER

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.runs.tensors import Tensors

_FILES = (CONFIG, TOKENIZER, MODEL)
_INDEX = "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""Pickled weights, which are rejected with an explanation."""
_IGNORED = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Suffixes of constant tables in older files, which every program computes itself."""
_BASE = "transformer."
"""Prefix of the names of GPT-2's weights, which older files lack."""


@dataclass(frozen=True)
class Own:
    """The entry for this program in a folder that it exported."""

    run: str = ""
    step: Count = 0
    conversations: bool = False
    validation_loss: Amount | None = None
    bytes_per_token: Amount | None = None


@dataclass(frozen=True)
class _Kind:
    """The part of config.json that is read first."""

    model_type: str
    llm_studio: Own = field(default_factory=Own)


@dataclass(frozen=True)
class _Llama:
    """The fields that are read of the configuration of Llama and Qwen3, with the defaults of transformers."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    max_position_embeddings: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    hidden_act: str = "silu"
    rms_norm_eps: Amount = 1e-6
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    rope_theta: Amount | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    use_sliding_window: bool = False


@dataclass(frozen=True)
class _Gpt2:
    """The fields that are read of the configuration of GPT-2."""

    n_embd: Count
    n_layer: Count
    n_head: Count
    n_positions: Count
    n_inner: Count | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: Amount = 1e-5
    tie_word_embeddings: bool = True
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    resid_pdrop: Amount = 0.1


@dataclass(frozen=True)
class Opened:
    """A model from a Hugging Face folder, converted to this program's types."""

    settings: Settings
    tokenizer: "Tokenizer"
    weights: "Tensors"
    own: Own


def is_hf_folder(path: Path) -> bool:
    """Whether the folder at `path` looks like a model of transformers: a configuration with weights or a tokenizer."""
    beside = (MODEL, _INDEX, TOKENIZER, *_PICKLES)
    return path.is_dir() and (path / CONFIG).is_file() and any((path / name).exists() for name in beside)


def read(path: Path, job: Job) -> Opened:
    """Read the model in the folder `path`. Raises CheckpointError, Cancelled."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    _require_files(path)
    settings, own = _settings(path)
    job.check()
    try:
        tokenizer = Tokenizer.load(path / TOKENIZER)
    except TokenizerError as error:
        raise CheckpointError(error.what, _advice()) from error
    job.check()
    settings = settings.replaced({"model.vocab_size": max(tokenizer.vocab_size, 259)})
    return Opened(settings, tokenizer, _weights(path, settings, tokenizer.vocab_size), own)


def _require_files(path: Path) -> None:
    for name in _FILES:
        if leads_out(path / name, path):
            raise _refused(path, _("“{name}” is a link that leads out of it").format(name=name))
        try:
            files.require_regular(path / name)
        except FileNotFoundError as error:
            if name == MODEL and (path / _INDEX).exists():
                raise _refused(path, _("its weights are in several files")) from error
            if name == MODEL:
                reason = _("it has no model.safetensors, the only format of weights that can't run a program")
                raise _refused(path, reason) from error
            raise _refused(path, _("“{name}” is missing").format(name=name)) from error
        except OSError as error:
            raise _refused(path, _("“{name}” can't be read: {reason}").format(
                name=name, reason=reason_of(error))) from error  # fmt: skip


# --- config.json ------------------------------------------------------------------------------------------------


def _settings(path: Path) -> tuple[Settings, Own]:
    try:
        content = records.load(path / CONFIG, newest=None) or {}
        kind = records.decode(content, _Kind)
        if kind.model_type not in CLASSES:
            raise _refused(path, _("its architecture is “{kind}”, not GPT-2, Llama or Qwen3").format(
                kind=kind.model_type[:40]))  # fmt: skip
        gpt2 = kind.model_type == "gpt2"
        model = _of_gpt2(path, records.decode(content, _Gpt2)) if gpt2 else _of_llama(
            path, records.decode(content, _Llama), kind.model_type)  # fmt: skip
    except RecordError as error:
        raise CheckpointError(error.what, _advice()) from error
    except records.Misfit as error:
        raise _refused(path, str(error)) from error
    try:
        return Settings().replaced({f"model.{name}": value for name, value in model.items()}), kind.llm_studio
    except ConfigError as error:
        raise _refused(path, "; ".join(problem.summary for problem in error.problems) or error.what) from error


def _of_llama(path: Path, found: _Llama, kind: str) -> dict[str, object]:
    heads = found.num_attention_heads
    rope = found.rope_parameters or {}
    theta = rope.get("rope_theta", found.rope_theta if found.rope_theta is not None else 10000.0)
    if (
        heads < 1
        or found.hidden_size % heads
        or (found.head_dim or found.hidden_size // heads) * heads != found.hidden_size
    ):
        raise _refused(path, _("the width of its heads isn't that of its vectors divided by their number"))
    if found.rope_scaling or rope.get("rope_type", "default") != "default":
        raise _refused(path, _("it uses RoPE scaling, which this program doesn't have"))
    if not isinstance(theta, int | float) or isinstance(theta, bool):
        raise _refused(path, _("its rotary base is not a number"))
    _require_same(path, "hidden_act", found.hidden_act, ("silu", "swish"))
    _require_eps(path, found.rms_norm_eps)
    if found.use_sliding_window:
        raise _refused(path, _("it uses sliding-window attention, which this program doesn't have"))
    biases = (found.attention_bias, found.mlp_bias if kind == "llama" else found.attention_bias)
    if len(set(biases)) > 1 or (kind == "qwen3" and found.attention_bias):
        raise _refused(path, _("only some of its layers have a bias"))
    return {
        "d_model": found.hidden_size, "n_heads": heads, "n_layers": found.num_hidden_layers,
        "d_ff": found.intermediate_size, "max_seq_len": found.max_position_embeddings, "dropout": 0.0,
        "positions": "rope", "norm": "rmsnorm", "activation": "swiglu", "qk_norm": kind == "qwen3",
        "n_kv_heads": None if found.num_key_value_heads in (None, heads) else found.num_key_value_heads,
        "tie_embeddings": found.tie_word_embeddings, "bias": found.attention_bias, "rope_theta": float(theta),
    }  # fmt: skip


def _of_gpt2(path: Path, found: _Gpt2) -> dict[str, object]:
    _require_same(path, "activation_function", found.activation_function, ("gelu_new", "gelu_pytorch_tanh"))
    _require_eps(path, found.layer_norm_epsilon)
    if not found.scale_attn_weights or found.scale_attn_by_inverse_layer_idx:
        raise _refused(path, _("it scales its attention scores in another way"))
    return {
        "d_model": found.n_embd, "n_heads": found.n_head, "n_layers": found.n_layer,
        "d_ff": found.n_inner or 4 * found.n_embd, "max_seq_len": found.n_positions,
        "dropout": min(found.resid_pdrop, 0.9), "positions": "learned", "norm": "layernorm", "activation": "gelu",
        "qk_norm": False, "n_kv_heads": None, "tie_embeddings": found.tie_word_embeddings, "bias": True,
    }  # fmt: skip


def _require_same(path: Path, name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _refused(path, _("its “{name}” is “{value}”, not “{known}”").format(
            name=name, value=value[:40], known=known[0]))  # fmt: skip


def _require_eps(path: Path, eps: float) -> None:
    if not math.isclose(eps, EPS, rel_tol=1e-6):
        raise _refused(path, _("the epsilon of its norms is {eps}, not {ours}").format(eps=eps, ours=EPS))


# --- model.safetensors ------------------------------------------------------------------------------------------


def _weights(path: Path, settings: Settings, vocab_size: int) -> "Tensors":
    """The weights with our names. Their header is checked first, so that no more is read than the model needs."""
    import torch

    from llm_studio.runs import tensors
    from llm_studio.runs.headers import read_header

    file = path / MODEL
    header = read_header(file)
    wanted = shapes(settings.model, vocab_size)
    names = {name: _known_name(name, wanted) for name in header.shapes}
    found = {known: header.shapes[name] for name, known in names.items() if known}
    if settings.model.tie_embeddings:
        found.pop("lm_head.weight", None)
    _require_shapes(path, found, wanted)
    if file.stat().st_size != header.size:
        raise _refused(path, _("“{name}” isn't as long as it says").format(name=MODEL))
    content = tensors.read(file)
    chosen = {known: content[name] for name, known in names.items() if known in wanted}
    for name, tensor in chosen.items():
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise _refused(path, _("“{name}” isn't in float32, float16 or bfloat16").format(name=name))
        tensors.require_finite(file, name, tensor)
    return restored(settings.model, chosen, vocab_size)


def _known_name(name: str, wanted: dict[str, tuple[int, ...]]) -> str:
    """The current name of a weight in transformers; "" for a constant table."""
    if name in wanted:
        return name
    if _BASE + name in wanted:
        return _BASE + name
    return "" if name.endswith(_IGNORED) else name


def _require_shapes(path: Path, found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> None:
    for name in sorted({*found, *wanted}):
        if name not in found:
            raise _refused(path, _("“{name}” is missing").format(name=name))
        if name not in wanted:
            raise _refused(path, _("the model has no “{name}”").format(name=name[:80]))
        if found[name] != wanted[name]:
            sizes = (" × ".join(map(str, shape[name])) for shape in (found, wanted))
            raise _refused(path, _("“{name}” is {found} instead of {wanted}").format(
                name=name, **dict(zip(("found", "wanted"), sizes, strict=True))))  # fmt: skip


def _advice() -> str:
    return _("Models with the architecture of GPT-2, Llama or Qwen3, with safetensors weights and a byte-level "
             "tokenizer, can be opened.")  # fmt: skip


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(_("The model in {path} can't be opened: {reason}.").format(path=path, reason=reason),
                           _advice())  # fmt: skip
