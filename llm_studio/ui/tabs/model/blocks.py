"""Descriptions of the blocks in the drawn architecture: sizes, purpose, formula, parameters."""

from dataclasses import dataclass

from llm_studio.config import ModelSettings
from llm_studio.i18n import _, number, short_number
from llm_studio.model.cost import ParameterCounts

INNER = ("feed_forward", "feed_forward_norm", "attention", "attention_norm")
"""The blocks of each layer, from top to bottom."""
NAMES = ("logits", "final_norm", *INNER, "positions", "embedding")


@dataclass(frozen=True)
class BlockFacts:
    """One block. `count`: number of parameters in one layer; `formula` is the same in every language."""

    title: str
    detail: str
    what: str
    formula: str
    count: int


def blocks(model: ModelSettings, parts: ParameterCounts, vocab_size: int) -> dict[str, BlockFacts]:
    """All blocks of the model by name; "positions" only if something is added to the embedding."""
    norm = model.d_model * (2 if model.norm == "layernorm" and model.bias else 1)
    found = {
        "logits": _logits(model, parts, vocab_size),
        "final_norm": _norm(model, norm, _("Normalises the residual stream before the next token is predicted.")),
        "feed_forward": _feed_forward(model, parts),
        "feed_forward_norm": _norm(
            model, norm, _("Normalises the input of the feed-forward network, which keeps deep models trainable.")
        ),
        "attention": _attention(model, parts, norm),
        "attention_norm": _norm(
            model, norm, _("Normalises the input of attention, which keeps deep models trainable.")
        ),
        "embedding": _embedding(model, parts, vocab_size),
    }
    if model.positions != "rope":
        found["positions"] = _positions(model, parts)
    return found


def parameters_of(count: int) -> str:
    """A number of parameters, in words."""
    return _("{n} parameters").format(n=short_number(count))


def _logits(model: ModelSettings, parts: ParameterCounts, vocab_size: int) -> BlockFacts:
    shared = _("weights shared with the embedding") if model.tie_embeddings else parameters_of(parts.head)
    what = _("Gives each token of the vocabulary a score: the higher, the more likely it comes next. Softmax "
             "turns the scores into probabilities.")  # fmt: skip
    return BlockFacts("Logits", f"{number(vocab_size)} · {shared}", what,
                      f"logits = x Wᵀ      ({vocab_size} × {model.d_model})", parts.head)  # fmt: skip


def _norm(model: ModelSettings, count: int, what: str) -> BlockFacts:
    if model.norm == "rmsnorm":
        return BlockFacts("RMSNorm", number(model.d_model), what, "y = w · x / √(mean(x²) + ε)", count)
    bias = " + b" if model.bias else ""
    return BlockFacts("LayerNorm", number(model.d_model), what,
                      f"y = w · (x − mean(x)) / √(var(x) + ε){bias}", count)  # fmt: skip


def _feed_forward(model: ModelSettings, parts: ParameterCounts) -> BlockFacts:
    count = parts.feed_forward // model.n_layers
    sizes = f"{number(model.d_model)} → {number(model.d_ff)} → {number(model.d_model)}"
    what = _("The feed-forward network processes each token on its own, using what attention has gathered. "
             "Most of what a model knows is stored in these weights.")  # fmt: skip
    kind, formula = {
        "swiglu": ("SwiGLU", "y = W₂ (silu(W₁ x) ⊙ W₃ x)"), "gelu": ("GELU", "y = W₂ gelu(W₁ x)"),
        "relu2": ("ReLU²", "y = W₂ max(0, W₁ x)²"),
    }[model.activation]  # fmt: skip
    return BlockFacts(kind, f"{sizes} · {parameters_of(count)}", what, formula, count)


def _attention(model: ModelSettings, parts: ParameterCounts, norm: int) -> BlockFacts:
    head_norms = (parts.norms - norm) // model.n_layers - 2 * norm
    count = parts.attention // model.n_layers + head_norms
    details = [_("{heads} heads × {width}").format(heads=number(model.n_heads), width=number(model.head_width))]
    if model.kv_heads != model.n_heads:
        details.append(_("{n} key/value").format(n=number(model.kv_heads)))
    if model.positions == "rope":
        details.append("RoPE")
    details.append(parameters_of(count))
    what = _("Each token gathers what it needs from the tokens before it: its query is compared with their keys, and "
             "their values are mixed by how well they match. Causal: nothing comes from later tokens.")  # fmt: skip
    return BlockFacts(_("Causal attention"), " · ".join(details), what,
                      f"softmax(Q Kᵀ / √{model.head_width}) V", count)  # fmt: skip


def _positions(model: ModelSettings, parts: ParameterCounts) -> BlockFacts:
    size = f"{number(model.max_seq_len)} × {number(model.d_model)}"
    if model.positions == "learned":
        what = _("A learned vector for each position in the context is added to the token’s.")
        return BlockFacts(_("Learned positions"), f"{size} · {parameters_of(parts.positions)}", what,
                          "x = E[token] + P[position]", parts.positions)  # fmt: skip
    what = _(
        "Waves of different lengths are added to each token’s vector and encode its position. Nothing is learned here."
    )
    return BlockFacts(_("Sinusoidal positions"), size, what,
                      "P[t, 2i] = sin(t / 10000^(2i/D)),  P[t, 2i+1] = cos(…)", 0)  # fmt: skip


def _embedding(model: ModelSettings, parts: ParameterCounts, vocab_size: int) -> BlockFacts:
    size = f"{number(vocab_size)} × {number(model.d_model)}"
    what = _("A table with one row of numbers for each token of the vocabulary: its meaning, as learned by the model.")
    return BlockFacts(_("Embedding"), f"{size} · {parameters_of(parts.embedding)}", what, "x = E[token]",
                      parts.embedding)  # fmt: skip
