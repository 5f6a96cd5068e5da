"""The language of the code: the field's words (glossary: .github/CONTRIBUTING.md), none of a private dialect."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.structure import ROOT

IDENTIFIERS = {
    "told", "tell", "teller", "telling", "anew", "mend", "mended", "likeliest", "swift", "keeper", "wish", "fares",
    "onlooker", "patiently", "asked", "arriving",
}  # fmt: skip
"""Words that no name in the code contains."""

PROSE = {
    r"anew": "again", r"likeliest": "most likely", r"mend(s|ed|ing)?": "fix", r"swift(ly)?": "fast",
    r"a training(?! (run|step|set|loop|loss|example|batch|state|job|process|thread|text|sequence|token|curve|data|time"
    r"|page|script))": "a run, a training run",
    r"trainings": "runs", r"goes? on with|gone on with|going on with": "continue, resume",
    r"what there is": "the available ...", r"begins as nothing": "starts as the identity",
    r"in the midst": "during", r"by chance": "at random", r"of one's own": "its own",
    r"at the user's hand": "by the user", r"is no number": "is not a number (NaN)",
    r"says nothing": "doesn't show, is meaningless", r"whose like": "the previous one", r"can't be told": "is unknown",
    r"as far as the system": "if the system", r"whose work": "the libraries", r"looks? at whether": "check whether",
    r"be others": "change", r"may be called again": "idempotent",
    r"told|tells|telling": "report, know, distinguish", r"goes on": "continues", r"is said": "is reported",
    r"nobody": "no one, not", r"of so many": "with `n` ...", r"where there (is|are) none": "if there is none",
    r"the user's hand": "the user", r"what stands": "what is", r"are others": "have changed",
}  # fmt: skip
"""Expressions that no comment, docstring, message or English page contains."""

ALLOWED = {
    # where a name begins with: words that names there may contain
    "llm_studio/data/sources/stories/": {"tell", "telling", "told"},  # stories are told
    "tests/data/test_stories.py": {"tell", "telling", "told"},
    "llm_studio/workflows/data/download.py": {"asked"},
    "llm_studio/data/sources/hub/plan.py": {"asked"},  # asked_config, asked_split: keys of files on the disk
    "tests/hub/": {"asked"},
    "llm_studio/__main__.py": {"tell"},
    "tests/damage/run.py": {"tell"},
    "llm_studio/data/sources/readers/": {"tell"},
    "llm_studio/data/sources/hub/": {"tell"},  # where a stream stands, as Python calls it
    "tests/test_words.py": IDENTIFIERS,
}
REMEDIES = {"anew", "swift"}
"""Values that are compared, not read: the remedy of a finding, the suffix of a language's files."""
QUOTING = {"CONTRIBUTING.md"}
"""Pages that quote the words not to use."""
PAGES = ("README.md", ".github/**/*.md", "resources/docs/en/*.md", "resources/learn/en/*.md")


def sources() -> Iterator[Path]:
    for folder in ("llm_studio", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield ROOT / "build.spec"


def parts_of(name: str) -> list[str]:
    """The words in a name: `stop_asked`, `TrialApart`."""
    return re.findall(r"[a-z]+|[A-Z][a-z]*", name.replace("_", " "))


def test_names_use_the_fields_words() -> None:
    found: list[str] = []
    for path in sources():
        name = str(path.relative_to(ROOT))
        allowed = {word for place, words in ALLOWED.items() if name.startswith(place) for word in words}
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        names = {token.string for token in tokens if token.type == tokenize.NAME} | {path.stem}
        wrong = ((identifier, {p.lower() for p in parts_of(identifier)} & set(IDENTIFIERS)) for identifier in names)
        found += [f"{name}: {identifier}" for identifier, words in wrong if words - allowed]
    assert not found, "\n" + "\n".join(sorted(found))


def prose(path: Path) -> str:
    """Comments and strings of a module; all of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def test_sentences_use_the_fields_words() -> None:
    found: list[str] = []
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern)) if path.name not in QUOTING]
    for path in [*(path for path in sources() if path.parts[len(ROOT.parts)] != "tests"), *pages]:
        text, name = prose(path), str(path.relative_to(ROOT))
        for pattern, better in PROSE.items():
            matches = re.finditer(rf"\b({pattern})\b", text, re.IGNORECASE)
            found += [
                f"{name}: {text[max(0, match.start() - 25) : match.end() + 25]!r} → {better}"
                for match in matches if match[0] not in REMEDIES
            ]  # fmt: skip
    assert not found, "\n" + "\n".join(found)
