"""The curves of a run: read from its log, smoothed, compared with n-gram baselines, written as CSV."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_studio.errors import Cancelled
from llm_studio.events import CheckpointSaved, Evaluated, Event, RunStarted, SampleWritten, StepDone, to_json
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs.log import cut_after
from llm_studio.workflows.generation import favourites
from llm_studio.workflows.generation.favourites import Favourite
from llm_studio.workflows.training import curves, curves_csv, runs
from llm_studio.workflows.training.baselines import baselines
from llm_studio.workflows.training.footprint import footprint


def step(number: int, loss: float = 2.0) -> StepDone:
    return StepDone(number, loss, 1e-3, 0.5, number * 64, 1000.0, 10.0)


def begun(at: int = 0) -> RunStarted:
    return RunStarted("a", at, 10, 100, "cpu", "float32", 2, "tokens")


def story() -> list[Event]:
    events: list[Event] = [begun()]
    for number in range(1, 11):
        events.append(step(number, 5 - number / 10))
        if number % 5 == 0:
            events += [Evaluated(number, 4.0 - number / 10, True, 2.0 - number / 20),
                       SampleWritten(number, "Once", f" text {number}"),
                       CheckpointSaved(number, f"step-{number:06d}", 100, 0.1)]  # fmt: skip
    return events


def taken(events: list[Event]) -> curves.Curves:
    made = curves.Curves("a")
    for event in events:
        made.take(event)
    return made


def summary(known: curves.Curves) -> object:
    return (
        [known.steps.column(index).tolist() for index in range(6)],
        known.evaluations.column(0).tolist(), known.checkpoints, known.samples, known.max_steps, known.data,
    )  # fmt: skip


def test_a_log_read_tells_the_same_as_the_events_heard(project: Project) -> None:
    lines = "\n".join(to_json(event) for event in story())
    project.logs.mkdir(exist_ok=True)
    project.log_file("a").write_text(lines + '\n{"v": 1, "event": "st', encoding="utf-8")  # cut off by a crash
    assert summary(curves.read(project, "a", Job())) == summary(taken(story()))
    assert taken(story()).best_loss == 3.0
    assert taken(story()).validation_at(5) == 3.5
    assert taken(story()).validation_at(6) is None


def test_damaged_lines_of_a_log_are_counted_and_said(project: Project) -> None:
    lines = [to_json(event) for event in story()]
    project.logs.mkdir(exist_ok=True)
    project.log_file("a").write_text("\n".join([*lines, '{"v": 1, "event": "st']), encoding="utf-8")
    assert curves.read(project, "a", Job()).damage is None  # steps of a line cut off by a crash are repeated
    lines[3], lines[5] = lines[3].replace('"step"', '"st', 1), "[" * 100_000
    project.log_file("a").write_text("\n".join([*lines, ""]), encoding="utf-8")
    read = curves.read(project, "a", Job())
    assert read.damage and "2 lines of the log of “a” are damaged" in read.damage.text
    assert read.story.count(read.damage) == 1 and read.last_step == taken(story()).last_step


def read_further(project: Project, known: curves.Curves) -> int | None:
    """Add the new events in a run's log; returns their number, None if the log must be read again."""
    assert known.place is not None
    news = curves.news(project, "a", known.place, Job())
    if news is None:
        return None
    for event in news.events:
        known.take(event)
    known.place = news.end
    return len(news.events)


def test_a_log_that_grows_is_read_from_where_it_was(project: Project) -> None:
    lines = "".join(to_json(event) + "\n" for event in story())
    project.logs.mkdir(exist_ok=True)
    log = project.log_file("a")
    parts = [lines[:500], lines[500:520], lines[520:1200], "", lines[1200:]]  # most end within a line
    log.write_text(parts[0], encoding="utf-8")
    known = curves.read(project, "a", Job())
    taken_in: list[int | None] = []
    for part in parts[1:]:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(part)
        taken_in.append(read_further(project, known))
    assert summary(known) == summary(taken(story()))
    assert taken_in[2] == 0
    assert sum(count or 0 for count in taken_in) + parts[0].count("\n") == len(story()), "no line is read twice"


def test_a_log_that_was_cut_or_is_another_one_is_read_again(project: Project) -> None:
    project.logs.mkdir(exist_ok=True)
    log = project.log_file("a")
    log.write_text("".join(to_json(step(number)) + "\n" for number in range(1, 51)), encoding="utf-8")
    known = curves.read(project, "a", Job())
    cut_after(log, 45)
    assert read_further(project, known) is None
    with log.open("a", encoding="utf-8") as stream:  # at another speed
        stream.writelines(to_json(replace(step(n), tokens_per_second=999.5)) + "\n" for n in range(46, 90))
    assert read_further(project, known) is None
    known = curves.read(project, "a", Job())
    assert known.last_step == 89
    log.unlink()
    assert read_further(project, known) is None
    known = curves.read(project, "a", Job())
    assert known.last_step == 0
    assert read_further(project, known) is None, "there is nothing yet to go on from"


def test_where_much_was_added_a_log_is_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "_MAX_NEW_BYTES", 1000)
    project.logs.mkdir(exist_ok=True)
    with project.log_file("a").open("w", encoding="utf-8") as log:
        log.write(to_json(step(1)) + "\n")
        log.flush()
        known = curves.read(project, "a", Job())
        log.writelines(to_json(step(number)) + "\n" for number in range(2, 30))
    assert read_further(project, known) is None


def test_logs_without_bits_per_byte_can_still_be_read(project: Project) -> None:
    project.logs.mkdir(exist_ok=True)
    old = [begun(), step(1), step(2)]
    lines = [to_json(event) for event in old]
    lines.append('{"v": 1, "event": "evaluation", "step": 2, "loss": 3.5, "best": true}')
    project.log_file("a").write_text("\n".join(lines), encoding="utf-8")
    known = curves.read(project, "a", Job())
    assert (known.best_loss, known.last_bits_per_byte, known.bits_per_byte_until(2)) == (3.5, None, None)
    known.take(Evaluated(3, 3.4, True, 1.7))  # a newer version has resumed it
    assert (known.last_bits_per_byte, known.bits_per_byte_until(2), known.bits_per_byte_until(9)) == (1.7, None, 1.7)


def test_the_hover_text_shows_the_last_bits_per_byte_measured() -> None:
    known = taken(story())
    assert [known.bits_per_byte_until(at) for at in (4, 5, 9, 10)] == [None, 1.75, 1.75, 1.5]


def test_what_is_heard_twice_counts_once() -> None:
    known = taken(story())
    for event in story()[4:]:
        known.take(event)
    assert summary(known) == summary(taken(story()))


def test_a_resume_takes_later_steps_back() -> None:
    known = taken(story())
    smooth = known.smoothed(curves.LOSS, 0.5).copy()
    known.take(begun(5))
    assert known.last_step == 5
    assert known.checkpoints == [5]
    known.take(step(6, 9.0))
    assert known.smoothed(curves.LOSS, 0.5)[:5] == pytest.approx(smooth[:5])
    assert known.smoothed(curves.LOSS, 0.5)[5] > smooth[5]


def test_smoothing_in_blocks_equals_smoothing_one_by_one() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    for weight in (0.0, 0.5, 0.9, 0.999):
        running, expected = 0.3, []
        for value in values:
            running = weight * running + (1 - weight) * value
            expected.append(running)
        assert curves.moving_sums(values, weight, 0.3) == pytest.approx(expected)


def test_smoothing_as_it_grows_equals_smoothing_at_the_end() -> None:
    whole, growing = curves.Curves("a"), curves.Curves("a")
    losses = np.random.default_rng(2).normal(3, 1, size=700)
    losses[100] = math.nan
    for number, loss in enumerate(losses, 1):
        whole.take(step(number, loss))
        growing.take(step(number, loss))
        if number % 7 == 0:
            growing.smoothed(curves.LOSS, 0.9)
    assert growing.smoothed(curves.LOSS, 0.9) == pytest.approx(whole.smoothed(curves.LOSS, 0.9))
    assert not np.isnan(whole.smoothed(curves.LOSS, 0.9)).any()
    assert whole.smoothed(curves.LOSS, 0.9)[0] == pytest.approx(losses[0])  # corrected for the beginning


def test_the_csv_holds_every_step(project: Project, tmp_path: Path) -> None:
    path = curves_csv.export_csv(taken(story()), tmp_path / "curves.csv", Job())
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    assert float(rows[2]["loss"]) == 5 - 3 / 10
    assert rows[3]["validation_loss"] == ""
    assert float(rows[4]["validation_loss"]) == 3.5
    assert (rows[3]["validation_bits_per_byte"], rows[4]["validation_bits_per_byte"]) == ("", "1.75")


def test_reading_a_long_log_can_be_stopped(project: Project) -> None:
    project.logs.mkdir(exist_ok=True)
    project.log_file("a").write_text("\n".join(to_json(step(n)) for n in range(1, 100)), encoding="utf-8")
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled):
        curves.read(project, "a", job)


def test_a_run_without_a_log_has_empty_curves(project: Project) -> None:
    known = curves.read(project, "nothing", Job())
    assert (known.last_step, known.best_loss) == (0, None)
    assert curves.newest_run(project) is None


def test_baselines_are_counted_once_and_kept(project: Project) -> None:
    found = baselines(project, Job())
    assert found is not None
    assert found.chance > found.unigram > found.bigram > 0
    kept = project.processed / "baselines.json"
    assert found.bytes_per_token and found.bits_per_byte(found.chance) == pytest.approx(
        found.chance / math.log(2) / found.bytes_per_token
    )
    kept.write_text(kept.read_text().replace(str(found.bigram), "0.5"))
    again = baselines(project, Job())
    assert again is not None
    assert again.bigram == 0.5
    (project.processed / "meta.json").unlink()
    assert baselines(project, Job()) is None


def test_baselines_of_an_earlier_version_are_counted_again(project: Project) -> None:
    found = baselines(project, Job())
    kept = project.processed / "baselines.json"
    old = json.loads(kept.read_text())
    del old["bytes_per_token"]
    kept.write_text(json.dumps(old))
    assert baselines(project, Job()) == found
    project.tokenizer_file.unlink()
    kept.unlink()
    without = baselines(project, Job())  # without a tokenizer, the bytes per token are unknown
    assert without is not None and found is not None
    assert (without.bigram, without.bits_per_byte(without.bigram)) == (found.bigram, None)


def test_favourites_outlive_their_run(project: Project) -> None:
    one, two = Favourite("a", 5, "Once", " upon", 2.5), Favourite("b", 5, "Once", " there")
    favourites.change(project, one, kept=True)
    assert favourites.change(project, two, kept=True) == (one, two)
    assert favourites.change(project, one, kept=False) == (two,)
    assert favourites.listed(project) == (two,)


def test_a_stopped_run_waits_unless_it_was_set_aside(project: Project) -> None:
    from llm_studio.workflows.training.train import train

    class StopSoon(Job):
        @property
        def stop_requested(self) -> bool:
            return heard.count("step") >= 3

    heard: list[str] = []
    train(project, StopSoon(lambda event: heard.append(event.kind)))
    (run,) = runs.listed(project)
    assert run.state == "stopped"
    assert runs.offers_resume(project, run)
    runs.set_aside(project, run.name)
    assert not runs.offers_resume(project, run)
    runs.unset_aside(project, run.name)
    assert runs.offers_resume(project, run)
    assert curves.read(project, run.name, Job()).last_step == run.step


def test_the_memory_of_this_process_is_reported() -> None:
    taken_now = footprint("cpu")
    assert 1_000_000 < taken_now.used <= taken_now.peak < taken_now.total


def test_the_energy_is_reported_where_a_card_reports_it_and_absent_otherwise() -> None:
    from llm_studio.workflows.machine.gauges import energy_joules, look

    first = energy_joules()
    if not look(Path()).gpus:
        assert first is None and footprint("cpu").joules is None
    elif first is not None:
        assert energy_joules() >= first > 0  # type: ignore[operator]
