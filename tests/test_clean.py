"""`llm-studio clean`: the effect of each rule, on the command line."""

import json
import re
from pathlib import Path

import pytest

from llm_studio.cli.app import DONE, PROBLEM, main
from llm_studio.cli.commands.clean import visible
from llm_studio.project import Project


@pytest.fixture
def root(tmp_path: Path) -> str:
    texts = tmp_path / "texts.txt"
    documents = [f"Document {n} tells of the {'river ' * n}and of nothing else in the world." for n in range(60)]
    documents[3] = "<p>The third one came from a page &amp; still shows it, as anyone can see.</p>"
    documents[4] = documents[5]
    texts.write_text("\n\n".join(documents), encoding="utf-8")
    folder = str(tmp_path / "p")
    assert main(["new", folder, "--preset", "nano", "--lang", "en"]) == DONE
    assert main(["download", folder, "--dataset", str(texts), "--separator", "blank"]) == DONE
    return folder


def test_the_rules_are_listed_in_order_with_counts_and_examples(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["clean", root]) == DONE
    out = capsys.readouterr().out
    names = re.findall(r"data\.(\w+) +(on|off)", out)
    assert names[1] == ("remove_controls", "on") and names[4] == ("remove_html", "off") and len(names) == 13
    assert re.search(r"Remove leftover HTML .* 1 +-\d+\n +– <p>The third .*\n +\+ ⏎The third one", out)
    assert re.search(r"Remove exact duplicates .* 1 +-\d+", out)
    assert "59 of 60 documents" in out
    assert before == {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}


def test_a_script_gets_every_figure(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["clean", root, "--json", "--set", "data.languages=[fr]", "--sample", "1"]) == DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    done = lines[-1]
    rules = {rule["rule"]: rule for rule in done["figures"]["rules"]}
    assert done["event"] == "done"
    assert rules["languages"]["documents"] > 30 and rules["languages"]["on"]
    assert rules["remove_html"]["examples"][0]["before"].startswith("<p>")
    assert any(line["event"] == "rule" for line in lines[:-1])
    assert Project.open(Path(root)).settings().data.languages == ()


def test_rules_are_set_and_set_back_by_config(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", root, "--set", "data.remove_html=true", "--set", "data.languages=[en, no]"]) == DONE
    assert Project.open(Path(root)).settings().data.languages == ("en", "no")
    assert main(["config", root, "--set", "data.languages=[english]"]) == PROBLEM
    assert "“english” is no language code" in capsys.readouterr().err
    assert main(["config", root, "--set", "data.remove_html=false", "--set", "data.languages=[]"]) == DONE
    assert not Project.open(Path(root)).settings().data.remove_html


def test_without_texts_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "empty")
    assert main(["new", folder]) == DONE
    assert main(["clean", folder]) == PROBLEM
    assert "no texts yet" in capsys.readouterr().err


def test_what_nobody_sees_is_written_out() -> None:
    assert visible("a\n\tb\xadc e\u0301\xa0!\x00") == "a⏎⇥b‹00AD›c e‹0301›‹00A0›!‹0000›"
    assert len(visible("x" * 500)) == 100
