"""Inspecting a tokenizer: exact positions and bytes, correct counts and figures, import and its undo."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.errors import BusyError, Cancelled, DataError, TokenizerError
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.tokenizer import figures as tokenizer_figures
from llm_studio.workflows.tokenizer import lab as tokenizer_lab
from llm_studio.workflows.tokenizer.lab import Lab, hexadecimal, open_bench, shown
from llm_studio.workflows.tokenizer.train import train_tokenizer

_labs: dict[str, Lab] = {}


@pytest.fixture(autouse=True)
def lab(prepared: Path) -> Lab:
    if "it" not in _labs:
        made = open_bench(Project.open(prepared)).lab
        assert made is not None
        _labs["it"] = made
    return _labs["it"]


@given(st.text(max_size=80))
def test_tokens_have_the_ids_of_the_library_and_cover_the_text(text: str) -> None:
    lab = _labs["it"]
    tokens = lab.tokens(text)
    whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    assert [token.id for token in tokens] == lab.tokenizer.encode(whole)
    assert b"".join(token.bytes for token in tokens).decode() == whole
    assert not tokens or (tokens[0].start == 0 and tokens[-1].end == len(text))
    for token in tokens:
        part = whole[token.start : token.end].encode()
        assert token.bytes in part
    for before, after in pairwise(tokens):
        assert before.end - 1 <= after.start <= before.end


@given(st.text("Once upon a té漢👧\n 12", max_size=60), st.data())
def test_a_word_ends_in_the_tokens_of_the_text(text: str, data: st.DataObject) -> None:
    lab = _labs["it"]
    tokens = lab.tokens(text)
    if not tokens:
        assert lab.word_at(text, 0) is None
        return
    index = data.draw(st.integers(0, len(tokens) - 1))
    built = lab.word_of(text, tokens[index].start)
    assert built is not None
    assert built.start <= tokens[index].start < built.end
    inside = [token for token in tokens if built.start <= token.start < built.end]
    assert list(built.steps[-1].symbols) == [token.bytes for token in inside]
    for place, token in enumerate(inside):
        steps = built.steps_of(place)
        assert len(steps) == len(token.bytes) - 1
        if steps:
            assert b"".join(built.joined(steps[-1])) == token.bytes


def test_the_word_at_the_cursor_is_the_one_it_stands_in_or_after(lab: Lab) -> None:
    text = "one two  three"
    found = [built.text for place in (0, 1, 3, 4, 7, len(text)) if (built := lab.word_at(text, place)) is not None]
    assert found == ["one", "one", "one", " two", " two", " three"]
    longest = lab.longest_word(text)
    assert longest is not None
    assert longest.text == " three"


def test_every_token_of_the_vocabulary_is_built_from_its_bytes(lab: Lab) -> None:
    for token in range(lab.vocab_size):
        built = lab.token_built(token)
        if built.steps:
            assert built.steps[-1].symbols == (lab.bytes_of(token),)
    assert sum(bool(lab.token_built(token).steps) for token in range(lab.vocab_size)) == lab.vocab_size - 3


def test_bytes_are_shown_for_people() -> None:
    assert shown(b" d\n") == "␣d⏎"
    assert shown("é".encode()) == "é"
    assert shown("é".encode()[:1]) == "‹C3›"
    assert shown(b"\0\x1b") == "␀␛"
    assert hexadecimal(" é".encode()) == "20 C3 A9"


def test_the_vocabulary_is_found_by_text_id_and_bytes(lab: Lab) -> None:
    assert len(lab.search("")) == lab.vocab_size
    the = lab.search(" the").tolist()
    assert all(b" the" in lab.bytes_of(token).lower() for token in the)
    assert the
    assert 300 in lab.search("300")
    accent = lab.tokenizer.encode("\xc3")[0]
    assert accent in lab.search("C3")
    assert all(lab.bytes_of(token).find(b" t") >= 0 for token in lab.search("20 74"))
    assert len(lab.search("20 74"))
    assert not len(lab.search("no token holds this"))


def test_counts_are_those_of_the_file(project: Project, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_figures, "_BLOCK", 1000)
    counts = tokenizer_figures.count_tokens(project, lab, Job())
    with open_tokens(project.processed) as tokens:
        assert (counts.frequencies == np.bincount(tokens.train, minlength=lab.vocab_size)).all()
        assert counts.corpus_tokens == len(tokens.train) + len(tokens.validation)
    assert 0 < counts.used < 1
    best = counts.sorted(np.arange(lab.vocab_size))
    assert (np.diff(counts.frequencies[best]) <= 0).all()
    stopped = Job()
    stopped.request_stop()
    with pytest.raises(Cancelled):
        tokenizer_figures.count_tokens(project, lab, stopped)


def test_figures_agree_with_those_of_the_training(project: Project, lab: Lab) -> None:
    figures = tokenizer_figures.measure(project, lab, Job())
    trained = train_tokenizer(project, Job())
    assert figures.characters_per_token == pytest.approx(trained.characters_per_token, rel=0.02)
    assert figures.tokens_per_word == pytest.approx(trained.tokens_per_word, rel=0.02)
    assert figures.exact == figures.texts > 0
    sizes, rates = zip(*figures.curve, strict=True)
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] == lab.vocab_size
    assert list(rates) == sorted(rates)


def test_figures_are_measured_once_for_the_same_texts_and_tokenizer(project: Project, lab: Lab) -> None:
    seen: list[object] = []
    first = tokenizer_figures.measure(project, lab, Job(seen.append))
    assert seen
    seen.clear()
    assert tokenizer_figures.measure(project, lab, Job(seen.append)) == first
    assert not seen
    sources.add_stories(project, "en", 320, Job())
    assert tokenizer_figures.measure(project, lab, Job(seen.append)) != first
    (project.processed / "tokenizer.figures.json").write_text('{"key": 3}', encoding="utf-8")
    assert tokenizer_figures.measure(project, lab, Job()).texts
    stopped = Job()
    stopped.request_stop()
    (project.processed / "tokenizer.figures.json").unlink()
    with pytest.raises(Cancelled):
        tokenizer_figures.measure(project, lab, stopped)


def test_a_bench_says_what_is_out_of_date_and_why(project: Project) -> None:
    bench = open_bench(project)
    assert bench.lab is not None
    assert bench.reasons == ()
    assert bench.tokens
    assert open_bench(project, bench.lab).lab is bench.lab
    projects.change_settings(project, {"tokenizer.min_frequency": 3})
    assert open_bench(project).reasons == ("The settings have changed since the tokenizer was trained.",)
    sources.add_stories(project, "en", 320, Job())
    assert len(open_bench(project).reasons) == 2
    train_tokenizer(project, Job())
    after = open_bench(project, bench.lab)
    assert after.lab is not bench.lab
    assert after.tokens == ""
    project.tokenizer_file.write_text("{}", encoding="utf-8")
    broken = open_bench(project)
    assert broken.lab is None
    assert broken.problem is not None
    project.tokenizer_file.unlink()
    assert open_bench(project).lab is None


def test_settings_that_wait_are_written_before_the_training(project: Project) -> None:
    trained = tokenizer_lab.train_with(project, {"model.vocab_size": 300}, Job())
    assert trained.vocab_size == 300 == project.settings().model.vocab_size


def test_an_imported_tokenizer_is_ready_and_its_tokens_are_to_be_made_again(project: Project, tmp_path: Path) -> None:
    before = project.tokenizer_file.read_text(encoding="utf-8"), project.tokenizer_meta.read_text(encoding="utf-8")
    train_tokenizer(project, Job(), 300)
    other = tmp_path / "other.json"
    other.write_bytes(project.tokenizer_file.read_bytes())
    project.tokenizer_file.write_text(before[0], encoding="utf-8")
    project.tokenizer_meta.write_text(before[1], encoding="utf-8")
    replaced = tokenizer_lab.import_tokenizer(project, other)
    assert replaced.vocab_size == 300
    standing = projects.steps(project)
    assert standing.tokenizer is State.READY
    assert standing.tokens is State.OUT_OF_DATE
    assert open_bench(project).reasons == ("The tokens were prepared with another tokenizer.",)
    lab = open_bench(project).lab
    assert lab is not None
    with pytest.raises(DataError):
        tokenizer_figures.count_tokens(project, lab, Job())
    tokenizer_lab.restore_tokenizer(project, replaced)
    assert project.tokenizer_file.read_text(encoding="utf-8") == before[0]
    assert project.tokenizer_meta.read_text(encoding="utf-8") == before[1]


def test_a_file_that_is_no_tokenizer_changes_nothing(project: Project, tmp_path: Path) -> None:
    before = project.tokenizer_file.read_bytes()
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"model": {"type": "WordPiece"}}', encoding="utf-8")
    with pytest.raises(TokenizerError, match="WordPiece"):
        tokenizer_lab.import_tokenizer(project, wrong)
    with pytest.raises(TokenizerError):
        tokenizer_lab.import_tokenizer(project, tmp_path)
    with project.writing("tokenizer"), pytest.raises(BusyError):
        tokenizer_lab.import_tokenizer(project, project.tokenizer_file)
    assert project.tokenizer_file.read_bytes() == before
    assert project.tokenizer_meta.exists()


def test_an_import_into_a_project_without_a_tokenizer_can_be_taken_back(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    project.tokenizer_file.rename(other)
    project.tokenizer_meta.unlink()
    replaced = tokenizer_lab.import_tokenizer(project, other)
    assert Tokenizer.load(project.tokenizer_file).vocab_size == replaced.vocab_size
    tokenizer_lab.restore_tokenizer(project, replaced)
    assert not project.tokenizer_file.exists()
