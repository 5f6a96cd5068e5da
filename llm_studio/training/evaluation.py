"""What a model in training is worth: its loss on texts it never saw, and what it writes."""

from collections.abc import Iterator

import torch

from llm_studio.config import Settings
from llm_studio.data import batches
from llm_studio.data.dataset import Tokens
from llm_studio.data.tokenizer import Tokenizer
from llm_studio.device import Compute
from llm_studio.inference.generate import generate
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer

SAMPLE_TOKENS = 60


def validation_loss(model: Transformer, tokens: Tokens, settings: Settings, compute: Compute, job: Job) -> float | None:
    """Mean loss in nats per token over a fixed set of validation sequences; None when the job was stopped."""
    training = settings.training
    drawn = torch.from_numpy(batches.evaluation(tokens, training.eval_sequences, settings.model.max_seq_len))
    total = 0.0
    model.eval()
    with torch.no_grad(), compute.autocast():
        for part in drawn.split(training.batch_size):
            if job.stop_requested:
                break
            ids = part.to(compute.device)
            total += model.loss(ids[:, :-1], ids[:, 1:]).item() * len(part)
    model.train()
    return None if job.stop_requested else total / len(drawn)


def samples(
    model: Transformer, tokenizer: Tokenizer, prompts: tuple[str, ...], settings: Settings, job: Job
) -> Iterator[tuple[str, str]]:
    """(prompt, what the model writes after it), always drawn from the same seed."""
    how = settings.generation.model_copy(update={"seed": 0, "max_tokens": SAMPLE_TOKENS})
    for prompt in prompts:
        ids = tokenizer.encode(prompt) or [tokenizer.end_of_text]
        decoder = tokenizer.stream()
        text = ""
        for token in generate(model, ids, how, stop=(tokenizer.end_of_text,)):
            if job.stop_requested:
                return
            text += decoder.push(token)
        yield prompt, text + decoder.finish()
