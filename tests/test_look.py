"""`llm-studio look`, and files of any kind through `download`."""

import json
from pathlib import Path

import pytest

from llm_studio.cli.app import main
from llm_studio.data.sources import store
from tests.data.making import rows, written, zipped

TEXTS = [f"Story {n}: a fox ran over the hill, and slept." for n in range(20)]


def test_a_look_is_a_table_for_people_and_json_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "a.csv", rows(TEXTS, ";", ["id", "title", "tale"]))
    assert main(["look", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "tale (guessed)" in shown
    assert TEXTS[0] in shown
    assert main(["look", str(path), "--json", "--text-field", "title"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert (figures["text_field"], figures["field_guessed"]) == ("title", False)
    assert figures["documents"] == ["1"] * 5
    assert figures["columns"][2]["name"] == "tale"


def test_a_look_at_what_is_not_there_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["look", str(tmp_path / "ghost.csv")]) == 1
    assert "ghost.csv" in capsys.readouterr().err


def test_an_archive_is_downloaded_with_its_column_and_its_failures_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "p")
    assert main(["new", root, "--preset", "nano"]) == 0
    path = written(tmp_path, "a.zip", zipped({"a.csv": rows(TEXTS, names=["title", "id", "tale"]), "b.txt": b"\0"}))
    assert main(["download", root, "--dataset", str(path), "--text-field", "tale"]) == 0
    assert "b.txt is not a text file" in capsys.readouterr().err
    (source,) = store.list_sources(tmp_path / "p" / "data" / "raw")
    assert (source.name, source.documents, source.options["text_field"]) == ("a", 20, "tale")
    assert any("b.txt" in note for note in source.notes)
