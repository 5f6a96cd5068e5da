"""Reading the moments of a run, for window and command line; runs of earlier versions have some, too."""

import itertools
import json
import os
import time
from pathlib import Path

import pytest

from llm_studio.cli.app import main
from llm_studio.errors import ProjectError
from llm_studio.events import Evaluated, MomentStored, SampleWritten, StepDone, to_json
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import log, moments, registry, snapshots
from llm_studio.runs.log_index import LogIndex
from llm_studio.runs.moments import Candidate, GreedyText, Moment
from llm_studio.workflows.training.moments import read_moments
from llm_studio.workflows.training.train import train
from tests.runs.models import empty_project, save_checkpoint, save_run, save_snapshot


@pytest.fixture
def trained(project: Project) -> Project:
    changes = {"training.sample_prompts": ["Once upon", "The"], "training.max_steps": 20}
    train(project, Job(), run="a", changes=changes)
    return project


def test_each_moment_has_texts_figures_and_weights(trained: Project) -> None:
    found = read_moments(trained)
    assert found == read_moments(trained, "a") and not found.from_samples
    assert [moment.step for moment in found.moments] == list(range(21))
    steps = {r["step"]: r for r in log.read(trained.log_file("a")) if r["event"] == "step"}
    evaluated = {r["step"]: r for r in log.read(trained.log_file("a")) if r["event"] == "evaluation"}
    for moment in found.moments:
        assert moment.has_weights and found.nearest_weights(moment.step) == moment.step
        assert moment.loss == pytest.approx(steps[min(20, moment.step + 1)]["loss"]), "measured before the update"
        assert moment.tokens == (steps[moment.step]["tokens"] if moment.step else 0)
        last = evaluated[max(step for step in evaluated if step <= moment.step)] if moment.step >= 5 else {}
        assert moment.validation_loss == last.get("loss") and moment.bits_per_byte == last.get("bits_per_byte")
    seconds = [moment.seconds for moment in found.moments if moment.seconds is not None]
    assert seconds == sorted(seconds) and seconds
    assert found.prompts() == ("Once upon", "The")


def test_a_run_of_an_earlier_version_has_the_samples_of_its_evaluations(trained: Project) -> None:
    folder = registry.folder(trained, "a")
    (folder / moments.FILE).unlink()
    for step, path in snapshots.listed(folder).items():
        if step not in (0, 3, 10):
            path.unlink()
    found = read_moments(trained, "a")
    samples = [r for r in log.read(trained.log_file("a")) if r["event"] == "sample"]
    assert found.from_samples and len(samples) == 8
    assert {moment.step: moment.has_weights for moment in found.moments} == {
        0: True, 3: True, 5: False, 10: True, 15: True, 20: True,  # two of them checkpoints
    } | ({5: True} if (folder / "step-000005").exists() else {})  # fmt: skip
    texts = {(moment.step, text.prompt): text.text for moment in found.moments for text in moment.texts}
    assert texts == {(r["step"], r["prompt"]): r["text"] for r in samples}
    assert all(not text.ids and not text.top for moment in found.moments for text in moment.texts)
    assert found.nearest_weights(4) == 3 and found.nearest_weights(10**6) == 20


def test_a_run_without_anything_has_no_moments_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    project = empty_project(tmp_path)
    with pytest.raises(ProjectError, match="no trained model yet"):
        read_moments(project)
    save_run(project, "old", "2026-01-01T00:00:00.000+00:00")
    found = read_moments(project)
    assert found.moments == () and found.nearest_weights(3) is None and found.run == "old"
    save_snapshot(project, "old", 7)
    save_checkpoint(project, "old", 9)
    assert [(m.step, m.has_weights, m.texts) for m in read_moments(project).moments] == [(7, True, ())]
    assert read_moments(project).weights == (7, 9)
    with pytest.raises(ProjectError, match="no run “other”"):
        read_moments(project, "other")


def long_run(project: Project, steps: int) -> None:
    """Write a run with a log of `steps` steps, and its moments."""
    save_run(project, "long", "2026-01-01T00:00:00.000+00:00")
    text = GreedyText("Once", tuple(range(48)), (" word",) * 48, (0.1234,) * 48, False,
                      tuple(Candidate(place, " word", 0.0123) for place in range(10)))  # fmt: skip
    with project.log_file("long").open("w", encoding="utf-8") as stream:
        for step in range(1, steps + 1):
            stream.write(to_json(StepDone(step, 5 - step / steps, 3e-4, 1.234567, step * 2048, 12345.678, 1.5)) + "\n")
            if step % 500 == 0:
                stream.write(to_json(Evaluated(step, 4.0, True, 1.25)) + "\n")
                stream.write(to_json(SampleWritten(step, "Once", '"event": "evaluation"')) + "\n")
            if moments.is_due(step, steps):
                moments.append(registry.folder(project, "long"), Moment(step, step * 2048, (text, text)))
                stream.write(to_json(MomentStored(step, step * 2048, step / 10)) + "\n")


def test_a_log_of_a_hundred_thousand_steps_is_not_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = empty_project(tmp_path)
    project.log_file("long").parent.mkdir(parents=True, exist_ok=True)
    long_run(project, 100_000)
    parsed, real = 0, log.parse

    def counted(line: bytes) -> dict[str, object] | None:
        nonlocal parsed
        parsed += 1
        return real(line)

    monkeypatch.setattr("llm_studio.runs.log_index.parse", counted)
    began = time.perf_counter()
    found = read_moments(project, "long")
    print(f"{len(found.moments)} moments in {1000 * (time.perf_counter() - began):.0f} ms, {parsed} lines parsed")
    assert parsed < 4000 and 60 <= len(found.moments) <= 75
    for moment in found.moments:
        assert moment.loss == pytest.approx(5 - (moment.step + 1) / 100_000, abs=1e-3)
        assert moment.seconds == moment.step / 10
        assert (moment.bits_per_byte == 1.25) == (moment.step >= 500)


@pytest.mark.parametrize(
    "content", ["", "nonsense\n", '{"v": 1, "event": "step", "step": 3, "loss": null}\n{"v": 1, "ev']
)
def test_a_damaged_log_gives_what_is_left(tmp_path: Path, content: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(content, encoding="utf-8")
    with LogIndex(path) as index:
        assert list(index.records("evaluation")) == []
        assert len(index.steps_near(3, 0)) == ("null" in content)
    with LogIndex(tmp_path / "absent") as absent:
        assert absent.steps_near(3, 5) == []


WRONG = [None, True, -1, "3", [1], {"a": 1}, 10**30, 1.5]


def test_a_figure_of_another_type_in_the_log_is_unknown(trained: Project) -> None:
    path = trained.log_file("a")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = ["step", "seconds", "tokens", "loss", "bits_per_byte", "prompt", "text"]
    for name, value in itertools.product(names, WRONG):
        changed = [json.dumps({**record, name: value} if name in record else record) for record in records]
        path.write_text("\n".join(changed) + "\n", encoding="utf-8")
        found = read_moments(trained)
        assert [moment.step for moment in found.moments][-1] == 20 and not found.problem
        for moment in found.moments:
            figures = (moment.tokens, moment.seconds, moment.loss, moment.validation_loss, moment.bits_per_byte)
            assert all(figure is None or isinstance(figure, int | float) for figure in figures)


@pytest.mark.parametrize("way", ["folder", "pipe", "huge"])
def test_a_log_that_can_not_be_read_leaves_the_texts_and_is_named(
    way: str, trained: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    before, path = read_moments(trained), trained.log_file("a")
    if way == "huge":
        os.truncate(path, log.MOST_BYTES + 1)
    else:
        path.unlink()
        path.mkdir() if way == "folder" else os.mkfifo(path)
    found = read_moments(trained)
    assert [moment.texts for moment in found.moments] == [moment.texts for moment in before.moments]
    assert path.name in found.problem
    assert main(["moments", str(trained.root)]) == 0
    assert path.name in capsys.readouterr().err


# --- The command ----------------------------------------------------------------------------------------------


def test_the_command_shows_one_text_as_it_develops(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["moments", str(trained.root), "a", "--prompt", "2"]) == 0
    shown = capsys.readouterr().out
    assert "21 moments, the weights of 21 of them" in shown and "“The”" in shown
    last = moments.read(registry.folder(trained, "a"))[-1].texts[1].text
    line = next(line for line in shown.splitlines() if line.split()[:1] == ["20"])
    assert line.endswith(last.replace("\n", "↵").rstrip()) and "•" in line
    assert main(["moments", str(trained.root), "--prompt", "3"]) == 2


def test_scripts_get_everything(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["moments", str(trained.root), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures["run"] == "a" and figures["weights"] == list(range(21)) and not figures["from_samples"]
    text = figures["moments"][20]["texts"][0]
    assert "".join(text["pieces"]) == moments.read(registry.folder(trained, "a"))[-1].texts[0].text
    assert len(text["top"]) == 10 and set(text["top"][0]) == {"id", "text", "probability"}


def test_that_they_are_samples_is_said(trained: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (registry.folder(trained, "a") / moments.FILE).unlink()
    assert main(["moments", str(trained.root)]) == 0
    shown = capsys.readouterr()
    assert "earlier version" in shown.err and "“Once upon”" in shown.out
