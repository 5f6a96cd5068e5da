"""The language of the code: the field's own words (.github/CONTRIBUTING.md has the glossary), none of a private dialect."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.structure import ROOT

IDENTIFIERS = {
    # left: parts of names, between underscores or capitals; right: what to write instead
    "told": "message, reported", "tell": "report", "teller": "reporter", "telling": "report", "anew": "again, re-",
    "mend": "fix", "mended": "fixed", "likeliest": "most_likely", "swift": "fast", "keeper": "writer",
    "wish": "request", "fares": "health", "onlooker": "null writer", "stretch": "span", "patiently": "retry",
    "asked": "requested", "arriving": "buffer", "apart": "subprocess, worker",
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
}  # fmt: skip
"""Expressions that no comment, docstring, message or English page contains."""

ALLOWED = {
    # path: names that stay, with the reason
    "llm_studio/ui/tabs/training/doctor.py": {"anew"},  # the name of a remedy, as it was since the first version
    "llm_studio/ui/tabs/training/run_controller.py": {"anew"},
    "llm_studio/training/health/doctor.py": {"anew"},
    "llm_studio/workflows/training/run_health.py": {"anew"},
    "tests/test_words.py": set(IDENTIFIERS),
}
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
        allowed = ALLOWED.get(name, set())
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        names = {token.string for token in tokens if token.type == tokenize.NAME} | {path.stem}
        for identifier in sorted(names):
            for word in {part.lower() for part in parts_of(identifier)} & set(IDENTIFIERS) - allowed:
                found.append(f"{name}: {identifier} → {IDENTIFIERS[word]}")
    assert not found, "\n" + "\n".join(found)


def prose(path: Path) -> str:
    """Comments and strings of a module; all of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def test_sentences_use_the_fields_words() -> None:
    found: list[str] = []
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    for path in [*(path for path in sources() if path.parts[len(ROOT.parts)] != "tests"), *pages]:
        name = str(path.relative_to(ROOT))
        text = prose(path)
        for pattern, better in PROSE.items():
            for match in re.finditer(rf"\b({pattern})\b", text, re.IGNORECASE):
                if match[0].lower() not in ALLOWED.get(name, set()):
                    found.append(f"{name}: “{text[max(0, match.start() - 20) : match.end() + 20]!r}” → {better}")
    assert not found, "\n" + "\n".join(found)
