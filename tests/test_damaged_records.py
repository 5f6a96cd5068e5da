"""Each record of a project with strange values in each place: it is read, or an error with a message is raised.

No other exceptions are raised, and no displayed figure is negative or absurd.
"""
# pyright: reportPrivateUsage=false

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio import records
from llm_studio.cli.commands.runs import _runs_text
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.sources import store
from llm_studio.data.sources.hub import plan
from llm_studio.data.sources.hub.remote_file import Shard
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens.dataset import open_tokens
from llm_studio.errors import StudioError
from llm_studio.events import Evaluated, RunStarted, SampleWritten, StepDone, to_json
from llm_studio.gpu import pack
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, log, record, registry
from llm_studio.runs.decisions import DecisionLog
from llm_studio.runs.locate import locate
from llm_studio.training.budget import Horizon
from llm_studio.training.health.recovery import Recovery
from llm_studio.training.thread_control import _threads_of
from llm_studio.ui.preferences import Preferences
from llm_studio.workflows import overview
from llm_studio.workflows.data import statistics
from llm_studio.workflows.data.browsing import cleaned
from llm_studio.workflows.generation import chats, favourites, writing_quality
from llm_studio.workflows.generation.verdict import WritingFigures
from llm_studio.workflows.projects import steps
from llm_studio.workflows.training import baselines, curves
from tests.runs.models import save_checkpoint
from tests.test_records import JSON, STRANGE


def tokenizer_of(project: Project) -> object:
    return Tokenizer.load(project.tokenizer_file).encode("a text")


def tokens_of(project: Project) -> object:
    facts, shares = overview.token_facts(project), statistics.shares(project)
    assert facts is None or min(facts.train, facts.validation) >= 0
    assert all(0 <= share.share <= 1 and share.weight >= 0 for share in shares)
    with open_tokens(project.processed) as tokens:
        return tokens.vocab_size, [tokens.train[source.start : source.end] for source in tokens.sources]


def tokenizer_record_of(project: Project) -> object:
    facts = overview._tokenizer(project)
    assert facts and (facts.characters_per_token or 0) >= 0
    return steps(project)


def runs_of(project: Project) -> object:
    found, problems = registry.survey(project)
    assert {run.name for run in found} | {problem.name for problem in problems} == {"a", "b"}
    assert all(run.step >= 0 and run.seconds >= 0 and (run.best_loss or 0) >= 0 for run in found)
    registry.after_all(project, record.now())
    return _runs_text(found, comparing=True), registry.read(project, "a")


def checkpoint_of(project: Project) -> object:
    folder = registry.folder(project, "b")
    saved = checkpoint.newest_intact(folder)[0]
    assert saved is None or saved.step == 5  # the checksum only matches the original record
    for found in checkpoint.listed(folder):
        assert found.step >= 0 and found.state.seconds >= 0 and found.state.measured_since >= 0
        Recovery.from_dict(found.state.recovery)
    return registry.survey(project), locate(project, "b")


def sources_of(project: Project) -> object:
    found = store.list_sources(project.raw)
    assert all(source.documents >= 0 and source.characters >= 0 for source in found)
    return Corpus(project.raw, project.settings().data).fingerprint()


def chats_of(project: Project) -> object:
    return [chats.read(project, chat.id).text for chat in chats.listed(project)]


def log_of(project: Project) -> object:
    path = project.log_file("a")
    found = curves.read(project, "a", Job())
    assert (found.steps.column(curves.TOKENS) >= 0).all() and found.last_step >= 0
    assert log.last_step(path) >= 0
    before = list(log.read(path))
    log.cut_after(path, 1)
    return before


def decisions_of(project: Project) -> object:
    decided = DecisionLog(registry.folder(project, "a"))
    for made in decided.of_kind("horizon 60").values():
        Horizon.from_dict({"step": made.step, **made.values})
    return [_threads_of(made) for made in decided.of_kind("threads").values()]


def graphs_of(project: Project) -> object:
    return records.recall_plain(project.root / "threads.json").get("a")


def preferences_of(project: Project) -> object:
    shutil.copy(project.root / "window.json", records_home() / "window.json")
    return asdict(Preferences.load())


def records_home() -> Path:
    from llm_studio.paths import settings_folder

    settings_folder().mkdir(parents=True, exist_ok=True)
    return settings_folder()


def pack_of(project: Project) -> object:
    pack.folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(project.root / "pack.json", pack.folder() / "pack.json")
    found = pack.installed()
    assert found is None or not found.folder or found.path.parent == pack.folder()
    return found and found.summary


READERS: dict[str, Callable[[Project], object]] = {
    "tokenizer.json": tokenizer_of,
    "tokenizer.meta.json": tokenizer_record_of,
    "data/processed/meta.json": tokens_of,
    "data/processed/baselines.json": lambda project: baselines.baselines(project, Job()),
    "data/raw/stories-en.meta.json": sources_of,
    "data/raw/hub.parquet/_download.json": lambda project: plan.load_plans(project.raw),
    "data/.statistics.json": statistics.known,
    "data/.cleaned.json": lambda project: cleaned(project, Job(), whatever_it_takes=False),
    "checkpoints/a/run.json": runs_of,
    "checkpoints/b/step-000005/checkpoint.json": checkpoint_of,
    "checkpoints/a/decisions.jsonl": decisions_of,
    "checkpoints/a/writing.json": lambda p: writing_quality._read(registry.folder(p, "a") / "writing.json"),
    "logs/a.jsonl": log_of,
    "chats/favourites.json": favourites.listed,
    "chats/chat-20300101-000000-000000.json": chats_of,
    "threads.json": graphs_of,
    "window.json": preferences_of,
    "pack.json": pack_of,
}
"""The records of a project and of its user, with the functions that read them."""


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a record of each kind."""
    root = tmp_path_factory.mktemp("records") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    changes: list[dict[str, Any]] = [{"step": 3, "settings": {"training.seed": 2}}, {"step": 4, "diverged_at": 5}]
    run = record.new("a", project.settings(), 1000, "2.0", "data")
    machine = run.machine | {"device": "cpu", "threads": "2"}
    run = replace(run, state="stopped", step=4, train_loss=2.5, best_loss=2.0, history=changes, machine=machine)
    registry.write(project, replace(run, joules=3.5, bytes_per_token=4.0))
    save_checkpoint(project, "b", 5, 2.5)
    registry.write(project, replace(run, name="b"))
    project.logs.mkdir(exist_ok=True)
    events = [
        RunStarted("a", 0, 10, 1000, "cpu", "float32", 2, "d"), StepDone(1, 3.0, 1e-3, 0.5, 256, 1e3, 9.0),
        Evaluated(1, 2.5, True, 1.5), SampleWritten(1, "Once", "upon"), StepDone(2, 2.9, 1e-3, 0.5, 512, 1e3, 8.0),
    ]  # fmt: skip
    project.log_file("a").write_text("".join(to_json(event) + "\n" for event in events), encoding="utf-8")
    decisions = DecisionLog(registry.folder(project, "a"))
    decisions.record(1, "threads", threads=2)
    decisions.record(2, "horizon 60", done=0.1, last=20, next=5)
    statistics.measure(project, Job())
    cleaned(project, Job())
    baselines.baselines(project, Job())
    token = chats.Token(1, "a", 0.5, (("b", 0.25),))
    chats.write(project, chats.Chat("chat-20300101-000000-000000", (chats.Turn("Once", " upon", (token,), 1),)))
    favourites.change(project, favourites.Favourite("a", 1, "Once", "upon", 2.5), True)
    figures = WritingFigures(*range(len(WritingFigures.__dataclass_fields__)))
    quality = writing_quality.WritingQuality("a/1", figures, figures, (writing_quality.Sample("p", "t"),))
    writing_quality._write(registry.folder(project, "a") / "writing.json", "key", quality)
    made = plan.DownloadPlan("o/n", "r", None, None, "default", "train", "json", {"field": "x"}, "text", False,
                             (Shard("a.json", 5, "s"),), 3, "mit", False)  # fmt: skip
    plan.save_plan(project.raw, "hub", made)
    write_json(root / "threads.json", {"a": 2, "b": "works"})
    write_json(root / "window.json", asdict(Preferences(recent=["/a/b"], geometry="AAAA", spare_threads=1)))
    write_json(root / "pack.json", asdict(pack.Pack("2.13.0+cu130", "abcd", "stamp", "reason")))
    return root


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_STUDIO_HOME", str(tmp_path / "home"))


def places(value: object, limit: int = 3) -> Iterator[tuple[str | int, ...]]:
    """The paths to all values inside `value`; in lists, only to the first and last items."""
    yield ()
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ((name, *place) for place in places(inner, limit))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from ((index, *place) for place in places(value[index], limit))


def with_value(value: Any, place: tuple[str | int, ...], new: str) -> str:
    """The JSON of `value` with the JSON `new` at `place`."""
    if not place:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "\0HERE\0"
    return json.dumps(changed).replace('"\\u0000HERE\\u0000"', new)


def contents(path: Path) -> list[Any]:
    """The records in a file: a single one, or one per line."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]


def try_one(path: Path, found: list[Any], index: int, changed: str, read: Callable[[], object]) -> None:
    lines = [json.dumps(record) for record in found]
    lines[index] = changed
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        read()
    except StudioError as error:
        assert error.what


@pytest.mark.parametrize("name", READERS)
def test_each_record_is_read_as_it_was_written(whole: Path, tmp_path: Path, name: str) -> None:
    root = shutil.copytree(whole, tmp_path / "project")
    assert READERS[name](Project.open(root))


@pytest.mark.parametrize("name", READERS)
def test_a_strange_value_anywhere_is_read_or_explained(whole: Path, tmp_path: Path, name: str) -> None:
    project = Project.open(Path(shutil.copytree(whole, tmp_path / "project")))
    path = project.root / name
    found = contents(path)
    for index, content in enumerate(found):
        for place in [one for one in places(content) if one[:1] != ("settings",) or len(one) < 4][:400]:
            for new in STRANGE.values() if len(place) < 3 else list(STRANGE.values())[::3]:
                try_one(path, found, index, with_value(content, place, new), lambda: READERS[name](project))


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_cut_or_replaced_is_explained(whole: Path, tmp_path: Path, name: str) -> None:
    project = Project.open(Path(shutil.copytree(whole, tmp_path / "project")))
    path = project.root / name
    content = path.read_bytes()
    kinds = [b"", content[: len(content) // 2], b"\0" * len(content), b"[" * 100_000, b'{"a":' * 50_000, b"\xff" * 100,
             content[:-2], bytes(byte ^ 0x40 for byte in content), b"null", b'"text"']  # fmt: skip
    for kind in kinds:
        path.write_bytes(kind)
        try:
            READERS[name](project)
        except StudioError as error:
            assert error.what


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_anywhere_in_any_record_is_read_or_explained(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(READERS)))
    root = tmp_path_factory.getbasetemp() / "any"
    if not root.exists():
        shutil.copytree(whole, root)
    project, path = Project.open(root), root / name
    found = contents(whole / name)
    index = data.draw(st.integers(0, len(found) - 1))
    place = data.draw(st.sampled_from(list(places(found[index]))))
    new = json.dumps(data.draw(JSON))
    try_one(path, found, index, with_value(found[index], place, new), lambda: READERS[name](project))
    shutil.copy(whole / name, path)
