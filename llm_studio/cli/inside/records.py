"""The output of `inspect --json` for each view: the schema is in resources/docs/en/inspect.md.

Layers and heads are counted from 1, as in the names of parts; layer 0 of the lens is the state of the embeddings.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_studio.cli.inside.inspection import Inspection
    from llm_studio.workflows.inside import results

_DECIMALS = 5
"""Decimals of a weight, a probability or a number of bits."""


def model(wanted: "Inspection") -> dict[str, Any]:
    """The model, the text and its tokens: the part before the views."""
    tokens = wanted.session.tokens(wanted.ids)
    return {
        "model": asdict(wanted.session.facts), "text": wanted.text, "position": wanted.position,
        "tokens": [{"position": n, **asdict(one)} for n, one in enumerate(tokens)],
    }  # fmt: skip


def surprise(wanted: "Inspection", found: "results.Surprise") -> dict[str, Any]:
    """The view `surprise`."""
    tokens = [
        {
            "position": n, "bits": _number(found.bits[n]), "probability": _number(2.0 ** -float(found.bits[n]), 8),
            "rank": int(found.ranks[n]), "expected": _guesses(wanted, found, n - 1),
        }
        for n in range(1, len(found.tokens))
    ]  # fmt: skip
    return {
        "bits_per_byte": _number(found.bits_per_byte), "bits": _number(found.total_bits), "bytes": found.bytes,
        "windows": [asdict(one) for one in found.windows], "tokens": tokens,
        "next": _guesses(wanted, found, len(found.tokens) - 1),
    }  # fmt: skip


def attention(wanted: "Inspection", found: "results.AttentionMaps") -> dict[str, Any]:
    """The view `attention`: of each row only the weights up to its own token, as all later ones are 0."""
    n_layers, n_heads, length, _length = found.weights.shape
    heads = [
        {
            "layer": layer + 1, "head": head + 1,
            "weights": [
                [round(weight, _DECIMALS) for weight in row[: n + 1]]
                for n, row in zip(range(length), found.weights[layer, head].tolist(), strict=True)
            ],
        }
        for layer in range(n_layers) for head in range(n_heads)
        if wanted.layer in (None, layer + 1) and wanted.head in (None, head + 1)
    ]  # fmt: skip
    return {"window": asdict(found.window), "heads": heads}


def lens(wanted: "Inspection", found: "results.LogitLens") -> dict[str, Any]:
    """The view `lens`."""
    layers = [
        {
            "layer": layer,
            "predictions": [
                {
                    "position": found.window.start + n, "entropy": _number(found.entropy[layer, n]),
                    "bits": _number(found.bits[layer, n]), "rank": int(found.ranks[layer, n]) or None,
                    "guesses": _rows(wanted, found.guesses[layer, n], found.probabilities[layer, n]),
                }
                for n in range(found.window.length)
            ],
        }
        for layer in range(len(found.guesses)) if wanted.layer in (None, layer)
    ]  # fmt: skip
    return {"window": asdict(found.window), "layers": layers, "decided": found.decided.tolist()}


def contributions(_wanted: "Inspection", found: "results.Contributions") -> dict[str, Any]:
    """The view `contributions`."""
    heads = [
        {"layer": layer + 1, "head": head + 1, "contribution": _number(value)}
        for layer, row in enumerate(found.heads.tolist()) for head, value in enumerate(row)
    ]  # fmt: skip
    layers = [
        {"layer": layer + 1, "attention_bias": _number(bias), "feed_forward": _number(feed_forward)}
        for layer, (bias, feed_forward) in enumerate(zip(found.attention_bias, found.feed_forward, strict=True))
    ]
    return {
        "position": found.position, "token": asdict(found.token),
        "versus": None if found.versus is None else asdict(found.versus), "logit": _number(found.logit),
        "embedding": _number(found.embedding), "positions": _number(found.positions),
        "norm_bias": _number(found.norm_bias), "heads": heads, "layers": layers,
    }  # fmt: skip


def heads(_wanted: "Inspection", found: "results.HeadKinds") -> dict[str, Any]:
    """The view `heads`."""
    rows = [
        {"layer": layer + 1, "head": head + 1, "name": found.names[layer][head],
         "scores": {kind: _number(score) for kind, score in zip(found.kinds, scores, strict=True)}}
        for layer, row in enumerate(found.scores.tolist()) for head, scores in enumerate(row)
    ]  # fmt: skip
    return {"threshold": found.threshold, "repeated_tokens": found.half, "heads": rows}


def embeddings(wanted: "Inspection", found: dict[str, Any]) -> dict[str, Any]:
    """The view `embeddings`."""
    label, on_map = wanted.session.vocabulary.label, found["map"]
    points = [
        {"id": token, "label": label(token), "x": _number(x), "y": _number(y)}
        for token, (x, y) in zip(on_map.ids.tolist(), on_map.points.tolist(), strict=True)
    ]
    near = [
        {"id": token, "label": label(token), "neighbours": [asdict(one) for one in neighbours]}
        for token, neighbours in found["neighbours"].items()
    ]
    return {"tokens": near, "map": {"explained": [_number(one) for one in on_map.explained], "points": points}}


def ablation(wanted: "Inspection", found: "results.AblationEffect | list[results.PartImportance]") -> dict[str, Any]:
    """The view `ablation`."""
    if isinstance(found, list):
        return {"parts": [asdict(one) for one in found]}
    return {"prompt": wanted.text, **asdict(found)}


def _guesses(wanted: "Inspection", found: "results.Surprise", row: int) -> list[dict[str, Any]]:
    return _rows(wanted, found.next_tokens[row], found.next_probabilities[row])


def _rows(wanted: "Inspection", ids: Iterable[int], probabilities: Iterable[float]) -> list[dict[str, Any]]:
    guesses = wanted.session.guesses(ids, probabilities)[: wanted.count]
    return [{**asdict(one), "probability": _number(one.probability, 8)} for one in guesses]


def _number(value: float | None, digits: int = _DECIMALS) -> float | None:
    """`value` rounded; None for NaN, which JSON doesn't have."""
    return None if value is None or value != value else round(float(value), digits)
