"""Tiny models of each architecture that other programs know, trained for seconds, and what they are asked."""

import random
import shutil
from collections.abc import Collection
from pathlib import Path

import torch

from llm_studio.config import Settings
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.device import Compute
from llm_studio.inference.load import load_model
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.runs.loop_state import LoopState
from llm_studio.workflows.training.train import train
from tests.talk import add_talk

CONTEXT = 288
NEW_TOKENS = 200
MARGIN = 1e-3
"""Two tokens whose logits differ by less are taken for equal: another order of sums may exchange them."""

GPT2 = {"model.positions": "learned", "model.norm": "layernorm", "model.activation": "gelu", "model.qk_norm": False}
VARIANTS: dict[str, dict[str, object]] = {
    "qwen3": {},
    "qwen3-untied-grouped": {"model.tie_embeddings": False, "model.n_heads": 4, "model.n_kv_heads": 2,
                             "model.rope_theta": 500.0},
    "llama-grouped": {"model.qk_norm": False, "model.n_heads": 4, "model.n_kv_heads": 2, "model.d_ff": 72},
    "llama-untied-bias": {"model.qk_norm": False, "model.tie_embeddings": False, "model.bias": True,
                          "model.rope_theta": 500.0},
    "gpt2": {**GPT2, "model.bias": True},
    "gpt2-untied": {**GPT2, "model.bias": False, "model.tie_embeddings": False},
    "chat": {},
}  # fmt: skip
_QUICK: dict[str, object] = {
    "model.max_seq_len": CONTEXT, "training.max_steps": 12, "training.batch_size": 2, "training.eval_interval": 12,
    "training.eval_sequences": 2, "training.checkpoint_interval": 12,
}  # fmt: skip

PROMPTS = (
    "Once upon a time", "  Two spaces first", "The cat said: “Hello, you!”", "It's 12345 o'clock", "A 🐱 and a 👩‍👧",
    "Il était une fois", "« Où vas-tu ? » dit-elle.", "L'été, à 8 h 30 !", "ça, là-bas ; naïve", "Bonjour…\n\nFin",
    "x", "3.14159", "He said 'no'.", "Tom\tand Mia", "100 % — sûr !", "don't won't I'll", "Ÿ œ Æ ﬁ",
    "The dog\r\nran", "End of line \n", "« 2 + 2 = 4 »",
)  # fmt: skip


def documents(count: int) -> list[str]:
    """Texts in French and English with spaces, marks, emoji, digits, line ends, other scripts."""
    chance = random.Random(17)
    parts = [
        *PROMPTS, " ", "  ", "   ", "\n", "\n\n", "\t", "\u00a0", "\u202f", "'", "’", '"', "«\u00a0", "\u00a0»", "...",
        "été", "Noël", "cœur", "aujourd’hui", "l’eau", "ﬁn", "1", "42", "2026", "3,5", "½", "😀", "👍🏽", "漢字", "мир",
        "e\u0301", "house", "The", "runs", "quickly", "!!", "?", "(a)", "[b]", "{c}", "\\", "/", "<b>", "&amp;", "@x",
        "#1", "_", "\0", "—",
    ]  # fmt: skip
    return ["".join(chance.choice(parts) for _ in range(chance.randrange(1, 40))) for _ in range(count)]


def train_variant(prepared: Path, folder: Path, name: str) -> ModelRef:
    """Train one of VARIANTS in a copy of the tiny project below `folder`."""
    root = folder / "été" / name
    shutil.copytree(prepared, root)
    project = Project.open(root)
    if name == "chat":
        add_talk(project, 100)
    train(project, Job(), run="run-1", changes={**_QUICK, **VARIANTS[name]})
    return locate(project, "run-1/last")


def loaded(model: ModelRef) -> tuple[Transformer, Tokenizer]:
    """Our model on the CPU, and its tokenizer."""
    tokenizer = Tokenizer.from_json(model.tokenizer_json())
    return load_model(model, tokenizer.vocab_size, "cpu"), tokenizer


@torch.no_grad()
def assert_greedy(ours: Transformer, prompt: list[int], theirs: list[int], forbidden: Collection[int] = ()) -> int:
    """`theirs`, which follow `prompt`, are the most likely tokens of our model, until two are as good as equal.

    None is of the `forbidden` ones. Returns how many tokens were compared.
    """
    logits = ours(torch.tensor([[*prompt, *theirs]]))[0, len(prompt) - 1 : -1]  # (T, V)
    logits[:, list(forbidden)] = -torch.inf
    for place, (token, row) in enumerate(zip(theirs, logits, strict=True)):
        best = row.topk(2).values
        if best[0] - best[1] < MARGIN:
            return place
        assert token == int(row.argmax()), f"token {place} after {prompt}"
    return len(theirs)


def untrained(folder: Path, tokenizer: Tokenizer, **model: object) -> ModelRef:
    """A checkpoint with new weights and this tokenizer, whose embeddings are far from each other."""
    settings = Settings().replaced({
        "model.d_model": 32, "model.n_heads": 2, "model.n_layers": 1, "model.d_ff": 64, "model.max_seq_len": CONTEXT,
        **{f"model.{name}": value for name, value in model.items()},
    })  # fmt: skip
    torch.manual_seed(3)
    weights = Transformer(settings.model, tokenizer.vocab_size).state_dict()
    state = LoopState(
        step=1, tokens=100, seconds=1.0, vocab_size=tokenizer.vocab_size, compute=Compute("cpu", "float32", 1),
        train_loss=3.0, validation_loss=None, best_loss=None, data="d", torch_version="t", scaler={},
    )  # fmt: skip
    project = Project.create(folder, settings)
    run = project.checkpoints / "run-1"
    checkpoint.save(run, state, settings, tokenizer.to_json(), weights, {"w": torch.ones(1)})
    return locate(project, str(checkpoint.folder(run, 1)))
