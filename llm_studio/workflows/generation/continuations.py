"""How a model continues the beginnings of held-out documents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_studio.config import SPECIAL_TOKENS, GenerationSettings
from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens.beginnings import Beginning
    from llm_studio.model.transformer import Transformer

_END, _USER, _ASSISTANT = SPECIAL_TOKENS


def continuations(
    model: "Transformer", tokenizer: "Tokenizer", chosen: "Sequence[Beginning]", same: bool, seed: int, job: Job
) -> list[str]:
    """The model's continuation of each beginning, at temperature 0.8. Raises Cancelled.

    `tokenizer` is the model's; `same`: it is also the tokenizer that made the ids of the beginnings.
    """
    from llm_studio.data.tokens.beginnings import TEXT_TOKENS, plain_text
    from llm_studio.inference.generate_batch import generate_batch

    prompts = [list(one.ids) if same else tokenizer.encode(one.prompt) for one in chosen]
    stop = [tokenizer.markers[name] for name in (_END, _USER) if name in tokenizer.markers]
    written: dict[int, str] = {}
    for length in sorted({len(prompt) for prompt in prompts}):
        places = [place for place, prompt in enumerate(prompts) if len(prompt) == length]
        sampling = GenerationSettings(temperature=0.8, max_tokens=TEXT_TOKENS, seed=seed + length)
        texts = generate_batch(model, [prompts[place] for place in places], sampling, stop, job.check)
        written |= {place: plain_text(ids, tokenizer) for place, ids in zip(places, texts, strict=True)}
    return [written[place] for place in range(len(chosen))]
