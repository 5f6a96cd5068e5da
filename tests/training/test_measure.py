"""What is timed before a run is the run's own step: it makes the same weights, and takes as long."""

import statistics

import pytest
import torch

from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.device import Compute
from llm_studio.errors import Cancelled
from llm_studio.events import Event, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.training.measure import MICRO_BATCHES, RandomBatches, StepTime, StepTimer, Trial
from llm_studio.training.prefetch import BatchPrefetcher, BatchRequest
from llm_studio.workflows.training.train import train
from tests.training.test_answers import talking, with_talk  # noqa: F401  fixtures

STEPS = 4
CPU = {"training.device": "cpu", "training.precision": "float32", "training.max_steps": STEPS}
COMPUTE = Compute("cpu", "float32", 1)
BOTH_WAYS: list[dict[str, object]] = [
    {"model.dropout": 0.2, "training.gradient_accumulation_steps": 3},
    {"training.optimizer": "muon", "training.gradient_clip": 0.01},
    {"training.activation_checkpointing": True, "training.gradient_clip": 0.0},
    {"training.precision": "bfloat16"},
]


def assert_trains_as_a_run(project: Project, changes: dict[str, object]) -> None:
    """Time steps on the project's tokens, and find the weights that a run has after as many."""
    train(project, Job(), run="run", changes=changes)
    expected = checkpoint.listed(registry.folder(project, "run"))[-1].weights()
    settings = project.settings().replaced(changes)
    compute = Compute("cpu", str(changes["training.precision"]), 1)
    with open_tokens(project.processed) as tokens:
        on_answers = settings.training.loss_on == "answers" and tokens.has_conversations
        batches = BatchPrefetcher(tokens, on_answers, pinned=False)
        timer = StepTimer(settings, tokens.vocab_size, compute, Job(), batches)
        assert timer.time(STEPS - 1).micro_batch > 0
    made = timer.updater.model.state_dict()
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in expected)


@pytest.mark.parametrize("changes", BOTH_WAYS)
def test_timed_steps_train_to_the_weights_of_a_run(project: Project, changes: dict[str, object]) -> None:
    assert_trains_as_a_run(project, {**CPU, **changes})


def test_they_do_where_only_answers_count(talking: Project) -> None:  # noqa: F811
    assert_trains_as_a_run(talking, {**CPU, "training.loss_on": "answers"})


@pytest.mark.parametrize("changes", [{}, {"training.gradient_accumulation_steps": 3 * MICRO_BATCHES}])
def test_the_time_is_that_of_a_run(project: Project, changes: dict[str, object]) -> None:
    changes = {**CPU, **changes, "training.max_steps": 12}
    steps: list[StepDone] = []

    def note(event: Event) -> None:
        if isinstance(event, StepDone):
            steps.append(event)

    settings = project.settings().replaced(changes)
    timed = StepTimer(settings, 400, COMPUTE, Job()).time(12).of_step(settings.training.gradient_accumulation_steps)
    train(project, Job(note), changes=changes)
    tokens = steps[0].tokens
    real = statistics.median(tokens / step.tokens_per_second for step in steps[2:])
    assert real / 5 < timed < 5 * real


def test_a_measurement_leaves_the_process_as_it_was(project: Project) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    settings = project.settings().replaced({**CPU, "model.dropout": 0.5})
    StepTimer(settings, 400, Compute("cpu", "float32", threads + 1), Job()).time(2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_it_is_stopped_within_a_step(project: Project) -> None:
    job = Job()
    timer = StepTimer(project.settings().replaced(CPU), 400, COMPUTE, job)
    taken: list[BatchRequest] = []
    take = timer.updater.batches.take

    def stopping(request: BatchRequest) -> object:
        taken.append(request)
        job.request_stop()
        return take(request)

    timer.updater.batches.take = stopping  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        timer.time(3)
    assert len(taken) == 1


def test_random_batches_have_the_shape_of_a_step_and_the_ids_of_the_vocabulary() -> None:
    source = RandomBatches(50, answers_only=True)
    for sequences, length in ((6, 16), (2, 8)):
        batch = source.take(BatchRequest(1, 1, sequences, length, {}))
        assert batch.ids.shape == (sequences, length + 1) and batch.counted is not None
        assert batch.counted.shape == (sequences, length)
        assert int(batch.ids.min()) >= 0 and int(batch.ids.max()) < 50
    assert RandomBatches(50).take(BatchRequest(1, 1, 1, 8, {})).counted is None


def test_a_step_is_its_micro_batches_and_one_update() -> None:
    assert StepTime(micro_batch=2.0, update=0.5).of_step(3) == 6.5


def test_an_attempt_without_memory_does_not_fit_and_a_smaller_one_does_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.Tensor.backward

    def backward(self: torch.Tensor) -> None:
        if trial.too_large:  # type: ignore[attr-defined]
            raise MemoryError
        real(self)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with Trial(project.settings().replaced(CPU), 400, COMPUTE, Job()) as trial:
        trial.too_large = True  # type: ignore[attr-defined]
        assert not trial.attempt(8, 1, False, 1).fits
        trial.too_large = False  # type: ignore[attr-defined]
        found = trial.attempt(4, 2, False, 1)
        assert found.fits and found.seconds > 0 and found.memory > 0
        assert found.step_seconds(2) == pytest.approx(2 * found.seconds + found.update)
