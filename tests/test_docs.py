"""The documentation matches the program: paths and link targets exist, commands and labels are those of the program."""

import functools
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from babel.messages.pofile import read_po

from llm_studio import __version__
from tests.windows import package

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    path
    for path in [ROOT / "README.md", *sorted(ROOT.glob(".github/**/*.md")), *sorted(ROOT.glob("resources/docs/*/*.md"))]
    if path.exists()
]
PLACES = ("llm_studio/", "resources/", "tests/", ".github/", ".ci/")
"""A word in backticks that begins with one of these is a path in the repository."""
MANUALS = sorted(ROOT.glob("resources/docs/*/manual.md"))
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """The text of a document without its code blocks."""
    return CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub generates for the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_paths_in_backticks_exist(path: Path) -> None:
    for word in re.findall(r"`([^`\s]+)`", prose(path)):
        if word.startswith(PLACES):
            pattern = re.sub(r"<[^>]*>|NNNN", "*", word).rstrip("/")
            assert any(ROOT.glob(pattern)), f"`{word}` doesn't exist"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_modules_that_are_run_exist(path: Path) -> None:
    for module in re.findall(r"python -m ((?:tests|llm_studio)[\w.]*\w)", path.read_text(encoding="utf-8")):
        place = ROOT.joinpath(*module.split("."))
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith("https://"):
            continue
        file, _hash, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each `llm-studio ...` command in the code blocks: the document and the words of the command."""
    for path in DOCUMENTS:
        for block in CODE.findall(path.read_text(encoding="utf-8")):
            for line in re.findall(r"^llm-studio .+$", block, re.MULTILINE):
                if words := shlex.split(line, comments=True)[1:]:
                    yield name(path), words


def test_commands_and_their_options_exist() -> None:
    from llm_studio.cli.app import build_app

    group: Any = typer.main.get_command(build_app())
    shown = list(commands())
    assert len(shown) > 20
    for path, (command, *arguments) in shown:
        assert command in group.commands, f"{path}: {command}"
        known = {option for parameter in group.commands[command].params for option in parameter.opts}
        for word in arguments:
            assert not word.startswith("--") or word in known, f"{path}: {command} {word}"


@pytest.mark.parametrize("path", MANUALS, ids=name)
def test_labels_in_the_manual_are_those_of_the_window(path: Path) -> None:
    """In a manual, words in italics are labels; `›` leads from a menu to its entry."""
    with (ROOT / "resources/i18n/fr/LC_MESSAGES/llm_studio.po").open("rb") as stream:
        catalogue = read_po(stream)
    french = path.parent.name == "fr"
    shown = {str(message.string if french else message.id).replace("&", "") for message in catalogue if message.id}
    labels = re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", prose(path))
    assert labels
    for label in labels:
        for part in label.split(" › "):
            assert part in shown, f"no label “{part}” in the window"


@pytest.mark.parametrize("path", [
    ROOT / "README.md", *MANUALS,
    *(ROOT / "resources/learn" / language / f"{lesson}.md" for language in ("en", "fr")
      for lesson in ("data", "training", "recipe")),
], ids=name)  # fmt: skip
def test_the_short_way_is_where_a_beginner_looks_for_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ("*Préparer et entraîner*" if path.parent.name == "fr" else "*Prepare and train*") in text
    assert "llm-studio make" in text


def test_manuals_and_change_logs_have_the_same_structure_in_both_languages() -> None:
    for document in ("manual.md", "changes.md", "security.md"):
        outlines: list[list[str]] = []
        for language in ("en", "fr"):
            text = (ROOT / "resources" / "docs" / language / document).read_text(encoding="utf-8")
            outlines.append(re.findall(r"^(#+|- |\||```)", text, re.MULTILINE))
        assert outlines[0] == outlines[1], document


@pytest.mark.parametrize("path", sorted(ROOT.glob("resources/docs/fr/*.md")), ids=name)
def test_french_has_its_no_break_spaces(path: Path) -> None:
    words = re.sub(r"`[^`]*`|\]\([^)]*\)", "", prose(path))
    assert not re.findall(r".*(?: [:;!?»]|« |\w[;!?»]|«[^\u00a0]|\d (?:(?:Mo|Go|ko|M|s|min|h)\b|%)).*", words)


def test_the_change_log_begins_with_this_version() -> None:
    for path in ROOT.glob("resources/docs/*/changes.md"):
        heading = re.search(r"^## (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert heading and heading[1] == __version__, path


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"] == {"path": "llm_studio/__init__.py"}
    assert package.version() == __version__


def test_decision_records_are_numbered_listed_and_complete() -> None:
    folder = ROOT / ".github" / "decisions"
    if not folder.exists():
        pytest.skip("not a checkout")
    records = sorted(folder.glob("[0-9]*.md"))
    listed = re.findall(r"^- \[\d+\]\((.+?)\): (.+)$", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [record.name for record in records] == [file for file, _title in listed]
    for number, (record, (_file, title)) in enumerate(zip(records, listed, strict=True), start=1):
        lines = record.read_text(encoding="utf-8").splitlines()
        assert record.name.startswith(f"{number:04d}-")
        assert lines[0] == f"# {number}. {title}"
        assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
        assert len(lines) <= 40, f"{record.name} is no longer short"


@functools.cache
def modules() -> dict[str, str]:
    """The source of each module of the program."""
    return {name(path): path.read_text(encoding="utf-8") for path in ROOT.glob("llm_studio/**/*.py")}


def naming(pattern: str) -> set[str]:
    """The modules of the program in which a regular expression occurs."""
    return {module for module, source in modules().items() if re.search(pattern, source)}


def test_a_preset_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.config import presets

    shutil.copytree(ROOT / "resources" / "presets", tmp_path / "presets")
    text = (tmp_path / "presets" / "nano.yaml").read_text(encoding="utf-8").partition("\n")[2]
    (tmp_path / "presets" / "pico.yaml").write_text("# Pico: made by a test.\n" + text, encoding="utf-8")
    monkeypatch.setattr(presets, "resource", tmp_path.joinpath)
    presets.presets.cache_clear()
    try:
        assert presets.presets()["pico"].about == "made by a test."
        assert presets.load_preset("pico") == presets.load_preset("nano")
    finally:
        presets.presets.cache_clear()


@pytest.mark.parametrize("sampler", ["top_p", "min_p", "repetition_penalty"])
def test_a_sampler_is_two_modules(sampler: str) -> None:
    """Besides its test and its translation. Named combinations of samplers, and exports, may mention it, too."""
    combinations, exports = "llm_studio/workflows/generation/next_token.py", "llm_studio/export/sampling.py"
    used = naming(rf"\b{sampler}\b") - {combinations, exports}
    assert used == {"llm_studio/config/sections.py", "llm_studio/inference/sampling.py"}


def test_a_reader_is_its_module_and_a_line() -> None:
    """Outside its module, a suffix is named only in the table of kinds; plain text has additional options."""
    from llm_studio.data.sources.readers.kinds import KINDS

    table = "llm_studio/data/sources/readers/kinds.py"
    assert naming(re.escape('".srt"')) == {table}
    for kind in KINDS[:-1]:  # the last one is source code, of any language
        own = kind.read.__module__.replace(".", "/") + ".py"
        elsewhere = {".txt", ".md", ".pdf", ".html", ".log", ".xml"}  # chats as PDF, models as HTML, parts of .docx
        for suffix in set(kind.suffixes) - elsewhere:
            assert naming(re.escape(f'"{suffix}"')) <= {table, own}


def test_github_can_read_its_forms_and_workflows() -> None:
    for path in [*ROOT.glob(".github/**/*.yml"), *ROOT.glob(".pre-commit-config.yaml")]:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert isinstance(loaded, dict), path
        if path.parent.name == "ISSUE_TEMPLATE" and path.name != "config.yml":
            ids = [field["id"] for field in loaded["body"] if field["type"] != "markdown"]
            assert loaded["name"] and loaded["description"] and len(ids) == len(set(ids)) > 0


def test_the_test_command_can_be_found_in_the_readme() -> None:
    """`.ci/run` extracts the code block after the marker."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- test command -->\n```sh\n(.+?)```", text, re.DOTALL)
    assert len(found) == 1 and "pytest" in found[0] and ".venv-test" in found[0]
