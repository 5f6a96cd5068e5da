"""Evaluating a trained model on held-out text, in bits per byte: a figure that compares across vocabularies."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.errors import DataError, SourceError
from llm_studio.events import Progress
from llm_studio.files import explain_unreadable, read_bytes
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.locate import BEST, ModelRef, locate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llm_studio.data.tokenizer.tokenizer import Tokenizer

__all__ = ["BEST", "MAX_TOKENS", "Evaluation", "evaluate"]

MAX_TOKENS = 2_000_000
"""Default limit of scored tokens: of longer texts, evenly spaced windows are scored."""


@dataclass(frozen=True)
class Evaluation:
    """The loss of a model on held-out text, with at least half a context before each predicted token.

    `tokens` of `available_tokens` were scored, which represent `bytes` bytes of text; <|endoftext|> counts as a token
    without bytes. `loss` is in nats per token. `files` is empty if the text is the project's validation texts.
    `answers_only`: only the tokens of answers and of plain texts count, as in the run.
    """

    checkpoint: str
    files: tuple[str, ...]
    context: int
    loss: float
    bits_per_byte: float
    tokens: int
    available_tokens: int
    bytes: int
    seconds: float
    answers_only: bool = False


@dataclass(frozen=True)
class TokenStream:
    """Token ids to evaluate on, after an initial <|endoftext|>, which isn't scored; and which of them count."""

    ids: "NDArray[np.integer[Any]]"
    counted: "NDArray[np.bool_] | None" = None


def evaluate(
    project: Project, job: Job, checkpoint: str = BEST, texts: Sequence[Path] = (), max_tokens: int = MAX_TOKENS
) -> Evaluation:
    """Evaluate the model that `checkpoint` names on the project's validation texts, or on files of UTF-8 text.

    <|endoftext|> follows each text. A model with another tokenizer than the project's, such as that of another project,
    encodes the validation texts with its own. Raises several kinds of StudioError, Cancelled.
    """
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model
    from llm_studio.training import memory

    began = time.perf_counter()
    ref = locate(project, checkpoint)
    tokenizer = Tokenizer.from_json(ref.tokenizer_json())
    stream = _stream_of_files(texts, tokenizer, job) if texts else held_out_stream(project, ref, tokenizer, job)
    with memory.translate_memory_errors():
        model = load_model(ref, tokenizer.vocab_size)
        nats, tokens, size = score_stream(model, stream, tokenizer, max_tokens, job)
    if not size:
        raise DataError(_("There is no text to evaluate the model on."), _("Name files that hold text."))
    loss = nats / tokens
    bits = bits_per_byte(loss, size / tokens)
    return Evaluation(
        checkpoint=ref.name,
        files=tuple(str(path) for path in texts),
        context=ref.settings().model.max_seq_len,
        loss=loss,
        bits_per_byte=math.nan if bits is None else bits,
        tokens=tokens,
        available_tokens=len(stream.ids) - 1 if stream.counted is None else int(stream.counted[1:].sum()),
        bytes=size,
        seconds=time.perf_counter() - began,
        answers_only=stream.counted is not None,
    )


def bits_per_byte_of(project: Project, checkpoint: str, text: str, max_tokens: int, job: Job) -> float:
    """Bits per byte of the model that `checkpoint` names on at most `max_tokens` tokens of a text."""
    import numpy as np

    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.inference.load import load_model
    from llm_studio.training import memory

    ref = locate(project, checkpoint, verify=False)
    tokenizer = Tokenizer.from_json(ref.tokenizer_json())
    stream = TokenStream(np.array([tokenizer.end_of_text, *tokenizer.encode(text)]))
    with memory.translate_memory_errors():
        nats, _tokens, size = score_stream(load_model(ref, tokenizer.vocab_size), stream, tokenizer, max_tokens, job)
    return nats / math.log(2) / size if size else math.inf


def score_stream(
    model: Any, stream: TokenStream, tokenizer: "Tokenizer", max_tokens: int, job: Job
) -> tuple[float, int, int]:
    """The total loss in nats, the number of scored tokens, and their bytes. Raises Cancelled."""
    from llm_studio.data.tokens.byte_lengths import byte_lengths
    from llm_studio.inference.evaluate import evenly_spread, score, windows

    lengths = byte_lengths(tokenizer)
    chosen = evenly_spread(windows(len(stream.ids) - 1, model.settings.max_seq_len), max_tokens)
    total = sum(window.length - window.skipped for window in chosen)
    nats, tokens, size = 0.0, 0, 0
    for scored in score(model, stream.ids, chosen, stream.counted):
        job.check()
        nats += scored.nats
        tokens += len(scored.places)
        size += int(lengths[stream.ids[scored.places]].sum())
        job.report(Progress(_("Evaluating the model"), tokens, total, _("tokens")))
    return nats, tokens, size


def _stream_of_files(paths: Sequence[Path], tokenizer: "Tokenizer", job: Job) -> TokenStream:
    """Each file as one text, with its exact bytes. Raises SourceError, StorageError."""
    import numpy as np

    parts = [np.array([tokenizer.end_of_text])]
    for path in paths:
        job.check()
        with explain_unreadable(path):
            content = read_bytes(path)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceError(_("{path} is not UTF-8 text.").format(path=path), _("Save it as UTF-8.")) from error
        parts.append(np.array([*tokenizer.encode(text), tokenizer.end_of_text]))
    return TokenStream(np.concatenate(parts))


def held_out_stream(project: Project, ref: ModelRef, tokenizer: "Tokenizer", job: Job) -> TokenStream:
    """The validation texts of the project as token ids for this model, without sources of weight 0."""
    import numpy as np

    from llm_studio.data.tokens.batches import validation_stream
    from llm_studio.data.tokens.token_files import VALIDATION_FILE
    from llm_studio.workflows.training.open_data import open_training_data

    settings = ref.settings()
    with open_training_data(project) as (tokens, own, _data):
        for file in tokens.files:
            if file.path.name == VALIDATION_FILE:
                for _block in file.verify():
                    job.check()
        ids, in_answer = validation_stream(tokens, settings.data.weights)
        tokenizer.require_markers([source.name for source in tokens.sources if source.conversations])
    stream = TokenStream(ids, in_answer if settings.training.loss_on == "answers" else None)
    if own.fingerprint != tokenizer.fingerprint:
        stream = _translated(stream, own, tokenizer, job)
    ids = np.concatenate([np.array([tokenizer.end_of_text], dtype=stream.ids.dtype), stream.ids])
    return TokenStream(ids, None if stream.counted is None else np.concatenate([np.array([False]), stream.counted]))


def _translated(stream: TokenStream, own: "Tokenizer", other: "Tokenizer", job: Job) -> TokenStream:
    """The same texts as ids of the tokenizer `other`, which has all special tokens of `own` that occur."""
    import numpy as np

    special = {index: name for name, index in own.markers.items()}
    places = np.flatnonzero(np.isin(stream.ids, list(special)))
    ids: list[int] = []
    counted: list[bool] = []
    position = 0
    for done, place in enumerate((*places.tolist(), len(stream.ids))):
        if done % 100 == 0:
            job.check()
            job.report(Progress(_("Encoding the texts"), position, len(stream.ids), _("tokens")))
        text = other.encode(own.decode(stream.ids[position:place].tolist()))
        marker = special[int(stream.ids[place])] if place < len(stream.ids) else ""
        ids += [*text, *([other.markers[marker]] if marker else [])]
        if stream.counted is not None:  # between two special tokens, either all tokens count or none
            counted += [bool(position < place and stream.counted[position])] * len(text)
            counted += [bool(stream.counted[place])] if marker else []
        position = place + 1
    return TokenStream(np.array(ids), None if stream.counted is None else np.array(counted, dtype=np.bool_))
