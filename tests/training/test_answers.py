"""Learning from answers only: what counts, that the size of the micro-batch doesn't matter, and that it resumes."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from llm_studio.data.sources.conversations import ASSISTANT, USER
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.baselines import bigram_loss, unigram_loss
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.device import Compute
from llm_studio.errors import DataError
from llm_studio.events import Notice
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint, log, registry
from llm_studio.training import evaluation
from llm_studio.workflows.training.train import train
from tests.talk import add_talk
from tests.training.test_resume import StopAt, assert_same_weights
from tests.training.test_trainer import EXACT, losses_of_micro_batches, train_steps

ANSWERS = {**EXACT, "training.loss_on": "answers"}
TALK_ONLY = {**ANSWERS, "data.weights.stories-en": 0}


@pytest.fixture(scope="module")
def with_talk(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    root = tmp_path_factory.mktemp("talk") / "project"
    shutil.copytree(prepared, root)
    add_talk(Project.open(root), 200)
    return root


@pytest.fixture
def talking(with_talk: Path, tmp_path: Path) -> Project:
    import shutil

    shutil.copytree(with_talk, tmp_path / "project")
    return Project.open(tmp_path / "project")


@pytest.fixture
def tokens(talking: Project) -> Iterator[Tokens]:
    with open_tokens(talking.processed) as found:
        yield found


def test_the_loss_is_cross_entropy_over_what_counts(talking: Project, tokens: Tokens) -> None:
    torch.manual_seed(0)
    model = Transformer(talking.settings().model, tokens.vocab_size).eval()
    ids = torch.from_numpy(batches.draw_sequences(tokens, 0, 0, 8, 32, {"stories-en": 0.0}))
    counted = torch.from_numpy(batches.draw_answer_mask(tokens, 0, 0, 8, 32, {"stories-en": 0.0}))
    assert 0 < counted.sum() < counted.numel()
    targets = ids[:, 1:].masked_fill(~counted, -100)
    wanted = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), targets.flatten())
    gradients = torch.autograd.grad(wanted, list(model.parameters()))
    loss = model.loss(ids[:, :-1], ids[:, 1:], counted)
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(torch.autograd.grad(loss, list(model.parameters())), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_where_nothing_counts_the_loss_is_nothing_and_so_are_its_gradients(talking: Project, tokens: Tokens) -> None:
    model = Transformer(talking.settings().model, tokens.vocab_size)
    ids = torch.zeros(2, 9, dtype=torch.int64)
    loss = model.loss(ids[:, :-1], ids[:, 1:], torch.zeros(2, 8, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_the_result_does_not_depend_on_the_size_of_the_micro_batch(talking: Project) -> None:
    """With one sequence in each, some hold many counted tokens and others none."""
    one = train_steps(talking, "one", 3, {**TALK_ONLY, "training.batch_size": 8})
    small = {"training.batch_size": 1, "training.gradient_accumulation_steps": 8}
    eight = train_steps(talking, "eight", 3, {**TALK_ONLY, **small})
    for name, tensor in one.items():
        torch.testing.assert_close(eight[name], tensor, rtol=0, atol=2e-5, msg=name)  # a step moves weights by 2e-3
    logged = ([r for r in log.read(talking.log_file(run)) if r["event"] == "step"] for run in ("one", "eight"))
    for here, there in zip(*logged, strict=True):
        assert there["loss"] == pytest.approx(here["loss"], rel=1e-5)
        assert there["gradient_norm"] == pytest.approx(here["gradient_norm"], rel=1e-4)


def test_a_step_of_questions_alone_gives_no_nonsense(talking: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = losses_of_micro_batches(monkeypatch)
    real = batches.draw_answer_mask

    def none_in_the_second_step(tokens: Tokens, seed: int, step: int, *rest: Any) -> Any:
        return real(tokens, seed, step, *rest) & (step != 1)

    monkeypatch.setattr(batches, "draw_answer_mask", none_in_the_second_step)
    weights = train_steps(talking, "a", 3, TALK_ONLY)
    steps = [r for r in log.read(talking.log_file("a")) if r["event"] == "step"]
    assert losses[1] == 0 and steps[1]["loss"] == pytest.approx(steps[0]["loss"])
    assert all(math.isfinite(s["loss"]) for s in steps) and all(t.isfinite().all() for t in weights.values())


def test_a_stopped_run_that_learns_answers_resumes_bit_for_bit(talking: Project) -> None:
    changes = {"training.loss_on": "answers", "data.weights.chat": 3, "training.gradient_accumulation_steps": 2,
               "training.batch_size": 4, "training.max_steps": 20}  # fmt: skip
    train(talking, Job(), run="whole", changes=changes)
    train(talking, StopAt(7).job, run="parts", changes=changes)
    talking.change_settings({"data.weights.chat": 0.5})  # a run keeps the weights that it began with
    train(talking, Job(), run="parts", resume=True)
    assert_same_weights(talking, "whole", "parts")
    run = registry.read(talking, "parts")
    assert run.conversations and run.settings["data"]["weights"] == {"chat": 3.0}
    assert checkpoint.listed(talking.checkpoints / "parts")[-1].conversations


def test_weights_change_what_is_drawn_and_need_no_new_tokens(talking: Project) -> None:
    from llm_studio.workflows.projects import steps

    before = steps(talking)
    seen = [train_steps(talking, name, 2, {**EXACT, "data.weights.chat": w}) for name, w in (("a", 1.0), ("b", 9.0))]
    assert any(not torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
    talking.change_settings({"data.weights.chat": 9})
    assert steps(talking) == before
    with pytest.raises(DataError, match="Every source has weight 0"):
        train(talking, Job(), run="c", changes={"data.weights": {"chat": 0, "stories-en": 0}})
    assert not registry.exists(talking, "c")


def test_the_validation_loss_is_the_mean_over_what_counts(talking: Project, tokens: Tokens) -> None:
    settings = talking.settings().replaced({"training.eval_sequences": 500, "training.loss_on": "answers"})
    torch.manual_seed(1)
    model = Transformer(settings.model, tokens.vocab_size)
    rows = torch.from_numpy(batches.evaluation_sequences(tokens, 500, 32))
    counted = torch.from_numpy(batches.evaluation_answer_mask(tokens, 500, 32))
    assert not counted.all()
    with torch.no_grad():
        targets = rows[:, 1:].masked_fill(~counted, -100)
        wanted = F.cross_entropy(model.eval()(rows[:, :-1]).flatten(0, 1), targets.flatten()).item()
    measured = evaluation.validation_loss(model, tokens, settings, Compute("cpu", "float32", 1), Job())
    assert measured == pytest.approx(wanted, rel=1e-5)


def test_what_is_left_out_of_training_is_left_out_of_validation(talking: Project, tokens: Tokens) -> None:
    """Else a model made to chat would seem to get worse as it forgets the stories, and its first steps the best."""
    chat, stories = tokens.validation_sources
    assert (chat.name, chat.start, stories.end) == ("chat", 0, len(tokens.validation)) and chat.conversations
    only = batches.evaluation_sequences(tokens, 10_000, 32, {"stories-en": 0.0})
    places = np.linspace(0, chat.end - 33, len(only)).astype(int)
    assert len(only) == (chat.end - 1) // 32 and (only == tokens.validation[places[:, None] + np.arange(33)]).all()
    rest = batches.evaluation_sequences(tokens, 1, 32, {"chat": 0.0})[0]
    assert rest.tolist() == tokens.validation[stories.start : stories.start + 33].tolist()
    for weights in ({}, {"chat": 7.0}, {"chat": 0.0, "stories-en": 0.0}):
        assert (
            batches.evaluation_sequences(tokens, 9, 32, weights) == batches.evaluation_sequences(tokens, 9, 32)
        ).all()


def test_the_baselines_are_of_the_same_tokens_as_the_loss(tokens: Tokens) -> None:
    ids, places = np.array(tokens.validation), np.arange(1, len(tokens.validation))
    counts = np.bincount(np.array(tokens.train)[1:][tokens.in_answer("train", np.arange(1, len(tokens.train)))],
                         minlength=tokens.vocab_size)  # fmt: skip
    probability = (counts + 1) / (counts.sum() + tokens.vocab_size)
    requested = ids[1:][tokens.in_answer("validation", places)]
    assert unigram_loss(tokens, answers=True) == pytest.approx(-np.log(probability[requested]).mean())
    assert bigram_loss(tokens, answers=True) < unigram_loss(tokens, answers=True)
    assert bigram_loss(tokens, answers=True) != bigram_loss(tokens)
    assert tokens.fingerprint_for("answers") != tokens.fingerprint_for("all") == tokens.fingerprint


def test_samples_of_a_run_that_learns_answers_are_answers(talking: Project) -> None:
    train(talking, Job(), run="a", changes={**TALK_ONLY, "training.max_steps": 10, "training.sample_prompts": []})
    samples = [r for r in log.read(talking.log_file("a")) if r["event"] == "sample"]
    assert len(samples) == 4 and all(s["prompt"].endswith("?") for s in samples)
    assert not any(mark in s["text"] for s in samples for mark in (USER, ASSISTANT))


def test_answers_are_not_looked_for_where_there_are_no_conversations(project: Project) -> None:
    said: list[Any] = []
    plain = train_steps(project, "all", 2, EXACT)
    train(project, Job(said.append), run="a", changes={**ANSWERS, "training.max_steps": 2})
    assert any(isinstance(e, Notice) and "changes nothing" in e.text for e in said)
    weights = checkpoint.listed(project.checkpoints / "a")[-1].weights()
    assert all(torch.equal(plain[name], weights[name]) for name in plain)
    assert not registry.read(project, "a").conversations
