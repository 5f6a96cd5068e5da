"""LaTeX (.tex): the text without commands, in one pass. Formulas are kept verbatim; comments, the preamble, tables and
drawings are left out and counted.

Macros aren't expanded: the text in the braces of an unknown command is kept.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.account import COMMENTS, DRAWINGS, PARTS, PREAMBLE
from llm_studio.data.sources.readers.context import Context
from llm_studio.data.sources.readers.encodings import open_text
from llm_studio.data.sources.readers.errors import too_large
from llm_studio.data.sources.readers.items import InputFile
from llm_studio.i18n import ngettext, number

MAX_LENGTH = 1 << 24
"""Length limit of a file, in characters: a book has a million or two."""
_TOKEN = re.compile(
    r"\\(?P<edge>begin|end)\s*\{(?P<name>[^{}\n]{1,40})\}|\\verb\*?(?P<mark>[^a-zA-Z\s*])(?P<verb>[^\n]{0,500}?)(?P=mark)"
    r"|\\def\s*\\[a-zA-Z@]+[^{}\n]{0,50}(?P<define>)|\\(?P<command>[a-zA-Z@]+\*?|[\s\S]|$)"
    r"|(?P<comment>%[^\n]*(?:\n[ \t]*)?)|(?P<math>\$\$?)|(?P<brace>[{}\[\]])|(?P<gap>\n[ \t]*\n\s*)"
    r"|(?P<text>(?:[^\\%${}\[\]\n]|\n(?![ \t]*\n))+)|(?P<other>[\s\S])"
)
_NO_TEXT = {
    **dict.fromkeys((
        "label", "ref", "pageref", "eqref", "autoref", "cref", "Cref", "nameref", "vref", "cite", "citep", "citet",
        "autocite", "parencite", "textcite", "footcite", "nocite", "includegraphics", "input", "include", "includeonly",
        "bibliography", "bibliographystyle", "addbibresource", "vspace", "hspace", "index", "glossary", "pagestyle",
        "thispagestyle", "usepackage", "documentclass", "hypersetup", "color", "pagenumbering", "selectlanguage",
        "hyphenation", "graphicspath", "geometry", "phantom", "hphantom", "vphantom", "usetikzlibrary", "lstset",
        "theoremstyle", "bibitem", "RequirePackage", "todo", "tikzset", "sisetup", "newcounter", "usetheme", "href",
        "textcolor", "colorbox", "foreignlanguage", "cmidrule", "scalebox", "raisebox", "parbox", "stepcounter",
    ), 1),
    **dict.fromkeys(("setlength", "addtolength", "setcounter", "addtocounter", "newcommand", "renewcommand",
                     "providecommand", "DeclareMathOperator", "newtheorem", "resizebox", "rule", "fontsize",
                     "setbeamertemplate", "titleformat"), 2),
    **dict.fromkeys(("definecolor", "addcontentsline", "newenvironment", "renewenvironment"), 3),
}  # fmt: skip
"""Commands, with the number of their first arguments that aren't text."""
_HEADINGS = frozenset(("part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph",
                       "title", "author", "date", "caption", "frametitle", "framesubtitle", "subtitle"))  # fmt: skip
_GAPS = frozenset(("par", "newpage", "clearpage", "cleardoublepage", "maketitle", "medskip", "bigskip", "smallskip"))
_LINES = frozenset(("newline", "linebreak", "tabularnewline"))
_WORDS = {
    "ldots": "…", "dots": "…", "textellipsis": "…", "LaTeX": "LaTeX", "TeX": "TeX", "oe": "œ", "OE": "Œ", "ae": "æ",
    "AE": "Æ", "ss": "ß", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ",
    "og": "«\u00a0", "fg": "\u00a0»", "guillemotleft": "«", "guillemotright": "»", "S": "§", "P": "¶", "euro": "€",
    "texteuro": "€", "copyright": "©", "textcopyright": "©", "textregistered": "®", "texttrademark": "™",
    "textdegree": "°", "degres": "°", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“",
    "textquotedblright": "”", "textendash": "–", "textemdash": "—", "textbackslash": "\\", "textasciitilde": "~",
    "textasciicircum": "^", "textbar": "|", "textless": "<", "textgreater": ">", "textbullet": "•", "pounds": "£",
    "quad": " ", "qquad": " ", "space": " ", "ier": "er", "iere": "re", "ieme": "e", "no": "nº\u00a0", "dag": "†",
    "item": "\n- ",
}  # fmt: skip
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a", "b": "\u0331",
    "d": "\u0323",
}  # fmt: skip
_ACCENTED = re.compile(r"\s*(?:\{\s*(?:\\([ij])|([^\W\d_]))\s*\}|\\([ij])(?![a-zA-Z])|([^\W\d_]))")
_SPACES = {",": "\u202f", " ": " ", "\n": " ", "\t": " ", ";": " ", ":": " ", "!": "", "-": "", "/": "", "@": "",
           "\\": "\n", "[": "\\[", "]": "\\]", "(": "\\(", ")": "\\)"}  # fmt: skip
_MATH = frozenset((
    "equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "alignat", "flalign", "dmath",
))  # fmt: skip
_DROPPED = frozenset((
    "tabular", "tabularx", "tabulary", "longtable", "array", "tikzpicture", "picture", "pspicture", "circuitikz",
    "axis", "filecontents", "supertabular", "tblr", "forest",
))  # fmt: skip
_VERBATIM = frozenset(("verbatim", "lstlisting", "minted", "Verbatim", "alltt"))
_WITH_ARGUMENT = frozenset(("minipage", "multicols", "column", "columns", "wrapfigure", "thebibliography",
                            "adjustwidth", "subfigure", "spacing", "otherlanguage"))  # fmt: skip
_DOCUMENT = re.compile(r"^[^%\n]*\\begin\s*\{document\}", re.M)
_DELIMITERS = {"$": "$", "$$": "$$", "[": "\\]", "(": "\\)"}
_MAX_FORMULA = 20_000
_LABEL = re.compile(r"\\label\s*\{[^{}]{0,200}\}|(?<!\\)%[^\n]*")
_CHECK_EVERY = 4096
_RAW, _PLACEHOLDERS = " \n", "\x1f\x1e"
"""Space and newline, and their placeholders in verbatim text until white space is normalized."""


def read_latex(item: InputFile, context: Context) -> Iterator[Chunk]:
    """The text as one document, with one line per paragraph."""
    with open_text(item, context) as stream:
        source = stream.read(MAX_LENGTH + 1)
    if len(source) > MAX_LENGTH:
        raise too_large(item.name, MAX_LENGTH)
    latex = _Latex(source, context)
    yield Chunk(latex.text(), True)
    for reason, count in ((COMMENTS, latex.comments), (DRAWINGS, latex.drawings)):
        if count:
            context.account.leave_out(PARTS, reason, item.name, number(count))
    if latex.preamble:
        detail = ngettext("{n} character", "{n} characters", latex.preamble).format(n=number(latex.preamble))
        context.account.leave_out(PARTS, PREAMBLE, item.name, detail)


class _Latex:
    """Converts a file to text in one pass.

    `_groups`: for each open group, the text to add after it; for a group that isn't text, the number of arguments after
    it that aren't text either.
    """

    def __init__(self, source: str, context: Context) -> None:
        document = _DOCUMENT.search(source)
        self.preamble = document.start() if document else 0
        self.comments = self.drawings = 0
        self._source, self._place, self._job = source, document.end() if document else 0, context.job
        self._out: list[str] = []
        self._groups: list[str | int] = []
        self._skipped: Counter[str] = Counter()  # open environments that are left out
        self._silent = 0  # number of open groups and environments that aren't text
        self._arguments = 0  # number of arguments to come that aren't text
        self._after_command = self._in_option = False
        self._closing = ""  # text to add after the next group
        self._absent: set[str] = set()  # strings that don't occur again

    def text(self) -> str:
        """The text of the file. Raises Cancelled."""
        done = 0
        while self._place < len(self._source) and (token := _TOKEN.match(self._source, self._place)):
            self._place = token.end()
            done += 1
            if done % _CHECK_EVERY == 0:
                self._job.check()
            self._add(token)
        text = re.sub(r"[ \t]*\n[ \t]*", "\n", re.sub(r"[ \t]+", " ", "".join(self._out)))
        text = re.sub(r" ([.,])(?=\s|$)", r"\1", text)  # left by a removed reference
        return re.sub(r"\n{3,}", "\n\n", text).strip().translate(str.maketrans(_PLACEHOLDERS, _RAW))

    def _add(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        if token["edge"]:
            self._add_edge(token["edge"] == "begin", token["name"].strip().rstrip("*"))
            return
        if token["mark"]:
            self._emit(token["verb"], raw=True)
        elif token["command"] is not None:
            self._add_command(token["command"])
            return
        elif kind == "define":
            self._arguments = 1
            return
        elif kind == "comment":
            self.comments += len(token["comment"].strip()) > 1
            return
        elif kind == "math":
            self._add_formula(token["math"])
        elif kind == "brace":
            self._add_brace(token["brace"])
            return
        elif kind == "gap":
            self._arguments, self._closing, self._in_option = 0, "", False
            self._emit("\n\n")
        elif self._in_option:
            return
        else:
            text = token[0]
            if not text.isspace():
                self._arguments, self._closing = 0, ""
                self._after_command = False
            self._emit(_plain(text))
            return
        self._after_command = False

    def _emit(self, text: str, raw: bool = False) -> None:
        if not self._silent:
            self._out.append(text.translate(str.maketrans(_RAW, _PLACEHOLDERS)) if raw else text)

    def _add_brace(self, brace: str) -> None:
        if brace == "[" and self._after_command:
            self._in_option = True
        elif brace == "]" and self._in_option:
            self._in_option = False
        elif brace == "{" and self._arguments:
            self._groups.append(self._arguments - 1)
            self._arguments = 0
            self._silent += 1
        elif brace == "{":
            self._groups.append(self._closing)
            self._closing, self._after_command = "", False
        elif brace == "}" and self._groups:
            closing = self._groups.pop()
            if isinstance(closing, int):
                self._silent -= 1
                self._arguments = closing
                self._after_command = True  # an option or another argument may follow
            else:
                self._emit(closing)
        elif brace in "[]" and not self._in_option:
            self._emit(brace)

    def _add_command(self, command: str) -> None:
        name = command.rstrip("*") or command
        self._after_command = name.isalpha() or name == "\\"
        if self._arguments:  # the name of a macro that is defined
            self._arguments -= 1
        elif name in _NO_TEXT:
            self._arguments = _NO_TEXT[name]
        elif name in _ACCENTS and (letter := _ACCENTED.match(self._source, self._place)):
            self._place = letter.end()
            plain = next(filter(None, letter.groups()))
            self._emit(unicodedata.normalize("NFC", plain + _ACCENTS[name]))
            self._after_command = False
        elif name in ("[", "("):
            self._add_formula(name)
        elif name in _HEADINGS:
            self._emit("\n\n")
            self._closing = "\n\n"
        elif name in ("footnote", "footnotetext", "thanks"):
            self._emit(" (")
            self._closing = ")"
        elif name in _GAPS or name in _LINES:
            self._emit("\n\n" if name in _GAPS else "\n")
        elif name in _WORDS:
            if name == "fg" and self._out:
                self._out[-1] = self._out[-1].rstrip(" ")
            self._emit(_WORDS[name])
            self._after_command = False
            self._skip_space(name)
        elif name in _SPACES:
            self._emit(_SPACES[name])
        elif not name.isalpha() and name:
            self._emit(name)

    def _skip_space(self, name: str) -> None:
        """Skip a space or “{}” after a command, which TeX takes for its end."""
        if name == "item":
            return
        if self._source.startswith("{}", self._place):
            self._place += 2
        elif self._source.startswith(" ", self._place):
            self._place += 1

    def _add_formula(self, opening: str) -> None:
        """Add a formula verbatim. A delimiter without a counterpart is added as a character."""
        end = self._find(_DELIMITERS[opening])
        if end < 0 or end - self._place > _MAX_FORMULA or "\n\n" in self._source[self._place : end]:
            self._emit(opening)
            return
        formula = _LABEL.sub("", self._source[self._place : end]).strip()
        self._place = end + len(_DELIMITERS[opening])
        if opening in ("$", "("):
            self._emit(f"${formula}$", raw=True)
        else:
            self._emit("\n\n")
            self._emit(f"$${formula}$$", raw=True)
            self._emit("\n\n")

    def _add_edge(self, begins: bool, name: str) -> None:
        self._arguments, self._closing, self._in_option = 0, "", False
        if begins and (name in _MATH or name in _VERBATIM):
            self._add_whole(name)
        elif name in _DROPPED or name == "comment":
            self._add_dropped(begins, name)
        elif name == "document" and not begins:
            self.comments += bool(self._source[self._place :].strip())
            self._place = len(self._source)
        else:
            self._emit("\n\n")
            self._arguments = int(begins and name in _WITH_ARGUMENT)
            self._after_command = begins  # an option may follow
            return
        self._after_command = False

    def _add_whole(self, name: str) -> None:
        """Add an environment with formulas or code verbatim."""
        ends = ((self._find(f"\\end{{{name}{star}}}"), star) for star in ("", "*"))
        end, star = min((found for found in ends if found[0] >= 0), default=(-1, ""))
        if end < 0 or (name in _MATH and end - self._place > _MAX_FORMULA):
            return
        inner = self._source[self._place : end]
        self._place = end + len(f"\\end{{{name}{star}}}")
        self._emit("\n\n")
        if name in _VERBATIM:
            self._emit(re.sub(r"\A(?:\[[^\]\n]*\]|\{[^{}\n]*\})*[ \t]*\n", "", inner).rstrip(), raw=True)
        else:
            self._emit(f"\\begin{{{name}}}{_LABEL.sub('', inner)}\\end{{{name}}}", raw=True)
        self._emit("\n\n")

    def _add_dropped(self, begins: bool, name: str) -> None:
        if begins and (
            self._skipped[name] or self._find(f"\\end{{{name}}}") >= 0 or self._find(f"\\end{{{name}*}}") >= 0
        ):
            if not self._silent:
                self.comments += name == "comment"
                self.drawings += name != "comment"
            self._skipped[name] += 1
            self._silent += 1
        elif begins:
            self._arguments, self._after_command = 1, True
        elif self._skipped[name]:
            self._skipped[name] -= 1
            self._silent -= 1
            self._emit("\n\n")

    def _find(self, text: str) -> int:
        """The position of the next occurrence of `text`, or -1, which is cached."""
        place = -1 if text in self._absent else self._source.find(text, self._place)
        if place < 0:
            self._absent.add(text)
        return place


def _plain(text: str) -> str:
    """Text without commands, with the characters that TeX shows for its quotation marks, dashes and spaces."""
    text = " ".join(re.split(r"[\n\t ]+", text)).replace("~", "\u00a0").replace("&", " ")
    return text.replace("``", "“").replace("''", "”").replace("---", "—").replace("--", "–")
