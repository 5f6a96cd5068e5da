"""With the same weights, the model computes what Hugging Face's classes compute: export is then a renaming."""

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from llm_studio.model.transformer import Transformer
from tests.model.builders import VOCABULARY, small_model, some_ids


def llama_names(model: Transformer) -> dict[str, Tensor]:
    """Our weights under the names of Llama and Qwen3."""
    settings, ours = model.settings, model.state_dict()
    heads, shared = settings.n_heads * settings.head_width, settings.kv_heads * settings.head_width
    theirs = {"model.embed_tokens.weight": model.embeddings.token.weight, "lm_head.weight": model.head_weight}
    theirs["model.norm.weight"] = ours["final_norm.weight"]
    for i in range(settings.n_layers):
        here, there = f"blocks.{i}.", f"model.layers.{i}."
        theirs[there + "input_layernorm.weight"] = ours[here + "attention_norm.weight"]
        theirs[there + "post_attention_layernorm.weight"] = ours[here + "feed_forward_norm.weight"]
        for kind in ("weight", "bias") if settings.bias else ("weight",):
            q, k, v = ours[here + f"attention.qkv.{kind}"].split([heads, shared, shared])
            gate, up = ours[here + f"feed_forward.gate_up.{kind}"].chunk(2)
            theirs |= {there + f"self_attn.{name}_proj.{kind}": w for name, w in (("q", q), ("k", k), ("v", v))}
            theirs |= {there + f"mlp.{name}_proj.{kind}": w for name, w in (("gate", gate), ("up", up))}
            theirs[there + f"self_attn.o_proj.{kind}"] = ours[here + f"attention.output.{kind}"]
            theirs[there + f"mlp.down_proj.{kind}"] = ours[here + f"feed_forward.down.{kind}"]
        if settings.qk_norm:
            theirs[there + "self_attn.q_norm.weight"] = ours[here + "attention.query_norm.weight"]
            theirs[there + "self_attn.k_norm.weight"] = ours[here + "attention.key_norm.weight"]
    return theirs


def gpt2_names(model: Transformer) -> dict[str, Tensor]:
    """Our weights under the names of GPT-2, whose matrices are transposed."""
    parts = {
        "attention_norm": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    ours = model.state_dict()
    theirs = {
        "transformer.wte.weight": ours["embeddings.token.weight"],
        "transformer.wpe.weight": ours["embeddings.position.weight"],
        "lm_head.weight": model.head_weight,
    }
    for kind in ("weight", "bias"):
        theirs[f"transformer.ln_f.{kind}"] = ours[f"final_norm.{kind}"]
        for i in range(model.settings.n_layers):
            for here, there in parts.items():
                weight = ours[f"blocks.{i}.{here}.{kind}"]
                theirs[f"transformer.h.{i}.{there}.{kind}"] = weight.t() if weight.ndim == 2 else weight
    return theirs


def shape(model: Transformer) -> dict[str, object]:
    settings = model.settings
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": settings.d_model,
        "intermediate_size": settings.d_ff,
        "num_hidden_layers": settings.n_layers,
        "num_attention_heads": settings.n_heads,
        "num_key_value_heads": settings.kv_heads,
        "head_dim": settings.head_width,
        "max_position_embeddings": settings.max_seq_len,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": settings.tie_embeddings,
        "attention_bias": settings.bias,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_theta},
    }


def assert_same_logits(ours: Transformer, theirs: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    theirs.load_state_dict(weights)
    ids = some_ids(3, 24)
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs.eval()(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_kv_heads", [None, 2, 1])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_logits_equal_those_of_llama(n_kv_heads: int | None, tied: bool, bias: bool) -> None:
    model = small_model(n_kv_heads=n_kv_heads, tie_embeddings=tied, bias=bias, rope_theta=500.0, qk_norm=False)
    theirs = LlamaForCausalLM(LlamaConfig(**shape(model), mlp_bias=bias))
    assert_same_logits(model, theirs, llama_names(model))


@pytest.mark.parametrize("n_kv_heads", [None, 2])
def test_logits_equal_those_of_qwen3(n_kv_heads: int | None) -> None:
    model = small_model(n_kv_heads=n_kv_heads, qk_norm=True)
    assert_same_logits(model, Qwen3ForCausalLM(Qwen3Config(**shape(model))), llama_names(model))


def test_logits_equal_those_of_gpt2() -> None:
    model = small_model(positions="learned", norm="layernorm", activation="gelu", bias=True, qk_norm=False)
    settings = model.settings
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=settings.max_seq_len,
        n_embd=settings.d_model,
        n_layer=settings.n_layers,
        n_head=settings.n_heads,
        n_inner=settings.d_ff,
        bos_token_id=None,
        eos_token_id=None,
    )
    assert_same_logits(model, GPT2LMHeadModel(config), gpt2_names(model))
