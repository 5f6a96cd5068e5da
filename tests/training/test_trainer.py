"""The training loop does what its settings say, step by step: compared with plain computations of the same."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint, log, moments, registry, snapshots
from llm_studio.training.optim.schedule import learning_rate
from llm_studio.workflows.training.train import train

EXACT = {"training.precision": "float32", "model.dropout": 0.0}
FROZEN = {**EXACT, "training.learning_rate": 1e-12}
"""Steps so small that no weight changes."""


@pytest.fixture
def tokens(project: Project) -> Iterator[Tokens]:
    with open_tokens(project.processed) as found:
        yield found


def train_steps(project: Project, run: str, steps: int, changes: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights after a whole run of `steps` steps."""
    train(project, Job(), run=run, changes={"training.max_steps": steps, **changes})
    return checkpoint.listed(registry.folder(project, run))[-1].weights()


def records(project: Project, run: str, kind: str) -> list[dict[str, Any]]:
    return [record for record in log.read(project.log_file(run)) if record["event"] == kind]


def fresh_model(project: Project, tokens: Tokens) -> Transformer:
    """The model as a run begins with it, without dropout."""
    settings = project.settings().replaced(EXACT)
    torch.manual_seed(settings.training.seed)
    return Transformer(settings.model, tokens.vocab_size)


def plain_loss(model: Transformer, rows: Any) -> torch.Tensor:
    ids = torch.from_numpy(rows)
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def losses_of_micro_batches(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list to which each loss of the training is added, as it is computed."""
    found: list[float] = []
    real = Transformer.loss

    def noted(self: Transformer, ids: torch.Tensor, targets: torch.Tensor, *more: Any) -> torch.Tensor:
        loss = real(self, ids, targets, *more)
        if self.training:
            found.append(loss.item())
        return loss

    monkeypatch.setattr(Transformer, "loss", noted)
    return found


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_four_micro_batches_of_eight_train_as_one_of_thirty_two(project: Project, clip: float) -> None:
    exact = {**EXACT, "training.gradient_clip": clip}
    parts = {"training.batch_size": 8, "training.gradient_accumulation_steps": 4}
    one = train_steps(project, "one", 3, {**exact, "training.batch_size": 32})
    four = train_steps(project, "four", 3, {**exact, **parts})
    for name, tensor in one.items():
        torch.testing.assert_close(four[name], tensor, rtol=0, atol=2e-5, msg=name)  # a step moves weights by 2e-3
    for here, there in zip(records(project, "one", "step"), records(project, "four", "step"), strict=True):
        assert there["loss"] == pytest.approx(here["loss"], rel=1e-5)
        assert there["gradient_norm"] == pytest.approx(here["gradient_norm"], rel=1e-4)
        assert there["tokens"] == here["tokens"] == here["step"] * 32 * 32


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_of_each_step_is_the_schedule_s(project: Project, schedule: str) -> None:
    changes = {"training.schedule": schedule, "training.max_steps": 12, "training.checkpoint_interval": 12}
    train_steps(project, "a", 12, changes)
    training = project.settings().replaced(changes).training
    assert [(r["step"], r["learning_rate"]) for r in records(project, "a", "step")] == [
        (step, learning_rate(step, training)) for step in range(1, 13)
    ]


@pytest.mark.parametrize("clip", [0.0, 1e-6])
def test_the_first_step_is_the_one_computed_by_hand(project: Project, tokens: Tokens, clip: float) -> None:
    """Loss, norm before clipping, clipping, AdamW's first step and its decay; at 1e-6, where its epsilon counts."""
    training = project.settings().training
    model = fresh_model(project, tokens)
    loss = plain_loss(model, batches.draw_sequences(tokens, training.seed, 0, training.batch_size, 32))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    norm = math.sqrt(sum(g.double().square().sum().item() for g in gradients.values()))
    changes = {**EXACT, "training.gradient_clip": clip, "training.weight_decay": 2.0}
    weights = train_steps(project, "a", 1, changes)
    (record,) = records(project, "a", "step")
    assert record["loss"] == pytest.approx(loss.item(), rel=1e-6)
    assert record["gradient_norm"] == pytest.approx(norm, rel=1e-4)
    assert norm > 0.1
    rate = learning_rate(1, training)
    assert rate == training.learning_rate / training.warmup_steps < training.learning_rate
    for name, parameter in model.named_parameters():
        g = gradients[name] * (clip / (norm + 1e-6) if clip else 1.0)
        decayed = parameter.detach() * (1 - 2.0 * rate if parameter.dim() == 2 else 1.0)
        expected = decayed - rate * g / (g.abs() + 1e-8)
        torch.testing.assert_close(weights[name], expected, rtol=0, atol=rate / 100, msg=name)


def test_each_step_has_its_own_sequences_and_its_own_gradients(project: Project, tokens: Tokens) -> None:
    seed, size = project.settings().training.seed, project.settings().training.batch_size
    train_steps(project, "a", 3, {**EXACT, "training.checkpoint_interval": 1})
    model, logged = fresh_model(project, tokens), records(project, "a", "step")
    for saved in checkpoint.listed(registry.folder(project, "a"))[:2]:
        model.load_state_dict(saved.weights())
        model.zero_grad()
        loss = plain_loss(model, batches.draw_sequences(tokens, seed, saved.step, size, 32))
        loss.backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters() if p.grad is not None))
        assert logged[saved.step]["loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert logged[saved.step]["gradient_norm"] == pytest.approx(norm, rel=1e-4)


def test_a_tighter_limit_makes_another_model_but_logs_the_same_norm(project: Project) -> None:
    free, tight = (
        train_steps(project, name, 2, {**EXACT, "training.gradient_clip": limit})
        for name, limit in (("free", 0.0), ("tight", 1e-8))
    )
    assert any((free[name] - tight[name]).abs().max() > 1e-3 for name in free)
    norms = [records(project, name, "step")[0]["gradient_norm"] for name in ("free", "tight")]
    assert norms[0] == norms[1] > 1e-3


def test_snapshots_are_of_the_moments_of_the_run(project: Project) -> None:
    weights = train_steps(project, "a", 120, {"training.checkpoint_interval": 120, "training.eval_interval": 120})
    kept = snapshots.listed(registry.folder(project, "a"))
    assert set(kept) == {step for step in range(121) if moments.is_due(step, 120)} and len(kept) < 80
    last, first = snapshots.read(kept[120]), snapshots.read(kept[0])
    assert last.keys() == weights.keys()
    assert all(torch.equal(last[name], weights[name].half()) for name in weights)
    assert any(not torch.equal(first[name], last[name]) for name in weights)


def test_without_room_for_snapshots_there_are_none(project: Project) -> None:
    train_steps(project, "a", 3, {"training.snapshot_megabytes": 0})
    assert not snapshots.listed(registry.folder(project, "a"))


@pytest.fixture
def same_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every micro-batch is of the very same sequences: what differs between losses is dropout."""
    real = batches.draw_sequences

    def drawn(tokens: Tokens, _seed: int, _step: int, sequences: int, length: int, _weights: Any) -> Any:
        return np.tile(real(tokens, 0, 0, 8, length), (sequences // 8, 1))

    monkeypatch.setattr(batches, "draw_sequences", drawn)


@pytest.mark.usefixtures("same_batch")
def test_dropout_is_new_in_each_micro_batch_and_the_same_again_in_the_same_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = losses_of_micro_batches(monkeypatch)
    two = {**FROZEN, "training.gradient_accumulation_steps": 2}

    def losses_of(run: str, dropout: float) -> list[float]:
        losses.clear()
        train_steps(project, run, 3, {**two, "model.dropout": dropout})
        return list(losses)

    assert len(set(losses_of("none", 0.0))) == 1
    once = losses_of("once", 0.3)
    assert len(once) == len(set(once)) == 6
    noted: Callable[..., torch.Tensor] = Transformer.loss

    def disturbed(self: Transformer, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = noted(self, ids, targets)
        torch.rand(3)  # something else uses torch's generator
        return loss

    monkeypatch.setattr(Transformer, "loss", disturbed)
    assert losses_of("again", 0.3) == once


def test_evaluations_are_at_intervals_at_checkpoints_and_at_the_end(project: Project) -> None:
    changes = {"training.eval_interval": 7, "training.checkpoint_interval": 10,
               "training.sample_prompts": ["Once", "The"]}  # fmt: skip
    train_steps(project, "a", 25, changes)
    assert [r["step"] for r in records(project, "a", "evaluation")] == [7, 10, 14, 20, 21, 25]
    assert {10, 20, 25} <= {r["step"] for r in records(project, "a", "checkpoint")}
    assert [(r["step"], r["prompt"]) for r in records(project, "a", "sample")] == [
        (step, prompt) for step in (7, 10, 14, 20, 21, 25) for prompt in ("Once", "The")
    ]


def test_the_validation_loss_is_plain_cross_entropy_of_the_weights_of_that_step(
    project: Project, tokens: Tokens
) -> None:
    changes = {"training.precision": "float32", "training.eval_sequences": 13}  # batches of 8 don't divide 13
    train_steps(project, "a", 30, changes)
    measured = {r["step"]: r for r in records(project, "a", "evaluation")}
    rows, model = batches.evaluation_sequences(tokens, 13, 32), fresh_model(project, tokens).eval()
    saved = checkpoint.listed(registry.folder(project, "a"))
    assert len(saved) >= 3
    for one in saved:
        model.load_state_dict(one.weights())
        with torch.no_grad():
            expected = plain_loss(model, rows).item()
        assert measured[one.step]["loss"] == one.state.validation_loss == pytest.approx(expected, rel=1e-5)
    lowest = [min(r["loss"] for s, r in measured.items() if s <= step) for step in measured]
    assert [r["best"] for r in measured.values()] == [
        r["loss"] == low for r, low in zip(measured.values(), lowest, strict=True)
    ]
    assert registry.read(project, "a").best_loss == lowest[-1]


def test_samples_are_the_same_while_the_weights_are_the_same(project: Project) -> None:
    changes = {"training.eval_interval": 1, "model.dropout": 0.3}
    train_steps(project, "frozen", 4, {**FROZEN, **changes})
    assert len({r["text"] for r in records(project, "frozen", "sample")}) == 1
    assert len({r["loss"] for r in records(project, "frozen", "evaluation")}) == 1
    train_steps(project, "moving", 4, {**changes, "training.warmup_steps": 1})
    assert len({r["text"] for r in records(project, "moving", "sample")}) > 1


def test_how_often_it_is_evaluated_does_not_change_what_is_learned(project: Project) -> None:
    often, rarely = (
        train_steps(project, name, 12, {"training.eval_interval": every, "training.checkpoint_interval": 12})
        for name, every in (("often", 1), ("rarely", 12))
    )
    assert all(torch.equal(often[name], rarely[name]) for name in often)
    assert len(records(project, "often", "evaluation")) == 12 and len(records(project, "rarely", "evaluation")) == 1
