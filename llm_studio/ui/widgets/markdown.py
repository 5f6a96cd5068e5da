"""Markdown in a QTextBrowser, in the colours of the theme."""

import html
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from PySide6.QtWidgets import QTextBrowser

from llm_studio.ui import theme

if TYPE_CHECKING:
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

_STYLE = """
body {{ color: {text}; }} h1 {{ font-size: 22px; font-weight: 600; }} h2 {{ font-size: 17px; font-weight: 600; }}
h3 {{ font-size: 14px; font-weight: 600; }} a {{ color: {accent}; text-decoration: none; }}
code, pre {{ font-family: "Cascadia Mono", "Consolas", "DejaVu Sans Mono", monospace; font-size: 12px; }}
code {{ background-color: {sunken}; }} th {{ color: {muted}; font-weight: 600; text-align: left; }}
p, li {{ line-height: 140%; }} blockquote {{ color: {muted}; }}
"""


@dataclass(frozen=True)
class Document:
    """A page as HTML, and its headings: (level, anchor, text)."""

    html: str
    headings: tuple[tuple[int, str, str], ...]


def show(document: Document, browser: QTextBrowser) -> None:
    """Show a document in the colours of the current theme; call it again when the theme has changed."""
    colors = theme.colors()
    browser.document().setDefaultStyleSheet(_STYLE.format(**vars(colors)))
    browser.document().setDocumentMargin(10)
    browser.setHtml(document.html.replace("$sunken", colors.sunken).replace("$line", colors.line))


def render(text: str) -> Document:
    """Convert Markdown to HTML that Qt understands, with an anchor for each heading."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    tokens = parser.parse(text)
    headings: list[tuple[int, str, str]] = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            plain = "".join(child.content for child in inline.children or ())
            anchor = _anchor(plain, {known for _level, known, _text in headings})
            headings.append((int(opening.tag[1]), anchor, plain))
            opening.attrSet("id", anchor)
        elif opening.type == "table_open":
            opening.attrs |= {"cellpadding": 6, "cellspacing": 0, "width": "100%"}
    return Document(parser.renderer.render(tokens, parser.options, {}), tuple(headings))


def _anchor(text: str, taken: set[str]) -> str:
    """The anchor of a heading, as on GitHub: "What is it?" is what-is-it."""
    plain = re.sub(r"[^\w\s-]", "", text.lower()).strip()
    wanted = made = re.sub(r"\s+", "-", plain)
    number = 1
    while made in taken:
        made, number = f"{wanted}-{number}", number + 1
    return made


def _render_code(_renderer: "RendererHTML", tokens: "list[Token]", index: int, _options: Any, _env: Any) -> str:
    return code_block(tokens[index].content)


def code_block(code: str, space: str = "pre-wrap") -> str:
    """Code with its own background: in Qt, paragraphs have no padding, but table cells do."""
    text = f'<pre style="white-space: {space}">{html.escape(code.rstrip())}</pre>'
    return f'<table width="100%" cellpadding="10" bgcolor="$sunken"><tr><td>{text}</td></tr></table><p></p>'
