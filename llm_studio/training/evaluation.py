"""What a model in training is worth: its loss on texts it never saw, and what it writes."""

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

    Sources of weight 0 are left out. With `training.loss_on` "answers" the mean is over the tokens of answers and of
    plain texts.
    """
    training = settings.training
    drawn, counted = sequences(tokens, settings)
    total = 0.0
    parts = drawn.split(training.batch_size)
    masks = [None] * len(parts) if counted is None else list(counted.split(training.batch_size))
    model.eval()
    with torch.no_grad(), compute.autocast():
        for first in range(0, len(parts), group.count):  # each process measures every so many of them
            if job.stop_requested:
                break
            index = first + group.rank
            beyond = index >= len(parts)  # nothing is left for this process; where it holds a part of the model,
            ids = parts[0 if beyond else index].to(compute.device)  # the others need it all the same
            mask = masks[0 if beyond else index]
            given = (ids[:, :-1], ids[:, 1:], *(() if mask is None else (mask.to(compute.device),)))
            loss = model.loss(*given).item()
            total += 0.0 if beyond else loss * (len(ids) if mask is None else int(mask.sum()))
    model.train()
    total = float(group.sum_of(torch.tensor([total], dtype=torch.float64)))
    return None if job.stop_requested else total / (len(drawn) if counted is None else int(counted.sum()))


def sequences(tokens: Tokens, settings: Settings) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The validation sequences (N, T + 1) and, where only answers count, which targets do, (N, T).

    Raises DataError where nothing can be measured.
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
    """The mean bytes of the tokens that `validation_loss` is measured on: a constant of a run.

    None where they stand for no text. Raises DataError where nothing can be measured.
    """
    drawn, counted = sequences(tokens, settings)
    targets = drawn[:, 1:]
    return byte_lengths.bytes_per_token((targets if counted is None else targets[counted]).numpy(), tokenizer)


def samples(
    model: Transformer, tokenizer: Tokenizer, prompts: tuple[str, ...], settings: Settings, job: Job,
    chat: bool = False,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """(prompt, what the model writes after it), always drawn from the same seed.

    With `chat` a prompt is a question, <|user|>prompt<|assistant|>, and the text its answer.
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
    """The tokens of a prompt, at least one; with `chat` it is a question."""
    if chat:
        return [tokenizer.markers[USER], *tokenizer.encode(prompt), tokenizer.markers[ASSISTANT]]
    return tokenizer.encode(prompt) or [tokenizer.end_of_text]


def stop_tokens(tokenizer: Tokenizer, chat: bool) -> tuple[int, ...]:
    """The tokens that end a text, or an answer."""
    return tuple(tokenizer.markers.values()) if chat else (tokenizer.end_of_text,)


def say_samples(
    model: Transformer, tokenizer: Tokenizer, prompts: tuple[str, ...], settings: Settings, job: Job, chat: bool,
    say: Callable[[str, str], None],
) -> bool:  # fmt: skip
    """`say` each prompt with what the model writes after it; False where memory runs out."""
    try:
        for prompt, text in samples(model, tokenizer, prompts, settings, job, chat):
            say(prompt, text)
    except (MemoryError, RuntimeError) as error:
        if not memory.ran_out(error):
            raise
        return False
    return True
