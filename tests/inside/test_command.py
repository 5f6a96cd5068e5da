"""The command `inspect`: every view's numbers, for people and for scripts."""

import dataclasses
import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_studio import i18n
from llm_studio.cli.app import DONE, PROBLEM, WRONG_USAGE, main
from llm_studio.cli.inside import tables
from llm_studio.cli.inside.views import VIEWS
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.inside.session import open_session

TEXT = "Once upon a time, a fox"
PAGE = Path(__file__).parents[2] / "resources" / "docs" / "en" / "inspect.md"


@pytest.fixture
def root(inside_project: Project) -> str:
    return str(inside_project.root)


def figures(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["inspect", *arguments, "--json"]) == DONE
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "done" and last["v"] == 1
    return last["figures"]


def shape(value: Any) -> Any:
    """The keys of records within records, of a list those of its first entry."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [shape(value[0])]
    return None


def test_the_documented_json_has_the_shape_of_the_real_one(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    found = figures(capsys, root, "--text", TEXT, "--view", "all")
    assert shape(found) == shape(json.loads(block[1]))
    off = figures(capsys, root, "--text", "Once", "--view", "ablation", "--off", "L1H1")["ablation"]
    documented = re.search(r"`ablation` is `\{(.*?)\}`", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert documented and list(off) == re.findall(r'"(\w+)"', documented[1])


@pytest.mark.parametrize("checkpoint", ["rope/20", "gpt2"])
def test_json_holds_the_numbers_of_the_session(
    inside_project: Project, checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figures(capsys, str(inside_project.root), "--text", TEXT, "--view", "all", "--checkpoint", checkpoint,
                    "--count", "3")  # fmt: skip
    session = open_session(inside_project, Job(), checkpoint)
    surprise = session.surprise(TEXT, Job())
    assert "".join(token["text"] for token in found["tokens"]) == TEXT
    assert [one["bits"] for one in found["surprise"]["tokens"]] == pytest.approx(surprise.bits[1:].tolist(), abs=1e-4)
    assert found["surprise"]["bits_per_byte"] == pytest.approx(surprise.bits_per_byte, abs=1e-4)
    for one in found["surprise"]["tokens"]:
        assert one["probability"] == pytest.approx(2 ** -one["bits"], abs=1e-6) and len(one["expected"]) == 3
    assert len(found["attention"]["heads"]) == 4
    for head in found["attention"]["heads"]:
        for n, row in enumerate(head["weights"]):
            assert len(row) == n + 1 and sum(row) == pytest.approx(1, abs=2e-3)
    lens = found["lens"]["layers"]
    assert [layer["layer"] for layer in lens] == [0, 1, 2]
    assert lens[-1]["predictions"][-1]["guesses"] == found["surprise"]["next"]
    assert lens[-1]["predictions"][-1]["bits"] is lens[-1]["predictions"][-1]["rank"] is None
    parts = found["contributions"]
    total = parts["embedding"] + parts["positions"] + parts["norm_bias"]
    total += sum(one["contribution"] for one in parts["heads"])
    total += sum(one["attention_bias"] + one["feed_forward"] for one in parts["layers"])
    assert total == pytest.approx(parts["logit"], abs=1e-3)
    assert math.isfinite(found["ablation"]["parts"][0]["change"]) and len(found["ablation"]["parts"]) == 8


def test_all_views_of_a_model_without_texts_leave_out_what_needs_them(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root, tmp_path / "opened")
    shutil.rmtree(tmp_path / "opened" / "data" / "processed")
    found = figures(capsys, str(tmp_path / "opened"), "--text", TEXT, "--view", "all")
    assert {*VIEWS} - {*found} == {"ablation"} and found["lens"]
    assert main(["inspect", str(tmp_path / "opened"), "--text", TEXT, "--view", "ablation"]) == PROBLEM


def test_every_moment_of_a_run_can_be_inspected(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, name in (
        ((), "rope/step-000020"), (("--step", "3"), "rope/step-000003"),
        (("--checkpoint", "gpt2", "--step", "10"), "gpt2/step-000010"),
    ):  # fmt: skip
        assert figures(capsys, root, "--text", "a", *arguments)["model"]["name"] == name


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_view_has_a_table(root: str, view: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    i18n.activate(language)
    assert main(["inspect", root, "--text", TEXT * 3, "--view", view]) == DONE
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_the_text_is_shown_and_can_come_from_standard_input(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("by the\nsea"))
    assert main(["inspect", root, "--text", "-"]) == DONE
    out = capsys.readouterr().out
    assert out.startswith("by the\nsea\n") and "bits/byte" in out and "\x1b" not in out


def test_the_more_surprising_a_token_the_stronger_its_tint(inside_project: Project) -> None:
    found = open_session(inside_project, Job(), "rope").surprise("abcd", Job())
    bits = np.array([np.nan, 0.5, 3.0, 6.0, 12.0], dtype=np.float32)
    parts = tables.tinted(dataclasses.replace(found, bits=bits))
    assert "".join(text for text, _style in parts).startswith("abcd\n")
    styles = [style for _text, style in parts[:4]]
    assert styles[0] == "" and len(set(styles)) == 4


def test_one_head_and_one_layer_are_filtered(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(
        capsys, root, "--text", TEXT, "--view", "attention", "--view", "lens", "--layer", "2", "--head", "1"
    )
    assert [(one["layer"], one["head"]) for one in found["attention"]["heads"]] == [(2, 1)]
    assert [one["layer"] for one in found["lens"]["layers"]] == [2]


def test_contributions_explain_one_token_against_another(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, root, "--text", TEXT, "--view", "contributions", "--token", "#300", "--versus", "#301",
                    "--position", "2")["contributions"]  # fmt: skip
    assert (found["token"]["id"], found["versus"]["id"], found["position"]) == (300, 301, 2)
    ratio = found["token"]["probability"] / found["versus"]["probability"]
    assert found["logit"] == pytest.approx(math.log(ratio), abs=1e-3)


@pytest.mark.parametrize("arguments, message", [
    (["--text", "a", "--position", "7"], "There is no position 7. Choose a number from 0 to 1."),
    (["--text", "a", "--view", "attention", "--layer", "3"], "There is no layer 3. Choose a number from 1 to 2."),
    (["--text", "a", "--view", "attention", "--head", "0"], "There is no head 0."),
    (["--text", "a", "--step", "4"], "There is no checkpoint of step 4."),
    (["--view", "embeddings", "--token", "unheard-of"], "is not a token of this model"),
    (["--view", "ablation", "--off", "L9"], "This model has no “L9”."),
])  # fmt: skip
def test_a_problem_is_explained(
    root: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", root, *arguments]) == PROBLEM
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--view", "lens"], ["--text", "a", "--view", "mirror"], ["--count", "0"]])
def test_wrong_usage_is_2(root: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", root, *arguments]) == WRONG_USAGE
    assert capsys.readouterr().err
