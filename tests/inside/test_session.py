"""What a session shows is what the model computes, at every kind of moment, for texts of any length."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm_studio.errors import Cancelled, CheckpointError, StudioError, TokenizerError
from llm_studio.inference.load import load_model
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.inside.session import InsideSession, enough_memory, open_session
from llm_studio.workflows.training.evaluate import evaluate

SHORT = "Once upon a time, a fox"
LONG = "Once upon a time, a little fox lived by the sea.\r\nÉtonnant, non ? 漢字 👩\u200d👧\n" * 4


def probabilities(session: InsideSession, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return load_model(session.ref, session.tokenizer.vocab_size)(torch.tensor([ids]))[0].double().softmax(-1)


def test_tokens_make_up_the_text_and_have_labels_of_their_own(session: InsideSession) -> None:
    ids = session.ids(LONG)
    tokens = session.tokens(ids)
    assert "".join(token.text for token in tokens) == LONG
    assert [token.id for token in tokens] == ids and tokens[0].label == "(start)" and tokens[0].text == ""
    first = next(n for n, token in enumerate(tokens) if token.label.startswith("0x"))
    assert tokens[first].text == ""  # the first bytes of a character: the token that completes it shows it
    assert all(token.label for token in tokens)


def test_surprise_is_that_of_the_model(session: InsideSession) -> None:
    found = session.surprise(SHORT, Job())
    ids = session.ids(SHORT)
    expected = probabilities(session, ids)
    assert math.isnan(found.bits[0]) and found.ranks[0] == 0 and len(found.bits) == len(ids) == len(found.tokens)
    for n in range(1, len(ids)):
        p = expected[n - 1, ids[n]].item()
        assert found.bits[n] == pytest.approx(-math.log2(p), abs=1e-4)
        assert found.ranks[n] == 1 + int((expected[n - 1] > p).sum())
        assert found.next_probabilities[n - 1][0] == pytest.approx(expected[n - 1].max().item(), abs=1e-6)
    assert found.next_tokens[-1][0] == expected[-1].argmax()
    assert found.bytes == len(SHORT.encode())
    assert found.bits_per_byte == pytest.approx(float(np.nansum(found.bits)) / found.bytes)
    assert found.windows == (found.windows[0],)


def test_surprise_of_a_long_text_is_the_loss_of_evaluate(session: InsideSession, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(LONG.encode())
    measured = evaluate(session.project, Job(), session.ref.reference(session.project), [file])
    with_its_end = session.surprise([*session.ids(LONG), session.tokenizer.end_of_text], Job())
    assert with_its_end.total_bits == pytest.approx(measured.loss / math.log(2) * measured.tokens, rel=1e-5)
    assert with_its_end.bits_per_byte == pytest.approx(measured.bits_per_byte, rel=1e-5)
    assert with_its_end.bytes == len(LONG.encode()) == measured.bytes
    assert len(with_its_end.windows) > 3
    found = session.surprise(LONG, Job())
    np.testing.assert_allclose(found.bits[1:], with_its_end.bits[1:-1], atol=1e-4)


def test_an_empty_text_has_no_bits_but_a_next_token(session: InsideSession) -> None:
    found = session.surprise("", Job())
    assert len(found.tokens) == 1 and found.bits_per_byte is None and found.total_bits == 0
    assert found.next_tokens.shape == (1, 20)


def test_another_token_changes_what_follows_it_alone(session: InsideSession) -> None:
    ids = session.ids(SHORT)
    before = session.surprise(ids, Job())
    after = session.surprise([*ids[:4], ids[4] + 1, *ids[5:]], Job())
    np.testing.assert_array_equal(before.bits[1:4], after.bits[1:4])
    assert (before.bits[5:] != after.bits[5:]).all()


def test_attention_of_each_window_sums_to_1_and_is_causal(session: InsideSession) -> None:
    count = len(session.ids(LONG))
    for position in (0, 40, count - 1):
        window = session.window_at(count, position)
        found = session.attention(LONG, Job(), window)
        place = found.window
        assert place.start + (place.skipped if window else 0) <= position < place.start + place.length
        assert found.weights.shape == (2, 2, place.length, place.length) and len(found.tokens) == place.length
        np.testing.assert_allclose(found.weights.astype(np.float32).sum(-1), 1, atol=2e-3)
        assert not np.triu(found.weights, k=1).any()


def test_the_lens_ends_in_the_models_output_and_says_where_it_was_decided(session: InsideSession) -> None:
    found, ids = session.lens(SHORT, Job()), session.ids(SHORT)
    expected = probabilities(session, ids)
    np.testing.assert_array_equal(found.guesses[-1, :, 0], expected.argmax(-1).numpy())
    np.testing.assert_allclose(found.probabilities[-1, :, 0], expected.amax(-1).numpy(), atol=1e-5)
    assert found.guesses.shape == (3, len(ids), 20)
    for n, layer in enumerate(found.decided.tolist()):
        final = found.guesses[-1, n, 0]
        assert (found.guesses[layer:, n, 0] == final).all()
        assert layer == 0 or found.guesses[layer - 1, n, 0] != final
    assert np.isnan(found.bits[:, -1]).all()
    np.testing.assert_allclose(found.bits[-1, :-1], session.surprise(SHORT, Job()).bits[1:], atol=1e-4)


def test_the_last_token_of_a_window_is_followed_by_the_next_one_of_the_text(session: InsideSession) -> None:
    found = session.lens(LONG, Job(), 0)
    bits = session.surprise(LONG, Job()).bits
    np.testing.assert_allclose(found.bits[-1], bits[1 : found.window.length + 1], atol=1e-4)


def test_contributions_add_up_in_every_window(session: InsideSession) -> None:
    count = len(session.ids(LONG))
    for position in (1, 50, count - 1):
        found = session.contributions(LONG, Job(), position)
        assert found.total() == pytest.approx(found.logit, abs=1e-3)
        best = session.next_tokens(LONG, Job(), position, 2)
        assert (found.token.id, found.versus) == (best[0].id, None)
        assert found.token.probability == pytest.approx(best[0].probability, abs=1e-6)
        versus = session.contributions(LONG, Job(), position, best[0].id, best[1].id)
        ratio = best[0].probability / best[1].probability
        assert versus.total() == pytest.approx(math.log(ratio), abs=1e-3)
    rope = session.model.rotary is not None
    assert (found.positions == 0) == rope and (found.norm_bias == 0) == rope


def test_one_view_after_the_other_reads_the_text_once(session: InsideSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_studio.inference import trace as module

    calls: list[int] = []
    original = module.trace

    def counting(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(module, "trace", counting)
    text = "By the sea, by the sea."
    session.attention(text, Job())
    session.lens(text, Job())
    session.contributions(text, Job(), 3)
    session.next_tokens(text, Job(), 3, 5)
    assert len(calls) == 1
    session.attention(text + "!", Job())
    assert len(calls) == 2


def test_heads_are_measured_once_and_random_ones_have_no_name(session: InsideSession) -> None:
    found = session.head_kinds(Job())
    assert found.scores.shape == (2, 2, 5) and found.kinds[-1] == "induction"
    assert [[name in (None, *found.kinds) for name in row] for row in found.names] == [[True, True]] * 2
    assert session.head_kinds(Job()) is found


def test_similar_tokens_and_the_map_cover_the_vocabulary(session: InsideSession) -> None:
    near = session.similar_tokens(300, 5)
    assert len(near) == 5 and near[0].cosine >= near[-1].cosine and 300 not in [one.id for one in near]
    every = session.embedding_map()
    assert len(every.ids) == len(every.points) == session.facts.vocab_size
    frequent = session.frequent_tokens(30)
    some = session.embedding_map(frequent)
    assert some.ids.tolist() == frequent and some.points.shape == (30, 2) and some.explained[0] >= some.explained[1]


def test_all_figures_are_plain_numbers_and_arrays(session: InsideSession) -> None:
    found: list[Any] = [
        session.surprise(SHORT, Job()), session.attention(SHORT, Job()), session.lens(SHORT, Job()),
        session.contributions(SHORT, Job(), 2), session.head_kinds(Job()), session.embedding_map(), session.facts,
    ]  # fmt: skip
    for record in found:
        for field in dataclasses.fields(record):
            assert not isinstance(getattr(record, field.name), torch.Tensor), field.name


def test_another_moment_shares_the_tokenizer(inside_project: Project) -> None:
    first = open_session(inside_project, Job(), "rope/20")
    other = first.at("rope/3", Job())
    assert other.tokenizer is first.tokenizer and other.vocabulary is first.vocabulary
    assert (first.facts.name, other.facts.name) == ("rope/step-000020", "rope/step-000003")
    expected = open_session(inside_project, Job(), "rope/3").surprise(SHORT, Job()).bits
    np.testing.assert_array_equal(other.surprise(SHORT, Job()).bits, expected)
    with pytest.raises(CheckpointError, match="no checkpoint of step 4"):
        first.at("rope/4", Job())


def test_the_model_writes_too(session: InsideSession) -> None:
    generator = session.generator()
    text = generator.generate("Once", Job(), generator.settings_with({"max_tokens": 5, "seed": 1}))
    assert isinstance(text, str) and generator.name == session.facts.name


@pytest.mark.parametrize("view", ["surprise", "lens", "attention", "heads"])
def test_each_view_can_be_cancelled(inside_project: Project, view: str, stopped: Callable[[int], Job]) -> None:
    session = open_session(inside_project, Job(), "rope")
    run: dict[str, Callable[[Job], object]] = {
        "surprise": lambda job: session.surprise(LONG, job), "lens": lambda job: session.lens(LONG, job),
        "attention": lambda job: session.attention(LONG, job), "heads": session.head_kinds,
    }  # fmt: skip
    for checks in (0, 2):
        with pytest.raises(Cancelled):
            run[view](stopped(checks))
    run[view](Job())  # a cancelled view leaves nothing behind


def test_half_a_character_and_too_little_memory_are_explained(session: InsideSession) -> None:
    with pytest.raises(TokenizerError, match="half of a character"):
        session.surprise("\udcff", Job())
    with pytest.raises(StudioError, match="not enough memory"), enough_memory():
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
    with pytest.raises(RuntimeError, match="another"), enough_memory():
        raise RuntimeError("another error")


def test_tokens_are_named_by_their_text_or_number(session: InsideSession) -> None:
    vocabulary = session.vocabulary
    the = session.tokenizer.encode(" the")[0]
    assert vocabulary.named(" the") == vocabulary.named("the") == the and vocabulary.named("#300") == 300
    assert vocabulary.named("(") == session.tokenizer.encode("(")[0]
    for name in ("unheard-of", "", "#99999"):
        with pytest.raises(StudioError, match="is not a token"):
            vocabulary.named(name)
    assert vocabulary.words(["the", "unheard-of"]) == ([the], ["unheard-of"])
    found = vocabulary.search("TH", 50)
    assert the in found and all("th" in vocabulary.label(token).lower() for token in found)


def test_frequent_tokens_are_counted_in_the_training_texts(inside_project: Project, tmp_path: Path) -> None:
    session = open_session(inside_project, Job(), "rope")
    ids = np.fromfile(inside_project.processed / "train.bin", dtype=np.uint16)
    ids = ids[ids != session.tokenizer.end_of_text]
    counts = np.bincount(ids)
    found = session.frequent_tokens(10)
    assert counts[found].tolist() == sorted(counts.tolist(), reverse=True)[:10]
    from llm_studio.workflows.inside.vocabulary import frequent_tokens

    elsewhere = Project.create(tmp_path / "other", inside_project.settings())
    assert len(frequent_tokens(elsewhere, session.tokenizer, 10)) == 10  # no texts there: the first ones learned
