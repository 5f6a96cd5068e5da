"""Loads a model from disk as a Transformer on a device. Ids in, ids out: texts are the tokenizer's task."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llm_studio.config import ModelSettings
from llm_studio.device import choose
from llm_studio.errors import CheckpointError
from llm_studio.i18n import _
from llm_studio.model.embeddings import RotaryPositions, sinusoids
from llm_studio.model.transformer import Transformer
from llm_studio.runs.locate import ModelRef

EMBEDDINGS = "embeddings.token.weight"
"""The parameter (V, D) that every model has: its first dimension is the vocabulary size."""


def load_model(ref: ModelRef, vocab_size: int, device: str | None = None) -> Transformer:
    """The model in float32 and eval mode, on `device` (the fastest one by default). `vocab_size`: of its tokenizer.

    Raises CheckpointError if its weights can't be read or don't fit its settings and its tokenizer, ConfigError.
    """
    settings = ref.settings()
    if device is None:
        device = choose(settings.training.model_copy(update={"device": "auto", "precision": "float32"})).device
    model = _without_weights(settings.model, vocab_size)
    return _filled(model, ref.weights(model.state_dict()), ref.path).to(device)


def build_model(settings: ModelSettings, weights: Mapping[str, Tensor], path: Path | None = None) -> Transformer:
    """A model with `weights`, in float32 and eval mode. `path` is named in the CheckpointError if they don't fit.

    Torch's global generator isn't used: a training run in another thread may be using it, and its results would
    change.
    """
    vocabulary = weights.get(EMBEDDINGS)
    if vocabulary is None:
        raise _misfit(path)
    return _filled(_without_weights(settings, len(vocabulary)), weights, path)


class _LeaveUninitialised(TorchFunctionMode):
    """Skips the functions of `nn.init`, which take most of the time in which a model without memory is made."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, unless it initialises a tensor."""
        named = kwargs or {}
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def _without_weights(settings: ModelSettings, vocab_size: int) -> Transformer:
    """A model whose parameters have shapes, but no memory."""
    with torch.device("meta"), _LeaveUninitialised():
        return Transformer(settings, vocab_size)


def _filled(model: Transformer, weights: Mapping[str, Tensor], path: Path | None) -> Transformer:
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    except RuntimeError as error:
        raise _misfit(path) from error
    # buffers aren't among the weights
    settings = model.settings
    if model.rotary is not None:
        model.rotary = RotaryPositions(settings)
    if model.embeddings.waves is not None:
        model.embeddings.waves = sinusoids(settings.max_seq_len, settings.d_model)
    return model.eval()


def _misfit(path: Path | None) -> CheckpointError:
    return CheckpointError(
        _("The weights in {path} don't fit the settings of their model.").format(path=path),
        _("Use another checkpoint."),
    )
