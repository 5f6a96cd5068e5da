"""The jobs of the tab Tokenizer, which *Prepare and train* also runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_studio.i18n import N_
from llm_studio.jobs import Job
from llm_studio.ui.tasks import TOKENIZER, TOKENS, BackgroundJob

if TYPE_CHECKING:
    from llm_studio.workflows.overview import Project


def train(project: "Project", changes: dict[str, object], title: str = "") -> BackgroundJob:
    """Train the tokenizer with pending settings."""

    def work(job: Job) -> object:
        from llm_studio.workflows.tokenizer import lab

        return lab.train_with(project, changes, job)

    return _job(TOKENIZER, work, title or N_("Training the tokenizer"))


def prepare(project: "Project", title: str = "") -> BackgroundJob:
    """Encode the texts as tokens."""

    def work(job: Job) -> object:
        from llm_studio.workflows.tokenizer.prepare import prepare_tokens

        return prepare_tokens(project, job)

    return _job(TOKENS, work, title or N_("Preparing the tokens"))


def _job(key: str, work: Callable[[Job], object], title: str) -> BackgroundJob:
    return BackgroundJob(key, work, title, tab="tokenizer", changes_project=True)
