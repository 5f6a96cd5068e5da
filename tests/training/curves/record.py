"""Records small real curves: `python -m tests.training.curves.record [NAME ...]`, a few minutes for all.

Each case trains a model of some thousands of parameters on a real text (those of `../shared/data`), with settings that
make go wrong what its name says; the healthy ones let the doctor keep silent. A record is a JSON file beside this one:
what the doctor is told, the training loss of each step, and the evaluations.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from llm_studio.config import Settings
from llm_studio.data.tokens.baselines import bigram_loss, unigram_loss
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.jobs import Job
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training import curves
from llm_studio.workflows.training.train import train

HERE = Path(__file__).parent
TEXTS = Path(__file__).parents[4] / "shared" / "data"
PLAYS, TALES, ARTICLES = "tinyshakespeare.txt", "tinystories-sample.txt", "wikitext2-test.txt"
BASE: dict[str, object] = {
    "model.d_model": 64, "model.n_heads": 4, "model.n_layers": 2, "model.d_ff": 172, "model.max_seq_len": 64,
    "model.dropout": 0.0, "training.batch_size": 8, "training.learning_rate": 3e-3, "training.warmup_steps": 50,
    "training.max_steps": 600, "training.eval_interval": 50, "training.eval_sequences": 64, "training.threads": 1,
    "training.checkpoint_interval": 100_000, "training.snapshot_megabytes": 0, "training.sample_prompts": ["O"],
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A text, and what is set otherwise than in `BASE`; names with __ for the dot."""

    text: str
    changes: dict[str, object] = field(default_factory=dict)
    characters: int | None = None
    """Of the text, so many from its beginning."""
    vocabulary: int = 512
    then: dict[str, object] = field(default_factory=dict)
    """What is changed when it is finished, to train it further."""


CASES = {
    "healthy-plays": Case(PLAYS),
    "healthy-articles": Case(ARTICLES, {"training.schedule": "constant", "training.max_steps": 800}),
    "healthy-long-warm-up": Case(PLAYS, {"training.warmup_steps": 300, "training.max_steps": 700}),
    "healthy-one-sequence": Case(
        PLAYS, {"training.batch_size": 1, "training.learning_rate": 1e-3, "training.max_steps": 1000}
    ),
    "healthy-gentle": Case(ARTICLES, {"training.learning_rate": 5e-4, "training.max_steps": 800}),
    "healthy-dropout-later": Case(
        PLAYS,
        {"training.schedule": "constant", "training.max_steps": 400},
        then={"model.dropout": 0.5, "training.max_steps": 800},
    ),
    "overfitting": Case(TALES, {"training.max_steps": 600, "training.eval_interval": 25}, 15_000),
    "few-texts": Case(
        TALES, {"training.max_steps": 500, "training.schedule": "constant", "training.eval_interval": 25}, 40_000
    ),
    "plateau": Case(
        PLAYS,
        {
            "model.d_model": 16,
            "model.d_ff": 32,
            "model.n_layers": 1,
            "model.n_heads": 2,
            "training.learning_rate": 3e-2,
            "training.schedule": "constant",
            "training.max_steps": 1600,
            "training.eval_interval": 100,
        },
    ),
    "diverging": Case(
        PLAYS,
        {
            "training.learning_rate": 3.0,
            "training.gradient_clip": 0.0,
            "training.warmup_steps": 300,
            "training.max_steps": 350,
            "training.schedule": "constant",
        },
    ),
    "stuck": Case(PLAYS, {"training.learning_rate": 1e-7, "training.max_steps": 400}),
    "wild": Case(PLAYS, {"training.learning_rate": 3.0, "training.warmup_steps": 0, "training.max_steps": 400}),
    "rate-too-low": Case(PLAYS, {"training.learning_rate": 3e-5}),
}


def record(name: str, case: Case) -> dict[str, object]:
    """Train, and give what there is to keep."""
    with tempfile.TemporaryDirectory() as folder:
        project = projects.new_project(Path(folder) / "p", "nano")
        projects.change_settings(project, {**BASE, **case.changes})
        text = Path(folder) / case.text
        text.write_text((TEXTS / case.text).read_text(encoding="utf-8")[: case.characters], encoding="utf-8")
        sources.add_files(project, text, Job())
        train_tokenizer(project, Job(), case.vocabulary)
        prepare_tokens(project, Job())
        run = train(project, Job()).run
        if case.then:
            run = train(project, Job(), run=run.name, resume=True, changes=case.then).run
        known = curves.read(project, run.name, Job())
        with open_tokens(project.processed) as tokens:
            facts = {"corpus_tokens": len(tokens.train), "vocab_size": tokens.vocab_size,
                     "unigram": round(unigram_loss(tokens), 3), "bigram": round(bigram_loss(tokens), 3)}  # fmt: skip
        settings = Settings.from_dict(run.settings).training
        later = {
            "changed_at": run.history[-1]["step"],
            "rates": [float(f"{rate:.3g}") for rate in known.steps.column(curves.RATE).tolist()],
        } if case.then else {}  # fmt: skip
        return {
            "text": case.text, "parameters": run.parameters, **facts, "tokens_per_step": int(known.steps.column(5)[0]),
            "learning_rate": settings.learning_rate, "warmup_steps": settings.warmup_steps,
            "max_steps": settings.max_steps, "schedule": settings.schedule,
            **later, "losses": [round(loss, 3) for loss in known.steps.column(curves.LOSS).tolist()],
            "evaluations": [[int(step), round(loss, 3)] for step, loss in
                            zip(*(known.evaluations.column(index).tolist() for index in (0, 1)), strict=True)],
        }  # fmt: skip


def main() -> None:
    """Record the cases that are named, or all."""
    for name in sys.argv[1:] or CASES:
        made = record(name, CASES[name])
        (HERE / f"{name}.json").write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
        print(name, made["parameters"], made["corpus_tokens"], made["bigram"], made["evaluations"][-1], flush=True)  # type: ignore[index]


if __name__ == "__main__":
    main()
