"""The documents of the tab Understand: the lessons, and the source files of the program."""

import html
from pathlib import Path

import llm_studio
from llm_studio import i18n
from llm_studio.i18n import _
from llm_studio.paths import resource
from llm_studio.ui.widgets import markdown

SOURCE = "source:"
"""Prefix of the names and links of source files."""


def document(name: str) -> markdown.Document:
    """The source file or the lesson with this name."""
    return _source_file(name.removeprefix(SOURCE)) if name.startswith(SOURCE) else lesson(name)


def lesson(name: str) -> markdown.Document:
    """The lesson with this name in the user's language."""
    path = resource("learn", i18n.language(), f"{name}.md")
    return markdown.render(path.read_text(encoding="utf-8"))


def _source_file(relative: str) -> markdown.Document:
    """A source file of the package, which may be missing in the frozen program."""
    package = Path(llm_studio.__file__).parent.resolve()
    path = (package / relative).resolve()
    title = f"llm_studio/{relative}"
    if not path.is_relative_to(package) or path.suffix != ".py" or not path.is_file():
        text = _("This file is not part of the installed program.")
        return markdown.Document(f"<h1>{html.escape(title)}</h1><p>{html.escape(text)}</p>", ())
    code = path.read_text(encoding="utf-8")
    return markdown.Document(f"<h1>{html.escape(title)}</h1>{markdown.code_block(code, 'pre')}", ())
