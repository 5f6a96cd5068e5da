"""The corpus of a project, for the workflows that need its texts."""

from typing import TYPE_CHECKING

from llm_studio.config import DataSettings
from llm_studio.errors import ProjectError
from llm_studio.i18n import _
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.corpus.corpus import Corpus


def open_corpus(project: Project, settings: DataSettings | None = None) -> "Corpus":
    """The corpus with these settings, by default the project's own. Raises ProjectError where there are no texts."""
    from llm_studio.data.corpus.corpus import Corpus

    corpus = Corpus(project.raw, settings or project.settings().data)
    if not corpus.sources:
        raise ProjectError(
            _("This project has no texts yet."),
            _("Add some first: “llm-studio download {path} --dataset stories”, or name your own file.").format(
                path=quoted(project.root)
            ),
            "data",
        )
    return corpus
