"""The table of export formats, from which the window and the command line list them.

To add one: a module that declares its `FORMAT`, an entry in `FORMATS`, and a test.
"""

from llm_studio.errors import ProjectError
from llm_studio.export import archive, code_project, gguf, hf, web_page
from llm_studio.export.format import Format
from llm_studio.i18n import _

FORMATS: dict[str, Format] = {
    found.name: found for found in (archive.FORMAT, hf.FORMAT, gguf.FORMAT, web_page.FORMAT, code_project.FORMAT)
}
"""By name, in display order."""


def by_name(name: str) -> Format:
    """The format called `name`. Raises ProjectError."""
    if name not in FORMATS:
        raise ProjectError(
            _("There is no export format “{name}”.").format(name=name),
            _("The formats are: {names}.").format(names=", ".join(FORMATS)),
        )
    return FORMATS[name]
