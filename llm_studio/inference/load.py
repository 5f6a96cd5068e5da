"""Loads a model from disk as a Transformer on a device. Ids in, ids out: texts are the tokenizer's task."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

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
    with torch.device("meta"):
        like = Transformer(settings.model, vocab_size).state_dict()
    return build_model(settings.model, ref.weights(like), ref.path).to(device)


def build_model(settings: ModelSettings, weights: Mapping[str, Tensor], path: Path | None = None) -> Transformer:
    """A model with `weights`, in float32 and eval mode. `path` is named in the CheckpointError if they don't fit.

    Torch's global generator isn't used: a training run in another thread may be using it, and its results would
    change.
    """
    parameters = {name: tensor.float() for name, tensor in weights.items()}
    try:
        with torch.device("meta"):
            model = Transformer(settings, len(parameters[EMBEDDINGS]))
        model.load_state_dict(parameters, assign=True)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            _("The weights in {path} don't fit the settings of their model.").format(path=path),
            _("Use another checkpoint."),
        ) from error
    # buffers aren't part of the weights
    if model.rotary is not None:
        model.rotary = RotaryPositions(settings)
    if model.embeddings.waves is not None:
        model.embeddings.waves = sinusoids(settings.max_seq_len, settings.d_model)
    return model.eval()
