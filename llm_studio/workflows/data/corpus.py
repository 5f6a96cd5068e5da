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
    """The corpus of all readable sources, with these settings or by default the project's.

    Reports the other sources to `job`. Raises ProjectError if there are no texts, SourceError if none can be read.
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
    """Report each source that can't be read as a warning, followed by its `consequence`."""
    for source in sources:
        job.report(Notice(f"{source.problem} {consequence}".rstrip(), "warning", source.to_do))


def open_whole_corpus(project: Project) -> "Corpus":
    """The corpus, to be made into something that needs all its texts. Raises SourceError if one can't be read."""
    corpus = open_corpus(project)
    corpus.require_all()
    return corpus
