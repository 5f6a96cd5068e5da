"""The corpus of a project, for the workflows that need its texts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llm_studio.config import DataSettings
from llm_studio.errors import ProjectError
from llm_studio.events import Notice
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import Corpus
    from llm_studio.data.sources.manifest import UnusableSource


def open_corpus(project: Project, settings: DataSettings | None = None, job: Job | None = None) -> "Corpus":
    """The corpus with these settings, by default the project's own: the texts that can be read.

    Which sources are left out is reported to `job`. Raises ProjectError where there are no texts, SourceError where
    none can be read.
    """
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, settings or project.settings().data)
    if not corpus.sources:
        corpus.require_all()
        raise ProjectError(
            _("This project has no texts yet."),
            _("Add some first: “llm-studio download {path} --dataset stories”, or name your own file.").format(
                path=quoted(project.root)
            ),
            "data",
        )
    if job is not None:
        report_unusable(corpus.found.unusable, job, _("It is left out here."))
    return corpus


def report_unusable(sources: "Iterable[UnusableSource]", job: Job, consequence: str = "") -> None:
    """Report the sources that can't be read, and what follows from that."""
    for source in sources:
        job.report(Notice(f"{source.problem} {consequence}".rstrip(), "warning", source.to_do))


def open_whole_corpus(project: Project) -> "Corpus":
    """The corpus with all its texts, for what is made of them. Raises SourceError where some can't be read."""
    corpus = open_corpus(project)
    corpus.require_all()
    return corpus
