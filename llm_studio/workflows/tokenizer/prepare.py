"""Encoding the corpus of a project as tokens, for training."""

from typing import TYPE_CHECKING

from llm_studio.errors import ProjectError
from llm_studio.events import Notice
from llm_studio.i18n import _, number
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project, State
from llm_studio.workflows.data.corpus import open_whole_corpus
from llm_studio.workflows.projects import steps

if TYPE_CHECKING:
    from llm_studio.data.tokens.dataset import PreparedTokens as PreparedTokens


def prepare_tokens(project: Project, job: Job) -> "PreparedTokens":
    """Encode the corpus into `train.bin` and `val.bin`. Raises ProjectError if an earlier step is missing."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens import dataset

    if not project.tokenizer_file.exists():
        raise ProjectError(
            _("This project has no tokenizer yet."),
            _("Train one first: “llm-studio train-tokenizer {path}”.").format(path=quoted(project.root)),
            "tokenizer",
        )
    tokenizer = Tokenizer.load(project.tokenizer_file)
    if steps(project).tokenizer is State.OUT_OF_DATE:
        job.report(Notice(
            _("The texts or the settings have changed since the tokenizer was trained: it serves, but a new one would "
              "fit them better."),
            "warning",
            _("Make it with “llm-studio train-tokenizer {path}”.").format(path=quoted(project.root)),
        ))  # fmt: skip
    with project.writing("tokens"):
        corpus = open_whole_corpus(project)
        prepared = dataset.write_tokens(corpus.plan(job), tokenizer, project.processed, corpus.fingerprint(), job)
    needed = project.settings().model.max_seq_len + 1
    if prepared.train_tokens < needed:
        job.report(Notice(
            _("The training part has {tokens} tokens, less than one context of {context}: add texts, or set a smaller "
              "model.max_seq_len.").format(tokens=number(prepared.train_tokens), context=number(needed - 1)),
            "warning",
        ))  # fmt: skip
    return prepared
