"""What a stranger gives: opened as it is, or refused in one sentence; nothing is written anywhere else."""

import json
import os
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_studio import files
from llm_studio.errors import CheckpointError, StudioError
from llm_studio.export import archive, hf
from llm_studio.jobs import Job
from llm_studio.runs import checkpoint, tensors
from llm_studio.runs.locate import ModelRef
from llm_studio.workflows.opening import open_model

Variant = Callable[[str], ModelRef]


@pytest.fixture(scope="module")
def good(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a zip and a Hugging Face folder that open."""
    root = tmp_path_factory.mktemp("good")
    archive.write(variant("qwen3"), root / "m.zip", {}, Job())
    hf.write(variant("qwen3"), root / "hf", {}, Job())
    return root


def refused(path: Path, room: Path, *words: str) -> None:
    """It isn't opened, with a sentence that holds one of these words; nothing new is in `room`."""
    before = sorted(room.rglob("*"))
    with pytest.raises(StudioError) as caught:
        open_model(path, room / "new", Job())
    assert sorted(room.rglob("*")) == before
    assert any(word in str(caught.value) for word in words), str(caught.value)
    assert len(str(caught.value)) < 500


# --- Zips -------------------------------------------------------------------------------------------------------

Change = Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]


def rewritten(good: Path, target: Path, change: Change) -> Path:
    """The good zip with `change` called for each of its files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are in it twice
        with zipfile.ZipFile(good / "m.zip") as before, zipfile.ZipFile(target, "w") as after:
            for info in before.infolist():
                change(after, info, before.read(info))
    return target


def keep(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    out.writestr(info.filename, content)


def twice(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    keep(out, info, content)
    if info.filename.endswith("config.yaml"):
        keep(out, info, b"model: {}")


def as_link(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    if info.filename.endswith("model.safetensors"):
        info, content = zipfile.ZipInfo(info.filename), b"/etc/passwd"
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, content)
    else:
        keep(out, info, content)


def deeper(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    out.writestr("../../" + info.filename, content)


def absolute(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    out.writestr("/" + info.filename.partition("/")[2], content)


def two_models(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    keep(out, info, content)
    out.writestr("other/" + info.filename.partition("/")[2], content)


def no_tokenizer(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    if not info.filename.endswith("tokenizer.json"):
        keep(out, info, content)


def bomb(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    if info.filename.endswith("model.safetensors"):
        out.writestr(info.filename, bytes(50_000_000), zipfile.ZIP_DEFLATED)
    else:
        keep(out, info, content)


def by_lzma(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    out.writestr(info.filename, content, zipfile.ZIP_LZMA)


def large_settings(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    keep(out, info, os.urandom(2_000_000) if info.filename.endswith("config.yaml") else content)


def another_size(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
    keep(out, info, content.replace(b"n_layers: 2", b"n_layers: 3") if info.filename.endswith("yaml") else content)


@pytest.mark.parametrize("change, words", [
    (twice, "is in it twice"), (as_link, "is a link"), (deeper, "inside each other"), (absolute, "inside each other"),
    (two_models, "more than one model"), (no_tokenizer, "“tokenizer.json” is missing"), (bomb, "become too large"),
    (by_lzma, "another method than Deflate"), (large_settings, "too large"), (another_size, "is damaged"),
])  # fmt: skip
def test_tricks_with_zips(good: Path, tmp_path: Path, change: Change, words: str) -> None:
    refused(rewritten(good, tmp_path / "m.zip", change), tmp_path, words)


def test_what_else_is_in_a_zip_stays_there(good: Path, tmp_path: Path) -> None:
    def change(out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        keep(out, info, content)
        if info.filename.endswith("config.yaml"):
            out.writestr("../evil.py", b"x")
            out.writestr(info.filename.replace("config.yaml", "evil.dll"), b"x")

    opened = open_model(rewritten(good, tmp_path / "m.zip", change), tmp_path / "deep" / "new", Job())
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert opened.parameters


def test_a_zip_with_very_many_names_isnt_even_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as out:
        for number in range(20_000):
            out.writestr(f"{number:040d}", b"")
    refused(tmp_path / "m.zip", tmp_path, "too many files")


def remade(folder: Path, **weights: torch.Tensor) -> None:
    """Change weights of a checkpoint, and its record, as someone would who wants it to be taken for whole."""
    found = tensors.read(folder / checkpoint.MODEL) | weights
    tensors.write(folder / checkpoint.MODEL, found)
    record = json.loads((folder / checkpoint.RECORD).read_text(encoding="utf-8"))
    record["files"][checkpoint.MODEL] = files.sha256_of(folder / checkpoint.MODEL)
    record.pop("fingerprint")
    files.write_json(folder / checkpoint.RECORD, {**record, "fingerprint": files.fingerprint(record)})


def test_weights_that_lie_although_their_sums_fit(variant: Variant, tmp_path: Path) -> None:
    for number, (wrong, words) in enumerate([
        ({"final_norm.weight": torch.full((32,), torch.nan)}, "aren't numbers"),
        ({"final_norm.weight": torch.ones(33)}, "33 instead of 32"),
        ({"more": torch.ones(3)}, "no “more”"),
    ]):  # fmt: skip
        copy = tmp_path / str(number) / "step-000012"
        shutil.copytree(variant("qwen3").path, copy)
        remade(copy, **wrong)
        refused(copy, tmp_path, words)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_damage_to_a_zip(good: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Cut, or altered at some places: it opens as it was, or is refused."""
    content = bytearray((good / "m.zip").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _time in range(data.draw(st.integers(1, 8)) if content else 0):
        # more often in the list at its end than in the weights
        place = data.draw(
            st.one_of(st.integers(0, len(content) - 1), st.integers(max(0, len(content) - 900), len(content) - 1))
        )
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "m.zip").write_bytes(content)
    try:
        opened = open_model(tmp_path / "m.zip", tmp_path / "new", Job())
    except StudioError:
        assert [path.name for path in tmp_path.iterdir()] == ["m.zip"]
    else:
        shutil.rmtree(opened.project.root)


# --- Hugging Face folders ---------------------------------------------------------------------------------------


def with_config(good: Path, tmp_path: Path, **changes: Any) -> Path:
    shutil.copytree(good / "hf", tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text(encoding="utf-8"))
    files.write_json(tmp_path / "hf" / "config.json", {**config, **changes})
    return tmp_path / "hf"


@pytest.mark.parametrize("changes, words", [
    ({"model_type": "bert"}, "architecture is “bert”"), ({"model_type": ["x"]}, "model_type"),
    ({"rms_norm_eps": 1e-6}, "norms is 1e-06"), ({"hidden_act": "relu"}, "“relu”"),
    ({"rope_scaling": {"type": "yarn"}}, "RoPE scaling"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "RoPE scaling"),
    ({"rope_parameters": {"rope_theta": "x"}}, "not a number"), ({"head_dim": 64}, "heads"),
    ({"num_attention_heads": 0}, "heads"), ({"attention_bias": True}, "bias"), ({"use_sliding_window": True}, "window"),
    ({"num_hidden_layers": 10**9}, "n_layers"), ({"hidden_size": 10**14, "head_dim": None}, "d_model"),
    ({"num_hidden_layers": -1}, "num_hidden_layers"), ({"hidden_size": 1.5}, "hidden_size"),
    ({"num_hidden_layers": 3}, "is missing"), ({"intermediate_size": 65}, "instead of"),
    ({"tie_word_embeddings": False}, "lm_head"), ({"model_type": "llama"}, "k_norm"),
    ({"model_type": "gpt2"}, "n_embd"), ({"max_position_embeddings": 10**12}, "max_seq_len"),
    ({"llm_studio": {"step": "x"}}, "step"), ({"llm_studio": {"run": "../../x", "step": 1}}, ""),
    ({"llm_studio": {"run": "NUL.a", "step": 1}}, ""),
])  # fmt: skip
def test_configurations(good: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    folder = with_config(good, tmp_path, **changes)
    if words:
        refused(folder, tmp_path, words)
    else:
        assert open_model(folder, tmp_path / "new", Job()).run == "run-1"


@pytest.mark.parametrize("content, words", [
    (b"[" * 100_000, "nested too deeply"), (b"\xff", "UTF-8"), (b"{}", "model_type"), (b" " * 5_000_000, "larger than"),
])  # fmt: skip
def test_texts_that_are_no_configuration(good: Path, tmp_path: Path, content: bytes, words: str) -> None:
    folder = with_config(good, tmp_path)
    (folder / "config.json").write_bytes(content)
    refused(folder, tmp_path, words)


def header(content: object, size: int | None = None, data: bytes = b"") -> bytes:
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


@pytest.mark.parametrize("content, words", [
    (b"", "JSON"), (header({}, 2**62), "header is too long"), (header({}), "is missing"), (header([1]), ""),
    (header({"model.norm.weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 10**12]}}), "is missing"),
    (b"\x80\x04\x95" + bytes(100), "can't be read"),
])  # fmt: skip
def test_headers_of_weights(good: Path, tmp_path: Path, content: bytes, words: str) -> None:
    folder = with_config(good, tmp_path)
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, tmp_path, words)


def test_weights_of_the_right_shapes_that_are_none(good: Path, tmp_path: Path) -> None:
    folder = with_config(good, tmp_path)
    right = safetensors.torch.load((folder / "model.safetensors").read_bytes())
    for wrong, words in (
        (torch.full((32,), torch.inf), "infinite"), (torch.ones(32, dtype=torch.int64), "float16 or bfloat16"),
        (torch.ones(1, 32), "1 × 32 instead of 32"),
    ):  # fmt: skip
        safetensors.torch.save_file({**right, "model.norm.weight": wrong}, folder / "model.safetensors")
        refused(folder, tmp_path, words)
    whole = (good / "hf" / "model.safetensors").read_bytes()
    for content in (whole[:-1], whole + b"x"):
        (folder / "model.safetensors").write_bytes(content)
        refused(folder, tmp_path, "as long as it says")


def test_pickles_and_parts_are_not_read(good: Path, tmp_path: Path) -> None:
    folder = with_config(good, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, tmp_path, "can't run a program")
    (folder / "model.safetensors.index.json").write_text("{}", encoding="utf-8")
    refused(folder, tmp_path, "in several files")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_no_link_is_followed_out_of_the_folder(good: Path, tmp_path: Path, name: str) -> None:
    folder = with_config(good, tmp_path / "in")
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    refused(folder, tmp_path, "link that leads out")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, tmp_path, "named pipe", "There is no model")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_no_link_is_followed_out_of_a_checkpoint(variant: Variant, tmp_path: Path) -> None:
    shutil.copytree(variant("qwen3").path, tmp_path / "in" / "step-000012")
    weights = tmp_path / "in" / "step-000012" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    refused(tmp_path / "in" / "step-000012", tmp_path, "link that leads out")


def test_a_tokenizer_of_another_kind(good: Path, tmp_path: Path) -> None:
    folder = with_config(good, tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**content, "normalizer": {"type": "NFC"}}), encoding="utf-8")
    refused(folder, tmp_path, "changes texts")
    fewer = {token: number for token, number in content["model"]["vocab"].items() if number < 300}
    small = {**content, "model": {**content["model"], "vocab": fewer, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(small), encoding="utf-8")
    refused(folder, tmp_path, "400 × 32 instead of 300 × 32")


def test_a_folder_of_the_user_is_never_replaced(good: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("x", encoding="utf-8")
    refused(good / "m.zip", tmp_path, "already something in the folder")
    with pytest.raises(CheckpointError, match="can't be opened"):
        open_model(tmp_path / "absent.zip", tmp_path / "n", Job())
