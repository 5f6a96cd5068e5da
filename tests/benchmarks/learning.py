"""Validation loss of a small model on real texts, compared with the bigram's."""

import tempfile
from pathlib import Path

from llm_studio.data.tokens.baselines import bigram_loss
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.jobs import Job
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train

REAL_TEXTS = Path(__file__).parents[3] / "shared" / "data"
CASES = {
    # text, vocabulary, steps
    "tinyshakespeare.txt": (300, 1500),
    "french-novels": (2048, 1500),
}


def main() -> None:
    """Train and print."""
    if not REAL_TEXTS.is_dir():
        print("the real texts are not at hand")
        return
    for name, (vocabulary, steps) in CASES.items():
        loss, bigram = learn(REAL_TEXTS / name, vocabulary, steps)
        print(f"{name}: validation loss {loss:.3f} after {steps} steps, bigram {bigram:.3f}, vocabulary {vocabulary}")


def learn(text: Path, vocabulary: int, steps: int, batch: int = 32) -> tuple[float, float]:
    """(validation loss of a nano model, bigram loss), in nats per token."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", "nano")
        # unchanged texts: with so few steps, any change decides whether the run ends before or after the steep decrease
        # of the loss
        projects.change_settings(project, {"data.tidy_spaces": False, "data.remove_invisible": False})
        sources.add_files(project, text, Job())
        train_tokenizer(project, Job(), vocabulary)
        prepare_tokens(project, Job())
        changes = {"training.max_steps": steps, "training.batch_size": batch,
                   "training.warmup_steps": min(100, steps // 10), "training.eval_interval": max(1, steps // 4),
                   "training.checkpoint_interval": steps,
                   "training.snapshot_megabytes": 0}  # fmt: skip
        trained = train(project, Job(), changes=changes)
        with open_tokens(project.processed) as tokens:
            bigram = bigram_loss(tokens)
        assert trained.run.best_loss is not None
        return trained.run.best_loss, bigram
