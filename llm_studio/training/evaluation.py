"""Evaluating a model during training: its validation loss, and samples of what it writes."""

from collections.abc import Callable, Iterator

import torch

from llm_studio.config import Settings
from llm_studio.data.sources.conversations import ASSISTANT, USER
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import batches, byte_lengths
from llm_studio.data.tokens.dataset import Tokens
from llm_studio.device import Compute
from llm_studio.errors import DataError
from llm_studio.i18n import _
from llm_studio.inference.generate import generate
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.training import memory
from llm_studio.training.distributed import ALONE, ProcessGroup

SAMPLE_TOKENS = 60


def validation_loss(
    model: Transformer, tokens: Tokens, settings: Settings, compute: Compute, job: Job, group: ProcessGroup = ALONE
) -> float | None:
    """Mean loss in nats per token over a fixed set of validation sequences; None when the job was stopped.

    Sources with weight 0 are excluded. With `training.loss_on` set to "answers", the mean is over the tokens of answers
    and of plain texts.
    """
    training = settings.training
    drawn, counted = sequences(tokens, settings)
    total = 0.0
    parts = drawn.split(training.batch_size)
    masks = [None] * len(parts) if counted is None else list(counted.split(training.batch_size))
    model.eval()
    with torch.no_grad(), compute.autocast():
        for first in range(0, len(parts), group.count):  # processes take turns
            if job.stop_requested:
                break
            index = first + group.rank
            beyond = index >= len(parts)  # none left for this process; if it holds a shard of the model, the others
            ids = parts[0 if beyond else index].to(compute.device)  # still need its forward pass
            mask = masks[0 if beyond else index]
            given = (ids[:, :-1], ids[:, 1:], *(() if mask is None else (mask.to(compute.device),)))
            loss = model.loss(*given).item()
            total += 0.0 if beyond else loss * (len(ids) if mask is None else int(mask.sum()))
    model.train()
    total = float(group.sum_of(torch.tensor([total], dtype=torch.float64)))
    return None if job.stop_requested else total / (len(drawn) if counted is None else int(counted.sum()))


def sequences(tokens: Tokens, settings: Settings) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The validation sequences (N, T + 1), and a mask of the targets that count (N, T), or None if all count.

    Raises DataError if there is nothing to measure.
    """
    which = (tokens, settings.training.eval_sequences, settings.model.max_seq_len, settings.data.weights)
    drawn = torch.from_numpy(batches.evaluation_sequences(*which))
    if settings.training.loss_on == "all" or not tokens.has_conversations:
        return drawn, None
    counted = torch.from_numpy(batches.evaluation_answer_mask(*which))
    if not counted.any():
        raise DataError(_("No answer was kept aside to measure what the model has learned."),
                        _("Add conversations, raise training.eval_sequences, or set training.loss_on to “all”."),
                        "data")  # fmt: skip
    return drawn, counted


def bytes_per_token(tokens: Tokens, tokenizer: Tokenizer, settings: Settings) -> float | None:
    """Mean number of bytes per token over the tokens that `validation_loss` is measured on: a constant of a run.

    None if the token ids don't represent text. Raises DataError if there is nothing to measure.
    """
    drawn, counted = sequences(tokens, settings)
    targets = drawn[:, 1:]
    return byte_lengths.bytes_per_token((targets if counted is None else targets[counted]).numpy(), tokenizer)


def samples(
    model: Transformer, tokenizer: Tokenizer, prompts: tuple[str, ...], settings: Settings, job: Job,
    chat: bool = False,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Yield (prompt, the model's continuation), always sampled with the same seed.

    With `chat` a prompt is a question, <|user|>prompt<|assistant|>, and the continuation its answer.
    """
    how = settings.generation.model_copy(update={"seed": 0, "max_tokens": SAMPLE_TOKENS})
    for prompt in prompts:
        decoder = tokenizer.stream()
        text = ""
        for token in generate(model, prompt_ids(tokenizer, prompt, chat), how, stop=stop_tokens(tokenizer, chat)):
            if job.stop_requested:
                return
            text += decoder.push(token)
        yield prompt, text + decoder.finish()


def prompt_ids(tokenizer: Tokenizer, prompt: str, chat: bool) -> list[int]:
    """The token ids of a prompt, at least one; with `chat` the prompt is a question."""
    if chat:
        return [tokenizer.markers[USER], *tokenizer.encode(prompt), tokenizer.markers[ASSISTANT]]
    return tokenizer.encode(prompt) or [tokenizer.end_of_text]


def stop_tokens(tokenizer: Tokenizer, chat: bool) -> tuple[int, ...]:
    """The tokens that end a text, or with `chat` an answer."""
    return tuple(tokenizer.markers.values()) if chat else (tokenizer.end_of_text,)


def say_samples(
    model: Transformer, tokenizer: Tokenizer, prompts: tuple[str, ...], settings: Settings, job: Job, chat: bool,
    say: Callable[[str, str], None],
) -> bool:  # fmt: skip
    """Pass each prompt and its continuation to `say`; False if memory ran out."""
    try:
        for prompt, text in samples(model, tokenizer, prompts, settings, job, chat):
            say(prompt, text)
    except (MemoryError, RuntimeError) as error:
        if not memory.ran_out(error):
            raise
        return False
    return True
