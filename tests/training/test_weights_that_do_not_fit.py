"""Weights that don't fit their model, in a checkpoint whose sums are right or in a snapshot: a sentence, everywhere."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from llm_studio import files
from llm_studio.errors import CheckpointError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry, snapshots
from llm_studio.runs.tensors import Tensors
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.inside.session import open_session
from llm_studio.workflows.training.evaluate import evaluate
from llm_studio.workflows.training.train import train

RUN, STEP = "a", 4
EMBEDDINGS, GAIN = "embeddings.token.weight", "norm.gain"
MATRIX = "blocks.0.attention.output.weight"


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run of four steps, a checkpoint and snapshots."""
    root = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("weights") / "project"))
    train(Project.open(root), Job(), run=RUN, changes={"training.max_steps": STEP, "training.eval_interval": 2})
    return root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Project:
    return Project.open(Path(shutil.copytree(trained, tmp_path / "project")))


def checkpoint_of(project: Project) -> Path:
    return registry.folder(project, RUN) / f"step-{STEP:06d}"


def with_right_sums(folder: Path) -> None:
    """Let the record of a checkpoint say that its files are as they were written."""
    record = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    del record["fingerprint"]
    for name in record["files"]:
        if (folder / name).stat().st_size < 10**9:
            record["files"][name] = files.sha256_of(folder / name)
    files.write_json(folder / "checkpoint.json", {**record, "fingerprint": files.fingerprint(record)})


def rewrite(path: Path, change: Callable[[Tensors], object]) -> None:
    tensors = safetensors.torch.load(path.read_bytes())
    change(tensors)
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def rewrite_header(path: Path, change: Callable[[dict[str, dict[str, list[int]]]], object]) -> None:
    """Let the header say something else of the same bytes."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    new = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])


def set_to(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return lambda path: rewrite(path, lambda tensors: tensors.update({name: make(tensors[name])}))


def first_is(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[0] = value
        return tensor

    return change


def narrower(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[..., :31] if tensor.dim() else torch.ones(3)


def header_of(name: str, key: str, value: list[int]) -> Callable[[Path], None]:
    return lambda path: rewrite_header(path, lambda header: header[name].update({key: value}))


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def huge(path: Path) -> None:
    with path.open("ab") as stream:
        stream.truncate(40_000_000_000)  # sparse


DAMAGE: dict[str, Callable[[Path], object]] = {
    "is 32 × 31 instead of 32 × 32": set_to(MATRIX, narrower),
    "is 1024 instead of 32 × 32": set_to(MATRIX, lambda w: w.reshape(-1)),
    f"“{MATRIX}” is missing": lambda path: rewrite(path, lambda tensors: tensors.pop(MATRIX)),
    "the model has no “more”": lambda path: rewrite(path, lambda tensors: tensors.update(more=torch.ones(2))),
    "instead of 400 × 32": set_to(EMBEDDINGS, lambda w: w[:300]),
    "is of another type of number": set_to(MATRIX, lambda w: w.double()),
    "is of another type": set_to(MATRIX, lambda w: w.int()),
    "infinite values, or values that aren't numbers": set_to(MATRIX, first_is(float("nan"))),
    "holds infinite values": set_to(MATRIX, first_is(float("inf"))),
    "holds infinite": set_to(MATRIX, first_is(float("-inf"))),
    "can't be read": header_of(MATRIX, "data_offsets", [0, 4096]),
    "can't be rea": header_of(MATRIX, "data_offsets", [0, 10**12]),
    "can't be re": header_of(MATRIX, "data_offsets", [-4096, 0]),
    "instead of 32": header_of(MATRIX, "shape", [2**31, 2**31]),
    "can't be -32": header_of(MATRIX, "shape", [-32, -32]),
    "can't be r": lambda path: rewrite_header(path, lambda header: header[MATRIX].update(dtype="F12")),  # pyright: ignore[reportArgumentType, reportCallIssue]
    "its header is too long": write(struct.pack("<Q", 2**62) + b"{}"),
    "isn't JSON": write(struct.pack("<Q", 100) + b"{"),
    "nested too deeply": write(struct.pack("<Q", 200_000) + b"[" * 200_000),
    "it holds": write(struct.pack("<Q", 2) + b"[]"),
    "isn't JS": write(b""),
}


LYING = {
    "can't be re",
    "can't be -32",
    "its header is too long",
    "isn't JSON",
    "nested too deeply",
    "it holds",
    "isn't JS",
}
"""Headers that are found to be wrong when the sums are."""


@pytest.mark.parametrize("said", DAMAGE)
def test_weights_that_do_not_fit_are_explained_when_a_model_is_loaded(project: Project, said: str) -> None:
    folder = checkpoint_of(project)
    DAMAGE[said](folder / "model.safetensors")
    with_right_sums(folder)
    with pytest.raises(CheckpointError) as raised:
        load_generator(project, Job(), checkpoint=str(folder))
    lying = said in LYING and "is damaged (model.safetensors)" in raised.value.what
    assert (lying or said in raised.value.what) and "model.safetensors" in raised.value.what and raised.value.to_do


SOME = ["is 32 × 31 instead of 32 × 32", f"“{MATRIX}” is missing", "the model has no “more”", "instead of 400 × 32",
        "infinite values, or values that aren't numbers", "can't be read"]  # fmt: skip


@pytest.mark.parametrize("said", SOME)
def test_they_are_explained_when_a_run_is_resumed_continued_evaluated_or_inspected(project: Project, said: str) -> None:
    folder = checkpoint_of(project)
    DAMAGE[said](folder / "model.safetensors")
    with_right_sums(folder)
    attempts: list[Callable[[], object]] = [
        lambda: train(project, Job(), run=RUN, resume=True, changes={"training.max_steps": 8}),
        lambda: train(project, Job(), run="new", continue_from=str(folder)),
        lambda: evaluate(project, Job(), checkpoint=str(folder)),
        lambda: open_session(project, Job(), str(folder)),
    ]
    for attempt in attempts:
        with pytest.raises(CheckpointError) as raised:
            attempt()
        assert said in raised.value.what
    assert [run.name for run in registry.listed(project)] == [RUN]


@pytest.mark.parametrize(("name", "change", "said"), [
    (f"{MATRIX}.exp_avg", narrower, "exp_avg”"), (f"{MATRIX}.exp_avg", torch.Tensor.half, "exp_avg”"),
    (f"{MATRIX}.exp_avg_sq", first_is(float("nan")), "infinite values, or values"),
    (f"{MATRIX}.step", narrower, "step”"), (f"{MATRIX}.exp_avg", None, "exp_avg”"),
])  # fmt: skip
def test_an_optimizer_that_does_not_fit_is_explained_when_a_run_is_resumed(
    project: Project, name: str, change: Callable[[torch.Tensor], torch.Tensor] | None, said: str
) -> None:
    path = checkpoint_of(project) / "optimizer.safetensors"
    rewrite(path, lambda tensors: tensors.update({name: change(tensors[name])}) if change else tensors.pop(name))
    with_right_sums(path.parent)
    with pytest.raises(CheckpointError) as raised:
        train(project, Job(), run=RUN, resume=True, changes={"training.max_steps": 8})
    assert said in raised.value.what and "optimizer.safetensors" in raised.value.what


def test_other_head_counts_in_the_record_of_a_run_are_explained(project: Project) -> None:
    path = registry.folder(project, RUN) / "run.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"n_heads": 2', '"n_heads": 4'), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run\.json and the checkpoint .* different settings"):
        train(project, Job(), run=RUN, resume=True, changes={"training.max_steps": 8})


def test_another_tokenizer_than_that_of_the_weights_is_explained(project: Project) -> None:
    """With a token less, as in a tokenizer that was trained again."""
    path = checkpoint_of(project) / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    last = max(vocabulary.values())
    content["model"]["vocab"] = {token: index for token, index in vocabulary.items() if index != last}
    content["model"]["merges"] = merges[:-1]
    path.write_text(json.dumps(content), encoding="utf-8")
    with_right_sums(path.parent)
    with pytest.raises(CheckpointError, match=f"is {last + 1} × 32 instead of {last} × 32"):
        load_generator(project, Job(), checkpoint=str(path.parent))


def test_a_checkpoint_that_grew_to_terabytes_is_damaged_at_once(project: Project) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        with (checkpoint_of(project) / name).open("ab") as stream:
            stream.truncate(2_000_000_000_000)  # sparse
        with pytest.raises(CheckpointError, match="damaged"):
            load_generator(project, Job(), checkpoint=str(checkpoint_of(project)))


# --- Snapshots ---------------------------------------------------------------------------------------------------


def snapshot_of(project: Project) -> Path:
    """A snapshot of a step that has no checkpoint."""
    return snapshots.listed(registry.folder(project, RUN))[2]


def without_sums(path: Path) -> None:
    """As an earlier version wrote it."""
    rewrite(path, lambda tensors: None)


def test_a_snapshot_opens_with_and_without_its_sums(project: Project) -> None:
    path = snapshot_of(project)
    assert load_generator(project, Job(), checkpoint=str(path)).name == f"{RUN}/{path.stem}"
    without_sums(path)
    (registry.folder(project, RUN) / "run.json").write_text("[", encoding="utf-8")
    assert load_generator(project, Job(), checkpoint=str(path)).name == f"{RUN}/{path.stem}"


@pytest.mark.parametrize("position", [-1, -2001, 4000, 20_000])
def test_a_flipped_bit_in_a_snapshot_is_found(project: Project, position: int) -> None:
    path = snapshot_of(project)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_generator(project, Job(), checkpoint=str(path))


@pytest.mark.parametrize("said", [said for said in DAMAGE if said != "is of another type of number"])
def test_a_snapshot_that_does_not_fit_is_explained_even_without_sums(project: Project, said: str) -> None:
    path = snapshot_of(project)
    without_sums(path)
    DAMAGE[said](path)
    with pytest.raises(CheckpointError) as raised:
        load_generator(project, Job(), checkpoint=str(path))
    assert path.name in raised.value.what


def test_another_model_or_tokenizer_beside_a_snapshot_is_explained(project: Project) -> None:
    path = snapshot_of(project)
    config, tokenizer = path.with_name("config.yaml"), path.with_name("tokenizer.json")
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("dropout: 0.1", "dropout: 0.2"), encoding="utf-8")
    load_generator(project, Job(), checkpoint=str(path))
    config.write_text(before.replace("n_heads: 2", "n_heads: 4"), encoding="utf-8")
    with pytest.raises(CheckpointError, match="settings of the snapshot"):
        load_generator(project, Job(), checkpoint=str(path))
    config.write_text(before, encoding="utf-8")
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace('"min', '"max') + "\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="tokenizer of the snapshot"):
        load_generator(project, Job(), checkpoint=str(path))
