"""The timeline of a run: the same moments whatever happened to it, at a known cost, and no weight depends on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.events import Event, MomentStored, Notice, StepDone
from llm_studio.inference.greedy import passes
from llm_studio.inference.load import load_model
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import decisions, locate, moments, registry, snapshots
from llm_studio.runs.moments import Moment
from llm_studio.training import timeline
from llm_studio.training.timeline import Pace, Timeline, plan_texts
from llm_studio.workflows.training.train import train
from tests.training.test_recovery import LONG, poison  # noqa: F401  a fixture
from tests.training.test_resume import DieAt, StopAt, assert_same_weights, records

PROMPTS = {"training.sample_prompts": ["Once upon", "The little girl"]}


def content(project: Project, run: str) -> bytes:
    return (registry.folder(project, run) / moments.FILE).read_bytes()


def stored(project: Project, run: str) -> list[Moment]:
    return moments.read(registry.folder(project, run))


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pace], None]:
    """A machine whose pace is known: on it each moment has texts, unless another pace is given."""

    def set_pace(pace: Pace) -> None:
        def known(_values: object) -> Pace:
            return pace

        monkeypatch.setattr(Pace, "from_dict", staticmethod(known))

    set_pace(Pace(0.1, 0.001))
    return set_pace


@pytest.mark.usefixtures("steady")
def test_each_moment_has_what_the_model_of_that_step_writes(project: Project) -> None:
    said: list[Event] = []
    train(project, Job(said.append), run="a", changes=PROMPTS)
    found = stored(project, "a")
    assert [moment.step for moment in found] == list(range(31))
    assert [event.step for event in said if isinstance(event, MomentStored)] == list(range(31))
    assert [record["step"] for record in records(project, "a", "moment")] == list(range(31))
    tokens = {int(str(record["step"])): record["tokens"] for record in records(project, "a", "step")}
    for moment in (found[5], found[30]):
        assert moment.tokens == tokens[moment.step]
        model = load_model(locate.locate(project, f"a/{moment.step}"), 400, "cpu")
        for text, prompt in zip(moment.texts, ("Once upon", "The little girl"), strict=True):
            assert text.prompt == prompt and len(text.ids) == len(text.pieces) == len(text.probabilities) >= 1
            assert text.top[0].id == text.ids[0] and text.top[0].probability == text.probabilities[0]
            assert len(text.top) == 10 and sum(candidate.probability for candidate in text.top) <= 1.001
            ids = tokenizer_of(project).encode(prompt)
            with torch.no_grad():
                probabilities = model(torch.tensor([[*ids, *text.ids[:-1]]]))[0].softmax(-1)
            for place, (token, probability) in enumerate(zip(text.ids, text.probabilities, strict=True), len(ids) - 1):
                if moment.step == 30:  # of step 5 there is the snapshot alone, in half precision
                    assert int(probabilities[place].argmax()) == token
                assert float(probabilities[place, token]) == pytest.approx(probability, rel=0.05)


def tokenizer_of(project: Project) -> Any:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer

    return Tokenizer.load(project.tokenizer_file)


def nothing(*_arguments: object) -> None:
    """No timeline."""


def test_no_weight_depends_on_them(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    train(project, Job(), run="with", changes=PROMPTS)
    with monkeypatch.context() as patch:
        patch.setattr(Timeline, "record", nothing)
        patch.setattr(Timeline, "write_texts", nothing)
        train(project, Job(), run="without", changes=PROMPTS)
    assert stored(project, "with") and not stored(project, "without")
    assert_same_weights(project, "with", "without")


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("stops", [[7, 20], [3], [12, 13, 29]])
def test_a_stopped_and_resumed_run_has_the_same_file(project: Project, stops: list[int]) -> None:
    train(project, Job(), run="whole", changes=PROMPTS)
    for place, step in enumerate(stops):
        train(project, StopAt(step).job, run="parts", resume=place > 0, changes=PROMPTS if not place else {})
    train(project, Job(), run="parts", resume=True)
    assert content(project, "whole") == content(project, "parts")


@pytest.mark.parametrize("at", [4, 13, 26])
def test_a_killed_run_that_is_resumed_has_the_same_file_as_one_that_repeats_it(project: Project, at: int) -> None:
    """By the real clock: what it has decided is recorded, and repeated."""
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(at)), run="killed", changes=PROMPTS)
    before = content(project, "killed")
    assert train(project, Job(), run="killed", resume=True).finished
    assert content(project, "killed").startswith(before)
    train(project, Job(), run="again", like="killed")
    assert content(project, "again") == content(project, "killed")


@pytest.mark.usefixtures("steady")
def test_what_a_crash_left_of_a_line_and_later_moments_are_cut_and_repeated(project: Project) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        train(project, Job(DieAt(18)), run="a")
    path = registry.folder(project, "a") / moments.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v": 1, "step": 18, "tok')
    train(project, Job(), run="a", resume=True)
    assert content(project, "a").startswith(whole)
    assert [moment.step for moment in stored(project, "a")] == list(range(31))


@pytest.mark.usefixtures("steady")
def test_a_stop_while_the_model_writes_is_obeyed_and_the_text_is_written_on_resuming(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(project, Job(), run="whole")
    job, real = Job(), timeline.write_greedily

    def stopping(*arguments: Any) -> Any:
        if len(stored(project, "parts")) == 8:
            job.request_stop()
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(timeline, "write_greedily", stopping)
        stopped = train(project, job, run="parts")
    assert stopped.run.step >= 8 and [moment.step for moment in stored(project, "parts")] == list(range(8))
    train(project, StopAt(9).job, run="parts", resume=True)
    assert [moment.step for moment in stored(project, "parts")][:9] == list(range(9))
    assert stored(project, "parts")[:9] == stored(project, "whole")[:9]


@pytest.mark.usefixtures("steady")
def test_the_moments_of_steps_that_are_rolled_back_are_repeated(project: Project, poison: Any) -> None:  # noqa: F811
    poison({20, 21})
    train(project, Job(), run="a", changes={**LONG, **PROMPTS})
    assert [record["step"] for record in records(project, "a", "rollback")]
    last = int(str(records(project, "a", "step")[-1]["step"]))
    steps = [moment.step for moment in stored(project, "a")]
    assert steps == [step for step in range(last + 1) if moments.is_due(step, last)]
    lines = content(project, "a").splitlines()
    assert len(lines) == len(steps)


def test_where_memory_runs_out_the_run_goes_on_and_says_so_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(timeline, "write_greedily", greedy)
    said: list[Event] = []
    assert train(project, Job(said.append), run="a").finished
    assert sum(isinstance(event, Notice) and "not enough memory" in event.text for event in said) == 1
    assert not stored(project, "a") and len(snapshots.listed(registry.folder(project, "a"))) == 31


def test_int8_is_announced_and_the_snapshots_open(project: Project) -> None:
    said: list[Event] = []
    many = {"training.snapshot_megabytes": 1, "model.d_model": 128}
    train(project, Job(said.append), run="a", changes=many)
    notices = [event.text for event in said if isinstance(event, Notice) and "int8" in event.text]
    assert len(notices) == 1 and "12" in notices[0] and "snapshot_megabytes" in notices[0]
    kept = snapshots.listed(registry.folder(project, "a"))
    assert len(kept) == 12
    load_model(locate.locate(project, f"a/{list(kept)[5]}"), 400, "cpu")


# --- What it costs ------------------------------------------------------------------------------------------------


@given(st.integers(1, 300_000), st.floats(1e-4, 10), st.floats(1e-5, 0.5), st.lists(st.integers(1, 40), min_size=1))
def test_texts_take_less_than_one_percent_of_the_time_where_that_is_some_seconds(
    last: int, step_seconds: float, pass_seconds: float, prompts: list[int]
) -> None:
    """Counted in passes through the model."""
    prompts = prompts[: timeline.PROMPTS]
    plan = plan_texts(last, Pace(step_seconds, pass_seconds), lambda tokens: passes(prompts, tokens))
    count = moments.count(last, plan.every)
    cost = count * passes(prompts, plan.tokens) * pass_seconds
    assert timeline.SHORTEST <= plan.tokens <= timeline.LONGEST
    few = count <= 2 * timeline.LEAST
    assert cost <= max(0.0086 * last * step_seconds, timeline.ALWAYS) or few
    assert plan.every == 1 or plan.tokens == timeline.SHORTEST


@pytest.mark.parametrize(("name", "last", "pace", "tokens"), [
    ("nano, the example of two minutes", 1800, Pace(0.065, 0.0009), 10),
    ("nano, 200 steps", 200, Pace(0.065, 0.0009), 10),
    ("nano, half an hour", 28_000, Pace(0.065, 0.0009), 48),
    ("mini, ten minutes", 1500, Pace(0.4, 0.004), 10),
    ("small, an hour", 5000, Pace(0.7, 0.009), 29),
    ("small on a graphics card, half an hour", 60_000, Pace(0.03, 0.004), 34),
])  # fmt: skip
def test_a_usual_run_has_texts_at_sixty_moments_and_more(name: str, last: int, pace: Pace, tokens: int) -> None:
    plan = plan_texts(last, pace, lambda tokens: passes([4, 3], tokens))
    assert plan.every == 1 and plan.tokens == tokens, (name, plan)


def test_a_machine_on_which_writing_is_dear_writes_less_and_at_fewer_moments(
    project: Project, steady: Callable[[Pace], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in passes, not by the clock."""
    counted: dict[str, int] = {}
    real = timeline.write_greedily

    def counting(model: Any, ids: Any, tokens: int, *more: Any) -> Any:
        counted[run] = counted.get(run, 0) + passes([len(prompt) for prompt in ids], tokens)
        return real(model, ids, tokens, *more)

    monkeypatch.setattr(timeline, "write_greedily", counting)
    for run, pace in (("cheap", Pace(1.0, 1e-4)), ("usual", Pace(0.1, 0.002)), ("dear", Pace(0.01, 0.02))):
        steady(pace)
        train(project, Job(), run=run, changes={"training.max_steps": 60, "training.checkpoint_interval": 60})
        if run != "dear":  # there, twelve moments with texts take longer
            assert counted[run] * pace.pass_seconds <= max(0.008 * 60 * pace.step_seconds, timeline.ALWAYS)
    assert counted["cheap"] > counted["usual"] > counted["dear"]
    assert len(stored(project, "cheap")) == 61 and 10 <= len(stored(project, "dear")) <= 30
    assert len(snapshots.listed(registry.folder(project, "dear"))) == 61, "weights are stored all the same"


def test_the_pace_is_measured_recorded_and_found_again(project: Project) -> None:
    train(project, Job(), run="a")
    log = decisions.DecisionLog(registry.folder(project, "a"))
    made = log.of_kind(timeline.KIND)
    assert list(made) == [3, 12]
    pace = Pace.from_dict(made[12].values)
    assert pace and 0 < pace.pass_seconds < 1 and 0 < pace.step_seconds < 10
    assert Pace.from_dict({}) is None and Pace.from_dict({"step_seconds": 0, "pass_seconds": 1}) is None


def test_its_seconds_are_not_taken_for_those_of_steps(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run with a time: slow moments at the beginning don't make its end come early."""
    from llm_studio.training import clock

    now = [0.0]
    monkeypatch.setattr(clock, "awake_seconds", lambda: now[0])

    def take(event: Event) -> None:
        if isinstance(event, StepDone):
            now[0] += 0.5
        elif isinstance(event, MomentStored) and event.step < 40:
            now[0] += 0.25  # after the event: within the moment

    real = timeline.write_greedily

    def slow(*arguments: Any) -> Any:
        found = real(*arguments)
        now[0] += 0.25
        return found

    monkeypatch.setattr(timeline, "write_greedily", slow)
    changes: dict[str, object] = {"training.minutes": 1.0, "training.max_steps": 100, "training.warmup_steps": 2,
                                  "training.eval_interval": 50, "training.checkpoint_interval": 50}  # fmt: skip
    result = train(project, Job(take), run="a", changes=changes)
    assert result.finished
    ends = [int(str(record["max_steps"])) for record in records(project, "a", "horizon")]
    assert min(ends, default=result.run.step) > 60, ends


def test_the_folder_of_a_run_takes_them_along(project: Project, tmp_path: Path) -> None:
    train(project, StopAt(6).job, run="a")
    before = content(project, "a")
    registry.rename(project, "a", "b")
    assert content(project, "b") == before
    registry.delete(project, "b")
    assert not (registry.folder(project, "b") / moments.FILE).exists()
    train(project, StopAt(3).job, run="b")
    assert [moment.step for moment in stored(project, "b")][:3] == [0, 1, 2]
