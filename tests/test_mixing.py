"""The weights of the sources: stored in the settings, shown as fractions, changed without preparing tokens again."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_studio.cli.app import main
from llm_studio.config import DataSettings, Settings
from llm_studio.config.yaml_file import dump, parse, with_changes
from llm_studio.data.chunks import Chunk
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.sources.store import write_source
from llm_studio.errors import ConfigError, ProjectError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.data.statistics import known, measure, shares
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer

NAMES = st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable())
WEIGHTS = st.dictionaries(NAMES, st.floats(0, 1e6), max_size=4)


# --- Settings ----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(weights=WEIGHTS)
def test_any_weights_survive_the_file(weights: dict[str, float]) -> None:
    made = Settings().replaced({"data.weights": weights})
    assert made.data.weights == weights
    assert parse(dump(made)) == made


@settings(max_examples=25)
@given(weights=WEIGHTS, name=NAMES, weight=st.floats(0, 1e6))
def test_one_weight_is_changed_in_place(weights: dict[str, float], name: str, weight: float) -> None:
    text = dump(Settings().replaced({"data.weights": weights}))
    changed = with_changes(text, {f"data.weights.{name}": weight})
    assert parse(changed).data.weights == {**weights, name: weight}
    assert parse(changed) == Settings().replaced({"data.weights": weights, f"data.weights.{name}": weight})


def test_comments_stay_when_a_weight_changes() -> None:
    text = "data:\n  weights:   # mine\n    a: 2   # twice\n    b: 3\n  # and\n  min_characters: 5\n"
    assert with_changes(text, {"data.weights.a": 4, "data.weights.c d": 1}) == (
        'data:\n  weights:   # mine\n    "c d": 1\n    a: 4   # twice\n    b: 3\n  # and\n  min_characters: 5\n'
    )
    whole = with_changes(text, {"data.weights": {"x": 1}, "data.min_characters": 6})
    assert "# and\n  min_characters: 6" in whole and parse(whole).data.weights == {"x": 1.0}


def test_every_wrong_weight_is_reported_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("data:\n  weights:\n    a: -1\n    b: much\n    c: .nan\n    d: 2\n")
    assert [(p.path, p.line, p.message) for p in caught.value.problems] == [
        ("data.weights.a", 3, "must be at least 0, not -1"),
        ("data.weights.b", 4, "must be a number, not 'much'"),
        ("data.weights.c", 5, "must be a number, not nan"),
    ]
    for text in ("data: {weights: 3}", "data:\n  weights:\n", "data: {weights: [1]}"):
        with pytest.raises(ConfigError, match="must name sources with their weights"):
            parse(text)


# --- Fractions ---------------------------------------------------------------------------------------------------


def two_sources(root: Path) -> Project:
    project = projects.new_project(root, "nano", "en")
    projects.change_settings(project, {"model.vocab_size": 300, "model.max_seq_len": 32, "training.max_steps": 100})
    sources.add_stories(project, "en", 200, Job())
    sources.add_stories(project, "fr", 100, Job())
    return project


@pytest.fixture(scope="module")
def prepared_two(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = two_sources(tmp_path_factory.mktemp("two") / "project")
    train_tokenizer(project, Job())
    prepare_tokens(project, Job())
    return project


def test_shares_are_estimated_first_and_exact_later(tmp_path: Path) -> None:
    project = two_sources(tmp_path / "p")
    first = shares(project)
    assert [(s.source, s.documents, s.exact, s.tokens, s.passes) for s in first] == [
        ("stories-en", 200, False, None, None), ("stories-fr", 100, False, None, None)]  # fmt: skip
    train_tokenizer(project, Job())
    second = shares(project)
    prepare_tokens(project, Job())
    third = shares(project)
    meta = json.loads(project.tokens_meta.read_text(encoding="utf-8"))
    assert [s.tokens for s in third] == [part["end"] - part["start"] for part in meta["sources"]]
    for before, after in zip(second, third, strict=True):
        assert after.exact and not before.exact
        assert before.tokens == pytest.approx(after.tokens, rel=0.25) and before.share == pytest.approx(
            after.share, abs=0.1
        )
    drawn = 100 * 16 * 32
    assert sum(s.passes * s.tokens for s in third if s.passes and s.tokens) == pytest.approx(drawn)


@settings(max_examples=25)
@given(weights=st.fixed_dictionaries({"stories-en": st.floats(0, 1e6), "stories-fr": st.floats(0, 1e6)}))
def test_shares_add_up_to_one_and_follow_the_weights(prepared_two: Project, weights: dict[str, float]) -> None:
    found = shares(prepared_two, prepared_two.settings().replaced({"data.weights": weights}))
    total = sum(s.share for s in found)
    assert total == pytest.approx(1.0) if any(weights.values()) else total == 0
    assert all((s.share > 0) == (weights[s.source] > 0) or total < 1e-6 or s.share < 1e-9 for s in found)


def test_a_weight_makes_nothing_out_of_date(prepared_two: Project) -> None:
    before = projects.steps(prepared_two)
    projects.change_settings(prepared_two, {"data.weights.stories-fr": 4, "data.weights.gone": 2})
    assert projects.steps(prepared_two) == before
    assert [s.weight for s in shares(prepared_two)] == [1.0, 4.0]


@settings(max_examples=20)
@given(
    texts=st.lists(st.sampled_from(["a" * 60, "b" * 70, "c" * 80, "d" * 90]), min_size=2, max_size=12),
    weight=st.floats(0, 9),
)
def test_equal_documents_stay_on_one_side_whatever_the_weights(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], weight: float
) -> None:
    if len(set(texts)) < 2:
        return
    folder = tmp_path_factory.mktemp("split")
    for name, part in (("x", texts[::2]), ("y", texts[1::2])):
        write_source(folder, name, "test", (Chunk(text, True) for text in part), Job())
    weighed = DataSettings(remove_duplicates=False, weights={"x": weight, "y": 1.0})
    plain, mixed = Corpus(folder, DataSettings(remove_duplicates=False)), Corpus(folder, weighed)
    assert plain.fingerprint() == mixed.fingerprint()
    sides = [[s.text for s in mixed.plan(Job()).texts(side)] for side in ("train", "validation")]
    assert not set(sides[0]) & set(sides[1]) and sorted(sides[0] + sides[1]) == sorted(texts)


# --- Statistics of a project -------------------------------------------------------------------------------------


def test_statistics_are_kept_until_the_texts_change(prepared_two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known(prepared_two) is None
    found = measure(prepared_two, Job())
    with monkeypatch.context() as patched:
        patched.setattr(Corpus, "plan", None)
        assert measure(prepared_two, Job()) == known(prepared_two) == found
    kept = prepared_two.raw.parent / ".statistics.json"
    for damage in ("{", '{"version": 1}', kept.read_text(encoding="utf-8").replace('"documents"', '"document"')):
        kept.write_text(damage, encoding="utf-8")
        assert known(prepared_two) is None and measure(prepared_two, Job()) == found
    projects.change_settings(prepared_two, {"data.min_characters": 60})
    assert known(prepared_two) is None


def test_statistics_of_nothing_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no texts yet"):
        measure(projects.new_project(tmp_path / "p", "nano", "en"), Job())


def test_the_command_shows_and_prints(prepared_two: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(prepared_two.root)]) == 0
    shown = capsys.readouterr().out
    for words in ("share in training", "stories-fr", "fr 100\u00a0%", "█", "Most frequent words: ", "all together"):
        assert words in shown, shown
    assert main(["stats", str(prepared_two.root), "--json"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert record["statistics"]["corpus"]["documents"] == 300 and len(record["shares"]) == 2
