"""The corpus as ids on the disk: whole or absent, and exactly the documents."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from llm_studio import files
from llm_studio.config import DataSettings, TokenizerSettings
from llm_studio.data.chunks import Chunk
from llm_studio.data.corpus.corpus import Corpus, CorpusPlan, TextSpan
from llm_studio.data.sources.store import write_source
from llm_studio.data.sources.stories.grammar import generate_stories
from llm_studio.data.tokenizer.tokenizer import SEGMENT_CHARACTERS, Tokenizer
from llm_studio.data.tokenizer.training import train_tokenizer
from llm_studio.data.tokens import dataset
from llm_studio.data.tokens.dataset import open_tokens, write_tokens
from llm_studio.data.tokens.meta import SourceRange
from llm_studio.errors import Cancelled, DataError, SourceError, StorageError
from llm_studio.events import Event, Progress
from llm_studio.jobs import Job


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> CorpusPlan:
    """Two sources, one of them with a long document."""
    folder = tmp_path_factory.mktemp("raw")
    stories = [Chunk(text, True) for text in generate_stories("en", 200)]
    contes = [Chunk(text, True) for text in generate_stories("fr", 100)]
    novel = Chunk("\n\n".join(generate_stories("fr", 200, seed=1)), True)
    write_source(folder, "stories", "test", stories, Job())
    write_source(folder, "contes", "test", [*contes, novel], Job())
    return Corpus(folder, DataSettings(validation_share=0.1)).plan(Job())


@pytest.fixture(scope="module")
def tokenizer(plan: CorpusPlan) -> Tokenizer:
    return train_tokenizer(plan, 600, TokenizerSettings(), Job())


@dataclass
class Texts:
    """Stands for a corpus with these texts to train on and one for validation; may fail at the end."""

    train: list[str]
    fails: bool = False

    @property
    def train_characters(self) -> int:
        return sum(map(len, self.train))

    validation_characters = 5
    conversations: frozenset[str] = frozenset()

    def texts(self, side: str) -> Iterator[TextSpan]:
        for text in self.train if side == "train" else ["hello"]:
            yield TextSpan("source", text, True)
        if self.fails and side == "validation":
            raise SourceError("The file is damaged.")


def write(texts: Texts, tokenizer: Tokenizer, folder: Path, job: Job | None = None) -> None:
    write_tokens(texts, tokenizer, folder, "corpus", job or Job())  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def documents(plan: CorpusPlan, side: str) -> list[tuple[str, str]]:
    """The source and the text of each document, put together from its spans."""
    found: list[tuple[str, str]] = []
    begun = ""
    for span in plan.texts(side):  # type: ignore[arg-type]
        begun += span.text
        if span.ends:
            found.append((span.source, begun))
            begun = ""
    assert begun == ""
    return found


def split(ids: np.ndarray, end: int) -> list[list[int]]:
    """The documents in `ids`, each of which must be followed by `end`."""
    places = np.flatnonzero(ids == end)
    assert places[-1] == len(ids) - 1
    return [part[part != end].tolist() for part in np.split(ids, places[:-1] + 1)]


# --- There and back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["train", "validation"])
def test_the_ids_on_the_disk_are_the_documents(
    plan: CorpusPlan, tokenizer: Tokenizer, tmp_path: Path, side: str
) -> None:
    prepared = write_tokens(plan, tokenizer, tmp_path / "données", "corpus", Job())
    with open_tokens(tmp_path / "données") as tokens:
        ids = np.array(tokens.train if side == "train" else tokens.validation)
        assert (len(tokens.train), len(tokens.validation)) == (prepared.train_tokens, prepared.validation_tokens)
    expected = [text for _source, text in documents(plan, side)]
    found = split(ids, tokenizer.end_of_text)
    assert [tokenizer.decode(part) for part in found] == expected
    assert found == [tokenizer.encode_many([text])[0].tolist() for text in expected], "cutting changed the ids"


def test_long_documents_are_among_those_tested(plan: CorpusPlan) -> None:
    assert max(len(text) for _source, text in documents(plan, "train")) > 2 * SEGMENT_CHARACTERS


def test_each_source_is_where_the_meta_data_say(plan: CorpusPlan, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_tokens(plan, tokenizer, tmp_path, "corpus", Job())
    everything = documents(plan, "train")
    with open_tokens(tmp_path) as tokens:
        assert [source.name for source in tokens.sources] == list(dict.fromkeys(name for name, _text in everything))
        assert len(tokens.sources) == 2
        assert tokens.sources[0].start == 0
        assert tokens.sources[-1].end == len(tokens.train)
        for source in tokens.sources:
            part = split(np.array(tokens.train[source.start : source.end]), tokenizer.end_of_text)
            assert [tokenizer.decode(ids) for ids in part] == [t for name, t in everything if name == source.name]


def test_the_meta_data_report_all_that_is_needed_to_read_the_files(
    plan: CorpusPlan, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write_tokens(plan, tokenizer, tmp_path, "of the corpus", Job())
    meta = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))
    assert (meta["version"], meta["dtype"], meta["vocab_size"]) == (1, "uint16", tokenizer.vocab_size)
    assert (meta["tokenizer"], meta["corpus"]) == (tokenizer.fingerprint, "of the corpus")
    for key, name in (("train", "train.bin"), ("validation", "val.bin")):
        assert meta[key]["sha256"] == files.sha256_of(tmp_path / name)
        assert meta[key]["tokens"] * 2 == (tmp_path / name).stat().st_size
    with open_tokens(tmp_path) as tokens:
        assert (tokens.tokenizer, tokens.corpus) == (tokenizer.fingerprint, "of the corpus")
        assert tokens.vocab_size == tokenizer.vocab_size
        assert int(tokens.train.max()) < tokens.vocab_size


def test_a_large_vocabulary_takes_four_bytes_a_token(tokenizer: Tokenizer, tmp_path: Path) -> None:
    content = json.loads(tokenizer.to_json())
    size = tokenizer.vocab_size
    content["added_tokens"] += [
        {"id": index, "content": f"<{index}>", "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": index < 70_000}
        for index in range(size, 70_001)
    ]  # fmt: skip
    large = Tokenizer(content)
    write(Texts(["a <70000> b"]), large, tmp_path)
    with open_tokens(tmp_path) as tokens:
        assert tokens.train.dtype == np.dtype("<u4")
        assert tokens.train.tolist() == [*large.encode("a <70000> b"), large.end_of_text]
        assert 70_000 in tokens.train.tolist()


def test_progress_counts_the_characters_of_both_sides(plan: CorpusPlan, tokenizer: Tokenizer, tmp_path: Path) -> None:
    events: list[Event] = []
    prepared = write_tokens(plan, tokenizer, tmp_path, "corpus", Job(events.append))
    last = events[-1]
    assert isinstance(last, Progress)
    assert last.done == last.total == prepared.characters == plan.characters


# --- Whole or absent -----------------------------------------------------------------------------------------


def test_a_stop_leaves_what_was_there(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write(Texts(["old"]), tokenizer, tmp_path)
    before = contents(tmp_path)
    job = Job(lambda _event: job.request_stop())
    with pytest.raises(Cancelled):
        write(Texts(["new " * 300_000] * 3), tokenizer, tmp_path, job)
    assert contents(tmp_path) == before


def test_an_error_leaves_what_was_there(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write(Texts(["old"]), tokenizer, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(SourceError):
        write(Texts(["new"], fails=True), tokenizer, tmp_path)
    assert contents(tmp_path) == before


def test_an_end_of_the_program_leaves_the_old_the_new_or_nothing(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever renaming is the last that happens, the files never mix two preparations."""
    replace = Path.replace
    for allowed in range(4):
        write(Texts(["old text"]), tokenizer, tmp_path)
        left = allowed

        def dies(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return replace(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", dies)
            try:
                write(Texts(["new text"]), tokenizer, tmp_path)
            except KeyboardInterrupt:
                assert left < 0
        try:
            with open_tokens(tmp_path) as tokens:
                text = tokenizer.decode(tokens.train[:-1].tolist())
        except DataError:
            text = "nothing"
        assert text == ["old text", "nothing", "nothing", "new text"][allowed]


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = Texts(["once upon a time " * 10_000] * 12)  # two million characters
    requested: list[int] = []
    monkeypatch.setattr(dataset, "require_space", lambda _folder, needed: requested.append(needed))
    write(texts, tokenizer, tmp_path)
    written = sum((tmp_path / name).stat().st_size for name in ("train.bin", "val.bin"))
    assert requested == [pytest.approx(written, rel=0.01)]

    def refuse(_folder: Path, _needed: int) -> None:
        assert (tmp_path / "train.bin.partial").stat().st_size == 0
        raise StorageError("full")

    monkeypatch.setattr(dataset, "require_space", refuse)
    before = contents(tmp_path)
    with pytest.raises(StorageError):
        write(texts, tokenizer, tmp_path)
    assert contents(tmp_path) == before


# --- Reading -------------------------------------------------------------------------------------------------


def cut(folder: Path) -> None:
    (folder / "train.bin").write_bytes((folder / "train.bin").read_bytes()[:-2])


def change_meta(**changes: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        (folder / "meta.json").write_text(json.dumps({**meta, **changes}), encoding="utf-8")

    return apply


def put_a_foreign_id(folder: Path) -> None:
    ids = np.fromfile(folder / "val.bin", dtype="<u2")
    ids[-1] = 65_535
    ids.tofile(folder / "val.bin")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "have not been prepared yet": lambda folder: (folder / "meta.json").unlink(),
    "train.bin is incomplete": cut,
    "val.bin is missing": lambda folder: (folder / "val.bin").unlink(),
    "newer LLM Studio": change_meta(version=2),
    "outside the vocabulary": put_a_foreign_id,
    "meta.json is damaged": change_meta(dtype="float64"),
    "meta.json is damag": change_meta(sources=[{"name": "x"}]),
    "meta.json is dam": lambda folder: (folder / "meta.json").write_text("{", encoding="utf-8"),
}


@pytest.mark.parametrize("sentence", DAMAGE)
def test_damaged_tokens_are_refused_with_what_to_do(tokenizer: Tokenizer, tmp_path: Path, sentence: str) -> None:
    write(Texts(["some text"]), tokenizer, tmp_path)
    DAMAGE[sentence](tmp_path)
    with pytest.raises(DataError, match=sentence) as raised:
        open_tokens(tmp_path)
    assert "prepare" in raised.value.to_do


def test_closed_tokens_let_go_of_the_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write(Texts(["some text"]), tokenizer, tmp_path)
    tokens = open_tokens(tmp_path)
    tokens.close()
    maps = Path("/proc/self/maps")
    assert len(tokens.train) == 0
    if maps.exists():
        assert str(tmp_path) not in maps.read_text(encoding="utf-8")


def test_a_weight_given_to_a_source_is_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write(Texts(["some text"]), tokenizer, tmp_path)
    change_meta(sources=[{"name": "source", "start": 0, "end": 3, "weight": 2.5}])(tmp_path)
    with open_tokens(tmp_path) as tokens:
        assert tokens.sources == [SourceRange("source", 0, 3, 2.5)]
