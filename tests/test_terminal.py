"""Control codes in texts are shown in a terminal, not interpreted; pipes and files get the texts unchanged."""

import contextlib
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.cli.terminal import visible
from llm_studio.project import Project

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x9b1A\x7f \u202eleft\u2066\ufeff"
SHOWN = "␛]0;owned␇␛[2J␛[31mred␍<U+009B>1A␡ <U+202E>left<U+2066><U+FEFF>"
COLUMN = "\x1b]0;x\x07\x9b1m"
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AK])|\r")
"""The codes of the progress line and of our colours."""


def is_harmless(character: str) -> bool:
    """Whether a terminal shows the character: no control character, none that reorders or hides its neighbours."""
    directions = ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")
    return character in "\n\t" or not (
        unicodedata.category(character) == "Cc"
        or unicodedata.bidirectional(character) in directions
        or character in "\u200e\u200f\u061c\u2028\u2029\ufeff"
    )


@given(st.lists(st.text(st.characters() | st.sampled_from(EVIL))))
def test_no_code_passes_however_it_is_cut_into_parts(parts: list[str]) -> None:
    shown = "".join(map(visible, parts))
    assert all(map(is_harmless, shown))
    assert visible(shown) == shown


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), include_characters="\n\t")))
def test_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "text", ["👩‍💻 नमस्ते क्‍ष می‌خواهم", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"]
)
def test_joiners_of_scripts_and_emoji_stay(text: str) -> None:
    assert visible(text) == text


def test_each_code_has_its_picture() -> None:
    assert visible(EVIL) == SHOWN
    assert visible("a\U000e0041b\u2028") == "a<U+E0041>b<U+2028>"


def on_terminal(*arguments: str, home: Path, stdout: int | None = None) -> str:
    """The output of a command on a pseudo-terminal; without its standard output if that is redirected to `stdout`."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, *arguments], stdin=theirs, stdout=stdout or theirs, stderr=theirs,
                               env=environment(home))  # fmt: skip
    os.close(theirs)
    written = bytearray()
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal raises an error
        while block := os.read(ours, 65536):
            written += block
    os.close(ours)
    process.wait()
    return written.decode().replace("\r\n", "\n")


def environment(home: Path) -> dict[str, str]:
    """Environment variables for English, and for a width at which no line wraps."""
    return {**os.environ, "LLM_STUDIO_HOME": str(home), "LANGUAGE": "en", "LC_ALL": "C.UTF-8", "TERM": "xterm",
            "COLUMNS": "500"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files with codes in their names, columns and texts."""
    made = tmp_path / "texts"
    made.mkdir()
    (made / "a.jsonl").write_text(json.dumps({COLUMN: f"some text {EVIL} and more of it"}), "utf-8")
    (made / "\x1b[1mbad.json").write_text("[" + EVIL, "utf-8")
    return made


needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@needs_pty
def test_a_look_shows_codes_and_obeys_none(folder: Path, tmp_path: Path) -> None:
    written = on_terminal("-m", "llm_studio", "look", str(folder), home=tmp_path)
    assert all(map(is_harmless, OURS.sub("", written)))
    assert "␛[1mbad.json" in written
    assert "␛]0;x␇<U+009B>1m" in written
    assert SHOWN.replace("␍", " ") in written  # in an excerpt white space is one space


@needs_pty
def test_a_pipe_gets_every_byte(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "llm_studio", "look", str(folder)], env=environment(tmp_path),
                          capture_output=True, check=True)  # fmt: skip
    assert COLUMN.encode() in done.stdout
    assert EVIL.replace("\r", " ").encode() in done.stdout
    assert b"\x1b[1mbad.json" in done.stdout


@needs_pty
@pytest.mark.parametrize("arguments", [
    ["look", f"/none/{EVIL.strip()}"], ["look", "--separator", "x", f"--{EVIL}"], [EVIL], ["generate", EVIL],
    ["look", "/none", "--json", f"--text-field={EVIL}"],
])  # fmt: skip
def test_errors_are_shown_without_codes(arguments: list[str], tmp_path: Path) -> None:
    written = on_terminal("-m", "llm_studio", *arguments, home=tmp_path)
    assert all(map(is_harmless, OURS.sub("", written)))
    assert "\x1b[31mred" not in written
    assert len(written) > 20


EVENTS = """
import sys, time
from llm_studio.cli import app, display
from llm_studio.events import *
evil = sys.argv[1]
from llm_studio.cli.runner import running
from llm_studio.cli.terminal import visible_output
with visible_output(), running(False) as job:
    job.report(Progress("reading " + evil, 1, 2, evil))
    print("beside the progress " + evil, file=sys.stderr)
    job.report(Notice(evil, "warning", evil))
    job.report(SampleWritten(1, evil, evil))
    job.report(RunStarted(evil, 1, 2, 3, evil, evil, 1, evil))
    job.report(Progress("[red]reading[/red]", 1, 2, evil))
    for character in evil + "end":
        job.report(TextWritten(character))
    job.report(Failed("x", evil))
    job.report(Done(evil, evil))
"""


@needs_pty
def test_whatever_a_job_reports_is_shown_without_codes(tmp_path: Path) -> None:
    written = on_terminal("-c", EVENTS, EVIL, home=tmp_path)
    assert all(map(is_harmless, OURS.sub("", written)))
    assert "\x1b[31mred" not in written
    assert SHOWN + "end\n" in written  # the model's text, written character by character
    assert "[red]reading[/red]" in written
    assert OURS.sub("", written).count(SHOWN) >= 10


@needs_pty
def test_with_its_output_in_a_file_only_the_terminal_is_clean(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        written = on_terminal("-c", EVENTS, EVIL, home=tmp_path, stdout=out.fileno())
    assert all(map(is_harmless, OURS.sub("", written)))
    assert (tmp_path / "out").read_bytes().decode() == f"{EVIL}end\n{EVIL}\n→ {EVIL}\n"


@needs_pty
def test_a_prompt_with_codes_is_shown_and_continued(project: Project, tmp_path: Path) -> None:
    from llm_studio.jobs import Job
    from llm_studio.workflows.training.train import train

    train(project, Job(), changes={"training.max_steps": 1})
    ask = ["-m", "llm_studio", "generate", str(project.root), "--prompt", EVIL, "--max-tokens", "4"]
    written = on_terminal(*ask, home=tmp_path)
    assert SHOWN in written
    assert all(map(is_harmless, OURS.sub("", written)))
