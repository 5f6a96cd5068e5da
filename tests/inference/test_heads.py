"""Heads are named by what they measurably do: constructed heads, trained ones, and untrained ones."""

import pytest
import torch
from torch import Tensor

from llm_studio.config import ModelSettings
from llm_studio.config.presets import load_preset
from llm_studio.inference.generate import threads_for
from llm_studio.inference.heads import KINDS, THRESHOLD, HeadScores, repeated_sequences, score_heads
from llm_studio.inference.trace import Trace
from llm_studio.model.transformer import Transformer
from tests.model.builders import small_model, small_settings

VOCABULARY, LONGEST = 32, 16


def train_on_repetitions(steps: int = 300) -> Transformer:
    """A model of two layers that has learned to repeat random tokens, whatever their number. Takes two seconds."""
    torch.manual_seed(0)
    shape = ModelSettings(d_model=32, n_heads=2, n_layers=2, d_ff=32, max_seq_len=2 * LONGEST + 1, dropout=0.0)
    model = Transformer(shape, VOCABULARY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        half = int(torch.randint(6, LONGEST + 1, (), generator=generator))  # so that no fixed distance is right
        tokens = 1 + torch.rand(32, VOCABULARY - 1, generator=generator).argsort(dim=1)[:, :half]
        ids = torch.cat([torch.zeros(32, 1, dtype=torch.long), tokens, tokens], dim=1)
        repeated = torch.zeros(32, 2 * half, dtype=torch.bool)
        repeated[:, half + 1 :] = True  # what can be predicted
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 50)
        optimizer.zero_grad()
        model.loss(ids[:, :-1], ids[:, 1:], repeated).backward()
        optimizer.step()
    return model.eval()


def names(model: Transformer) -> set[str]:
    found = score_heads(model, start=0)
    named = {found.name(layer, head) for layer, row in enumerate(found.scores) for head in range(len(row))}
    return {name for name in named if name}


def test_a_model_that_learned_to_repeat_has_an_induction_head() -> None:
    """In the second layer: the first one must have moved each token's predecessor to it."""
    with threads_for(0):  # one: the model is tiny
        found = score_heads(train_on_repetitions(), start=0)
    assert [found.name(1, head) for head in range(2)].count("induction") >= 1
    assert "induction" not in [found.name(0, head) for head in range(2)]


@pytest.mark.parametrize("change", [{}, {"positions": "learned", "norm": "layernorm", "bias": True},
                                    {"positions": "sinusoidal", "qk_norm": False}, {"max_seq_len": 8},
                                    {"n_kv_heads": 1}])  # fmt: skip
def test_an_untrained_model_has_none(change: dict[str, object]) -> None:
    torch.manual_seed(0)
    assert not names(Transformer(small_settings(**change), 300).eval())


def test_the_preset_nano_has_none_before_training() -> None:
    torch.manual_seed(1)
    shape = load_preset("nano").model
    assert not names(Transformer(shape, shape.vocab_size).eval())


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_that_does_just_this_gets_its_name_and_the_score_1(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, half = small_model(), 11

    def ideal(_trace: Trace, layer: int) -> Tensor:
        weights = torch.zeros(4, 2 * half + 1, 2 * half + 1)
        for row in range(half + 1, 2 * half + 1):
            column = {"previous": row - 1, "first": 0, "self": row, "same": row - half, "induction": row - half + 1}
            weights[2, row, column[kind]] = 1.0 if layer == 1 else 0.0
        return weights

    monkeypatch.setattr(Trace, "attention", ideal)
    found = score_heads(model, start=0)
    assert found.half == half
    assert found.name(1, 2) == kind and found.scores[1, 2, KINDS.index(kind)] == pytest.approx(1)
    assert found.scores.sum() == pytest.approx(1)


def test_the_threshold_decides() -> None:
    scores = torch.zeros(1, 2, len(KINDS))
    scores[0, 0, 3], scores[0, 1, 4] = THRESHOLD - 0.01, THRESHOLD + 0.01
    found = HeadScores(scores, 11)
    assert found.name(0, 0) is None and found.name(0, 1) == "induction"


def test_sequences_repeat_different_tokens_and_leave_out_markers() -> None:
    model = small_model()
    sequences = repeated_sequences(model, start=5, exclude=[6, 7])
    assert sequences == repeated_sequences(model, start=5, exclude=[6, 7])
    for ids in sequences:
        first, second = ids[1:12], ids[12:]
        assert ids[0] == 5 and first == second and len(set(first)) == 11 and not {5, 6, 7} & set(first)
    assert len({tuple(ids) for ids in sequences}) == len(sequences)


def test_measuring_draws_nothing_from_the_global_generator() -> None:
    model, before = small_model(), torch.get_rng_state()
    score_heads(model, start=0)
    assert torch.equal(torch.get_rng_state(), before)
