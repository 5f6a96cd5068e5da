"""A model that someone gave away becomes a project, in which it is what it was."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from llm_studio.cli.app import DONE, main
from llm_studio.config import Settings
from llm_studio.errors import Cancelled, CheckpointError, StorageError
from llm_studio.export import archive, hf
from llm_studio.inference.load import load_model
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.opening import free_name, open_model, proposed_name, recognise
from llm_studio.workflows.overview import overview
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.training.train import train
from tests.export.test_bad_luck import small_disk
from tests.export.trained import VARIANTS, loaded

Variant = Callable[[str], ModelRef]


def written(project: Project, chat: bool = False) -> str:
    generator = load_generator(project, Job())
    sampling = generator.settings_with({"seed": 3, "max_tokens": 40})
    return generator.generate("Who is Tom?", Job(), sampling, chat=chat)


@pytest.mark.parametrize("with_training", [False, True])
def test_a_zip_becomes_a_project_that_writes_the_same(variant: Variant, tmp_path: Path, with_training: bool) -> None:
    model = variant("chat")
    made = archive.write(model, tmp_path / "modèle d'été.zip", {"with_training": with_training}, Job())
    opened = open_model(made.path, tmp_path / "chez moi" / "modèle", Job())
    assert opened.project.root == tmp_path / "chez moi" / "modèle" and opened.conversations and opened.run == "run-1"
    assert written(opened.project, chat=True) == written(Project(model.path.parents[2]), chat=True)
    run = registry.read(opened.project, "run-1")
    assert run.state == "finished" and run.parameters == opened.parameters and run.best_bits_per_byte is not None
    assert locate(opened.project, "best").weights_file.read_bytes() == model.weights_file.read_bytes()
    shown = overview(opened.project)
    assert shown.best_run is not None and shown.best_run.name == "run-1"
    assert not list(opened.project.root.rglob("*.partial"))


def test_the_folder_of_a_checkpoint_opens_too(variant: Variant, tmp_path: Path) -> None:
    opened = open_model(variant("qwen3").path, tmp_path / "copy", Job())
    assert opened.run == "run-1" and written(opened.project) == written(Project(variant("qwen3").path.parents[2]))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_hugging_face_folder_of_ours_opens_as_it_was(name: str, variant: Variant, tmp_path: Path) -> None:
    hf.write(variant(name), tmp_path / "hf", {}, Job())
    opened = open_model(tmp_path / "hf", tmp_path / "project", Job())
    ref = locate(opened.project, "best")
    before = loaded(variant(name))[0]
    after = load_model(ref, before.vocab_size, "cpu")
    ids = torch.randint(0, before.vocab_size, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(after(ids), before(ids), atol=1e-6, rtol=0)
    assert ref.conversations == (name == "chat") and ref.step == variant(name).step
    was = variant(name).checkpoint
    assert was is not None and ref.checkpoint is not None and ref.checkpoint.bits_per_byte == was.bits_per_byte


def other_peoples_model(kind: str, folder: Path, tokenizer: Path) -> None:
    """A folder that transformers itself has written."""
    size = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(1)
    if kind == "gpt2":
        config = GPT2Config(n_positions=64, n_embd=32, n_layer=2, n_head=2, **size)
        model = GPT2LMHeadModel(config)
    else:
        shape = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5}  # fmt: skip
        model = LlamaForCausalLM(LlamaConfig(**shape, **size, tie_word_embeddings=False))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    if kind == "gpt2":
        model.save_pretrained(folder)
    else:
        model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_folder_that_others_made_computes_what_it_does_there(kind: str, variant: Variant, tmp_path: Path) -> None:
    hf.write(variant("qwen3"), tmp_path / "tokenizer", {}, Job())
    other_peoples_model(kind, tmp_path / "theirs", tmp_path / "tokenizer")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype=torch.float32)
    opened = open_model(tmp_path / "theirs" / "config.json", tmp_path / "project", Job())
    ours = load_model(locate(opened.project, "best"), 400, "cpu")
    ids = torch.arange(40)[None] * 7 % 400
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_a_run_begins_with_it_in_its_own_project_and_in_another(
    variant: Variant, prepared: Path, tmp_path: Path
) -> None:
    made = archive.write(variant("qwen3"), tmp_path / "m.zip", {}, Job())
    opened = open_model(made.path, tmp_path / "given", Job())
    sources.add_stories(opened.project, "en", 100, Job())
    prepare_tokens(opened.project, Job())
    train(opened.project, Job(), run="next", continue_from=opened.run, changes={"training.max_steps": 2})
    assert registry.read(opened.project, "next").continued_from == f"{opened.run}/step-000012"
    shutil.copytree(prepared, tmp_path / "other")
    other = Project.open(tmp_path / "other")
    begun = str(registry.folder(opened.project, opened.run))
    train(other, Job(), run="next", continue_from=begun, changes={"training.max_steps": 2})
    assert registry.read(other, "next").continued_from


def test_on_the_command_line(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = archive.write(variant("qwen3"), tmp_path / "petit modèle.zip", {}, Job())
    assert main(["open", str(made.path), "--json"]) == DONE
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures["project"] == str(tmp_path / "petit modèle") and figures["run"] == "run-1"
    assert main(["open", str(made.path)]) == DONE
    assert "petit modèle-2" in capsys.readouterr().out
    assert main(["generate", "petit modèle-2", "--prompt", "Once", "--max-tokens", "5"]) == DONE


def test_the_name_that_is_proposed_for_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llm v1.5").mkdir()
    (tmp_path / "llm v1.5" / "config.json").write_text("{}", encoding="utf-8")
    assert proposed_name(Path("llm v1.5/config.json")) == proposed_name(Path("llm v1.5")) == "llm v1.5"
    assert proposed_name(Path()) == tmp_path.name and proposed_name(Path("a.b.zip")) == "a.b"
    assert free_name(tmp_path / "llm v1.5") == tmp_path / "llm v1.5-2"
    (tmp_path / "a.b.gguf").touch()
    assert free_name(tmp_path / "a.b.gguf", ".gguf") == tmp_path / "a.b-2.gguf"


def test_only_models_are_recognised(variant: Variant, tmp_path: Path) -> None:
    made = archive.write(variant("qwen3"), tmp_path / "m.zip", {}, Job())
    assert recognise(made.path) == made.path
    hf.write(variant("qwen3"), tmp_path / "hf", {}, Job())
    assert recognise(tmp_path / "hf") == recognise(tmp_path / "hf" / "config.json") == tmp_path / "hf"
    assert recognise(variant("qwen3").path) == variant("qwen3").path
    (tmp_path / "texts.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    for path in (tmp_path, tmp_path / "texts.zip", tmp_path / "a.txt", tmp_path / "absent.zip",
                 Project(variant("qwen3").path.parents[2]).root):  # fmt: skip
        assert recognise(path) is None


@pytest.mark.parametrize("kind", ["zip", "hf"])
def test_a_stop_or_a_full_disk_leaves_nothing(kind: str, variant: Variant, tmp_path: Path) -> None:
    form = {"zip": archive.FORMAT, "hf": hf.FORMAT}[kind]
    made = form.write(variant("qwen3"), tmp_path / f"m{form.suffix}", {}, Job())
    job = Job(lambda _event: job.request_stop())
    with pytest.raises(Cancelled):
        open_model(made.path, tmp_path / "new", job)
    if sys.platform != "win32":
        with small_disk(20_000), pytest.raises(StorageError, match="could not be written"):
            open_model(made.path, tmp_path / "new", Job())
    assert list(tmp_path.iterdir()) == [made.path]


def test_a_project_is_said_to_be_one_already(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", Settings())
    with pytest.raises(CheckpointError, match="already a project"):
        open_model(tmp_path / "p", tmp_path / "new", Job())
    assert not (tmp_path / "new").exists()
