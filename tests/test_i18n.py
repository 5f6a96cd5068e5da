"""The catalogue is complete and up to date, and numbers are formatted for the language."""

import ast
import re
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from llm_studio import i18n
from llm_studio.paths import resource
from tests.catalogue import catalogues, faults, source_messages

BREAKABLE = re.compile(r"\S [:;!?»](?=\s|$)|« |[\d}] (?=(?:%|Mo|Go|ko|ms|min|°C|Wh?)(?!\w))")
"""A breaking space before a French punctuation mark or between a number and its unit."""


@pytest.mark.parametrize("path", catalogues(), ids=lambda p: p.parts[-3])
def test_nothing_is_missing_fuzzy_stale_or_not_compiled(path: Path) -> None:
    assert faults(path) == []


def test_every_language_has_a_catalogue() -> None:
    assert {path.parts[-3] for path in catalogues()} == set(i18n.LANGUAGES) - {"en"}


def french() -> list[str]:
    """The French messages of the catalogue, and the paragraphs of the lessons and documents, without code."""
    with (resource("i18n") / "fr" / "LC_MESSAGES" / "llm_studio.po").open("rb") as stream:
        found = [text for message in read_po(stream) if message.id for text in
                 (message.string if isinstance(message.string, tuple) else [str(message.string)])]  # fmt: skip
    for folder in ("learn", "docs"):
        for page in sorted((resource(folder) / "fr").glob("*.md")):
            prose = re.sub(r"^```.*?^```|^\|[-:| ]+\|$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
            found += re.sub(r"`[^`\n]*`", "`", prose).splitlines()
    return found


def test_french_marks_and_units_never_part_from_what_precedes_them() -> None:
    assert [text for text in french() if BREAKABLE.search(text)] == []


@pytest.mark.parametrize(
    "name, code", [("fr_FR.UTF-8", "fr"), ("fr-CA", "fr"), ("en_GB", "en"), ("de_DE", "en"), ("C", "en")]
)
def test_the_systems_language_is_spoken_or_english(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LLM_STUDIO_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", name)
    assert i18n.system_language() == code


def test_numbers_sizes_and_times_are_written_for_people() -> None:
    assert [i18n.number(12400.5, 1), i18n.short_number(142_000), i18n.short_number(8_400_000)] == [
        "12,400.5",
        "142\u00a0k",
        "8.4\u00a0M",
    ]
    assert [i18n.percent(0.125, 1), i18n.percent(1)] == ["12.5\u00a0%", "100\u00a0%"]
    assert [i18n.percent(p, 1) for p in (0, 0.0001, 0.0005)] == ["0.0\u00a0%", "<\u00a00.1\u00a0%", "0.1\u00a0%"]
    assert [i18n.percent(p) for p in (0, 0.003, 0.006)] == ["0\u00a0%", "<\u00a01\u00a0%", "1\u00a0%"]
    assert [i18n.size(1_100_000), i18n.size(312)] == ["1.1\u00a0MB", "312\u00a0B"]
    assert [i18n.duration(s) for s in (42, 200, 3840)] == [
        "42\u00a0s",
        "3\u00a0min\u00a020\u00a0s",
        "1\u00a0h\u00a004\u00a0min",
    ]
    assert [i18n.energy(j) for j in (180, 155_000, 4_320_000)] == ["0.1\u00a0Wh", "43.1\u00a0Wh", "1.2\u00a0kWh"]
    i18n.activate("fr")
    assert [i18n.number(12400.5, 1), i18n.size(1_100_000)] == ["12\u202f400,5", "1,1\u00a0Mo"]
    assert [i18n.short_number(142_000), i18n.duration(200)] == ["142\u00a0k", "3\u00a0min\u00a020\u00a0s"]


def test_plurals_follow_the_language() -> None:
    i18n.activate("fr")
    assert i18n.ngettext("{n} document", "{n} documents", 0).format(n=0) == "0 document"
    assert i18n.ngettext("{n} document", "{n} documents", 2).format(n=2) == "2 documents"


def _literals(node: ast.expr) -> list[str]:
    """The possible texts of an expression: that of `_("...")`, or both of a conditional expression."""
    if isinstance(node, ast.IfExp):
        return [*_literals(node.body), *_literals(node.orelse)]
    marked = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args
    if marked and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
        return [node.args[0].value]  # type: ignore[attr-defined]
    return []


def _unfilled(function: ast.AST) -> list[str]:
    """Messages in a function that are formatted without a value for one of their placeholders."""
    nodes = [node for node in ast.walk(function) if not isinstance(node, ast.Lambda)]
    assigned: dict[str, list[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).extend(_literals(node.value))
    found: list[str] = []
    for node in nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"):
            continue
        given, base = {keyword.arg for keyword in node.keywords}, node.func.value
        texts = assigned.get(base.id, []) if isinstance(base, ast.Name) else _literals(base)
        for text in texts if None not in given else []:
            wanted = {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}
            found += [text] if wanted - given else []
    return found


def test_every_placeholder_is_filled() -> None:
    found: list[str] = []
    for path in sorted((Path(__file__).parents[1] / "llm_studio").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        found += [f"{path.name}: {text}" for function in functions for text in _unfilled(function)]
    assert not found


PARTED = re.compile(r"[\d}] (?:%|°C|[kMG]?B|ms|s|min|h|k?Wh?|[GM]Hz|tokens/s|px)(?![\w’'])")
"""A number and its unit, separated by a breaking space."""


def test_no_english_message_parts_a_number_from_its_unit() -> None:
    messages = [str(message.id) for message in source_messages()]
    assert len(messages) > 1000
    assert not [text for text in messages if PARTED.search(text)]


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_no_lesson_parts_a_number_from_its_unit(language: str) -> None:
    for path in resource("learn", language).glob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not [line for line in prose.splitlines() if PARTED.search(line)], path.name
