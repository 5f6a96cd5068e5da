"""A tiny project, trained in seconds, for tests that need a real one."""

from pathlib import Path

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer

SETTINGS: dict[str, object] = {
    "model.vocab_size": 400, "model.d_model": 32, "model.n_heads": 2, "model.n_layers": 2, "model.d_ff": 64,
    "model.max_seq_len": 32, "model.dropout": 0.1, "training.batch_size": 8, "training.max_steps": 30,
    "training.warmup_steps": 5, "training.eval_interval": 10, "training.eval_sequences": 16,
    "training.checkpoint_interval": 5, "training.learning_rate": 1e-2, "training.threads": 1,
    "training.sample_prompts": ["Once"], "training.optimizer": "adamw",
}  # fmt: skip


def project_with_tokens(root: Path, **changes: object) -> Project:
    """A new project at `root` on 300 English stories, ready to train. `changes` by name with __ for the dot."""
    project = projects.new_project(root, "nano", "en")
    projects.change_settings(project, {**SETTINGS, **{name.replace("__", "."): v for name, v in changes.items()}})
    sources.add_stories(project, "en", 300, Job())
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    return project
