"""A new user's first hour, in small: the whole way of `tests/ui/first_hour.py`, with a few stories and seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from llm_studio.data.sources.stories.grammar import generate_stories
from tests.ui.screen import missing


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or bool(missing()), reason="no Xvfb, or not all that Qt needs there")
def test_a_new_user_ends_with_a_model_that_writes(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts", tmp_path / "out"
    texts.mkdir()
    for number, story in enumerate(generate_stories("en", 60, 1)):
        (texts / f"{number}.txt").write_text(str(story) * 20, encoding="utf-8")
    command = [sys.executable, "-m", "tests.ui.first_hour", str(out), "--language", "en", "--texts", str(texts),
               "--minutes", "0.05"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first words of its own" in done.stdout
    assert "it writes again" in done.stdout
    assert len(list(out.glob("example-en-*.png"))) >= 9
    assert len(list(out.glob("texts-en-*.png"))) >= 25
    samples = [path.read_text(encoding="utf-8") for path in out.glob("samples-*.txt")]
    assert len(samples) >= 2, "of the example and of the texts; more minutes may leave the best model as it is"
    assert all("———" in text for text in samples)
