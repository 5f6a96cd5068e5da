"""A GGUF file for llama.cpp and programs based on it (LM Studio, Jan, Ollama), with a Modelfile for Ollama beside it.

The file is written with llama.cpp's own library. Its converter can't be used: it identifies a tokenizer by the ids that
it gives to a text, and knows only those of well-known models.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.data.sources.conversations import ASSISTANT, END, USER
from llm_studio.events import Progress
from llm_studio.export import source
from llm_studio.export.architectures import Architecture, architecture_of, renamed, require_architecture
from llm_studio.export.chat_template import CHAT_TEMPLATE
from llm_studio.export.facts import LICENCE, facts
from llm_studio.export.format import Destination, Exported, Format, Option, Options
from llm_studio.export.hf import EPS
from llm_studio.export.lm_studio import models_folder
from llm_studio.export.modelfile import MODELFILE, modelfile
from llm_studio.export.place import exported, new_folder
from llm_studio.export.pretokenizers import pretokenizer_of
from llm_studio.export.source import Source
from llm_studio.i18n import N_, _
from llm_studio.jobs import Job
from llm_studio.runs.locate import ModelRef

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter
    from numpy.typing import NDArray
    from torch import Tensor

PRECISION = Option(
    "precision",
    N_("Precision"),
    N_(
        "How the weights are stored: q8_0 takes a quarter of the space of f32 and writes nearly the same; f32 is exact."
    ),
    ("q8_0", "f16", "f32"),
    {"q8_0": N_("8 bits (Q8_0)"), "f16": N_("16 bits (F16)"), "f32": N_("32 bits (F32)")},
)
_BYTES = {"q8_0": 34 / 32, "f16": 2.0, "f32": 4.0}
"""Bytes per weight."""
_BLOCK = 32
"""Number of weights of a row that share a scale in Q8_0."""
_FILE_TYPE = {"f32": 0, "f16": 1, "q8_0": 7}
"""Values of general.file_type in llama.cpp."""
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
"""Values of tokenizer.ggml.token_type."""
_TEXTS = 20_000
"""Approximate bytes of the metadata."""


def file_name(target: Path, precision: str) -> str:
    """The name of the file in the folder `target`: my-llm-run-1-step-000500-q8_0.gguf. Modelfiles don't allow
    spaces."""
    return re.sub(r"[^\w.-]+", "-", f"{target.name.removesuffix('-gguf')}-{precision}.gguf")


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Bytes of the GGUF file and of the files beside it."""
    weights = round(source.weights_bytes(model) / 4 * _BYTES[str(PRECISION.value(options))])
    return {"gguf": weights + _TEXTS, MODELFILE: 1000}


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """Write a checkpoint to the new folder `target`. Raises ProjectError for a tokenizer that llama.cpp doesn't
    know."""
    found = source.read(model, job, require_architecture)
    pre = pretokenizer_of(found.tokenizer)
    precision = str(PRECISION.value(options))
    with new_folder(target, sum(sizes(model, options).values())) as folder:
        name = file_name(target, precision)
        _write_file(folder / name, found, pre, precision, str(LICENCE.value(options)), job)
        (folder / MODELFILE).write_text(modelfile(found, name, pre), encoding="utf-8", newline="\n")
        job.check()
    return exported(target)


def _write_file(path: Path, found: Source, pre: str, precision: str, licence: str, job: Job) -> None:
    from gguf import GGUFWriter

    tensors = list(_tensors(found))
    writer = GGUFWriter(path, architecture_of(found.settings.model))
    try:
        _add_description(writer, found, precision, licence)
        _add_shape(writer, found)
        _add_tokenizer(writer, found, pre)
        types = [_type_of(name, tensor, precision) for name, tensor in tensors]
        for (name, tensor), kind in zip(tensors, types, strict=True):
            writer.add_tensor_info(name, tuple(tensor.shape), _float32(), _size(tensor, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done, total = 0, sum(_size(tensor, kind) for (_name, tensor), kind in zip(tensors, types, strict=True))
        task = _("Writing {file}").format(file=path.name)
        for (_name, tensor), kind in zip(tensors, types, strict=True):
            job.check()
            writer.write_tensor_data(_encoded(tensor, kind))
            done += _size(tensor, kind)
            job.report(Progress(task, done, total, _("bytes")))
    finally:
        writer.close()


# --- Weights ----------------------------------------------------------------------------------------------------


def _tensors(found: Source) -> "Iterator[tuple[str, Tensor]]":
    """Yield the weights with the names of llama.cpp, as (outputs, inputs)."""
    import gguf

    shape = found.settings.model
    kind = architecture_of(shape)
    names = gguf.get_tensor_name_map(_constant(kind), shape.n_layers)
    for their_name, weight in renamed(shape, found.weights):
        name = names.get_name(their_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise RuntimeError(f"llama.cpp has no {their_name}")
        tensor = weight
        if kind == "gpt2" and weight.ndim == 2 and ".h." in their_name:
            tensor = weight.T.contiguous()  # in transformers, only GPT-2 stores (inputs, outputs)
        if kind == "llama" and (".q_proj." in their_name or ".k_proj." in their_name):
            tensor = _interleaved(weight, shape.n_heads if ".q_proj." in their_name else shape.kv_heads)
        yield name, tensor


def _constant(kind: Architecture) -> "MODEL_ARCH":
    from gguf import MODEL_ARCH as Known  # noqa: N811

    return {"qwen3": Known.QWEN3, "llama": Known.LLAMA, "gpt2": Known.GPT2}[kind]


def _interleaved(weight: "Tensor", n_heads: int) -> "Tensor":
    """The rows of queries or keys in llama.cpp's order for Llama, in which rotary pairs are adjacent.

    In ours, as for all other architectures, a pair is the rows j and j + K/2 of a head.
    """
    halves = weight.unflatten(0, (n_heads, 2, -1))  # (heads, 2, K/2, ...)
    return halves.transpose(1, 2).flatten(0, 2).contiguous()


def _type_of(name: str, tensor: "Tensor", precision: str) -> "GGMLQuantizationType":
    """The type in which a tensor is stored. Vectors and learned positions, small and sensitive, stay float32."""
    from gguf import GGMLQuantizationType as Type

    if precision == "f32" or tensor.ndim < 2 or name.startswith("position_embd"):
        return Type.F32
    return Type.Q8_0 if precision == "q8_0" and tensor.shape[-1] % _BLOCK == 0 else Type.F16


def _size(tensor: "Tensor", kind: "GGMLQuantizationType") -> int:
    from gguf import GGML_QUANT_SIZES

    per_block, size = GGML_QUANT_SIZES[kind]
    return tensor.numel() // per_block * size


def _float32() -> "np.dtype[np.float32]":
    import numpy as np

    return np.dtype(np.float32)


def _encoded(tensor: "Tensor", kind: "GGMLQuantizationType") -> "NDArray[np.generic]":
    from gguf import quants

    return quants.quantize(tensor.numpy(), kind)


# --- Key/value pairs --------------------------------------------------------------------------------------------


def _add_description(writer: "GGUFWriter", found: Source, precision: str, licence: str) -> None:
    known = facts(found)
    writer.add_type("model")
    writer.add_name(known.project)
    writer.add_languages([known.language])
    writer.add_tags(["llm-studio", "text-generation"])
    if licence != LICENCE.choices[0]:
        writer.add_license(licence)
    writer.add_file_type(_FILE_TYPE[precision])
    writer.add_quantization_version(2)


def _add_shape(writer: "GGUFWriter", found: Source) -> None:
    shape = found.settings.model
    writer.add_vocab_size(found.tokenizer.vocab_size)
    writer.add_context_length(shape.max_seq_len)
    writer.add_embedding_length(shape.d_model)
    writer.add_feed_forward_length(shape.d_ff)
    writer.add_block_count(shape.n_layers)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    if architecture_of(shape) == "gpt2":
        writer.add_layer_norm_eps(EPS)
        return
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_theta)


def _add_tokenizer(writer: "GGUFWriter", found: Source, pre: str) -> None:
    """Add the vocabulary. Every switch is set: for a missing one, programs assume that of a well-known model."""
    tokenizer = found.tokenizer
    texts, types = _tokens(found)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(tokenizer.merges())
    writer.add_bos_token_id(tokenizer.end_of_text)
    writer.add_eos_token_id(tokenizer.end_of_text)
    writer.add_pad_token_id(tokenizer.end_of_text)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    if found.conversations:
        writer.add_chat_template(CHAT_TEMPLATE)
        # an answer ends where the next turn would begin: llama.cpp knows such tokens by these keys, Ollama by a list
        writer.add_eot_token_id(tokenizer.markers[USER])
        writer.add_eom_token_id(tokenizer.markers[ASSISTANT])
        writer.add_array("tokenizer.ggml.eos_token_ids", [tokenizer.markers[name] for name in (END, USER, ASSISTANT)])


def _tokens(found: Source) -> tuple[list[str], list[int]]:
    """The tokens by id as in tokenizer.json, and the type of each."""
    known, markers = found.tokenizer.vocabulary(), set(found.tokenizer.markers)
    added = found.tokenizer.added_tokens()
    texts, types = [""] * len(known), [_NORMAL] * len(known)
    for text, token in known.items():
        texts[token] = text
        if text in markers or added.get(text):
            types[token] = _CONTROL
        elif text in added:
            types[token] = _USER_DEFINED
    return texts, types


FORMAT = Format(
    name="gguf",
    title="GGUF",
    action=N_("Export as GGUF…"),
    suffix="",
    summary=N_("For LM Studio, Ollama, Jan and everything else that is built on llama.cpp"),
    note=N_("A folder with one file, and a Modelfile for Ollama: “ollama create NAME -f Modelfile”."),
    files={"gguf": N_("Model and tokenizer, in one file"), MODELFILE: "Modelfile"},
    sizes=sizes,
    write=write,
    options=(PRECISION, LICENCE),
    require=require_architecture,
    destination=Destination(
        "lm_studio",
        N_("Put into LM Studio"),
        N_("LM Studio was not found on this computer: start it once, or export to another folder."),
        models_folder,
    ),
)
