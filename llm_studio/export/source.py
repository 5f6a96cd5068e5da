"""The checkpoint that is exported, read once and verified: settings, tokenizer, weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_studio.config import Settings
from llm_studio.errors import CheckpointError
from llm_studio.events import Progress
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.runs import checkpoint
from llm_studio.runs.checkpoint import MODEL, MODEL_FILES, Checkpoint
from llm_studio.runs.locate import ModelRef

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.runs.tensors import Tensors


@dataclass(frozen=True)
class Source:
    """A model to be exported, in memory. `weights` are float32, with the names of `model/transformer.py`.

    They have the names and shapes that the settings and the tokenizer imply, and are finite.
    """

    model: ModelRef
    saved: Checkpoint
    settings: Settings
    tokenizer: "Tokenizer"
    weights: "Tensors"

    @property
    def conversations(self) -> bool:
        """Whether it was trained on conversations, so that it can answer questions."""
        return self.model.conversations and len(self.tokenizer.markers) > 1

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(tensor.numel() for tensor in self.weights.values())


def require_checkpoint(model: ModelRef) -> Checkpoint:
    """The checkpoint of `model`. Raises CheckpointError if it is gone, or is a snapshot."""
    if model.checkpoint is None or not (model.path / checkpoint.RECORD).is_file():
        raise gone(model)
    return model.checkpoint


def gone(model: ModelRef) -> CheckpointError:
    """The error for a checkpoint that was removed meanwhile."""
    return CheckpointError(_("The checkpoint {name} is no longer there, or is damaged.").format(name=model.path.name),
                           _("Export another one."))  # fmt: skip


def read(model: ModelRef, job: Job, require: Callable[[ModelRef], None] | None = None) -> Source:
    """Read and verify a checkpoint. Raises CheckpointError, ConfigError, TokenizerError, Cancelled.

    `require` is called after its files are verified, before the weights are read, and may reject the model.
    """
    import torch

    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.model.transformer import Transformer

    saved = require_checkpoint(model)
    size = weights_bytes(model)
    job.report(Progress(_("Reading the checkpoint"), 0, size, _("bytes")))
    try:
        checkpoint.verify(saved, MODEL_FILES)
        if require is not None:
            require(model)
        settings, tokenizer = model.settings(), Tokenizer.from_json(model.tokenizer_json())
        job.check()
        with torch.device("meta"):
            like = Transformer(settings.model, tokenizer.vocab_size).state_dict()
        weights = model.weights(like)
    except CheckpointError as error:
        raise CheckpointError(error.what, _("Export another one.")) from error
    job.check()
    return Source(model, saved, settings, tokenizer, weights)


def weights_bytes(model: ModelRef) -> int:
    """Bytes of the weights of a checkpoint, 0 if it is gone: the approximate size of an export."""
    path = model.path / MODEL
    return path.stat().st_size if path.is_file() else 0
