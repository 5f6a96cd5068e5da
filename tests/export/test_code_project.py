"""The code project runs without LLM Studio, writes the same text, and trains on as the program does."""

import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file

from llm_studio.data.tokens.token_files import TRAIN_FILE, TRAIN_MASK, VALIDATION_FILE, VALIDATION_MASK
from llm_studio.errors import CheckpointError, ProjectError, StorageError
from llm_studio.export import archive, code_project
from llm_studio.export.code_project import FORMAT
from llm_studio.export.code_templates import render
from llm_studio.i18n import activate
from llm_studio.jobs import Job
from llm_studio.paths import resource
from llm_studio.project import Project
from llm_studio.runs.locate import ModelRef, locate
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.training.train import train
from tests.export.code_scripts import copied, log_of, run, train_like_the_program
from tests.export.trained import loaded
from tests.inference.architectures import CHOICES, architectures
from tests.model.builders import small_settings
from tests.runs.models import damage
from tests.web.models import checkpoint

ROOT = Path(__file__).parents[2]
RULES = "E,F,I,UP,B,SIM,C4,RUF,PTH,PERF,RET,N,PLE,PLW"
IGNORED = "E402,N812"
_RUFF = "line-length = 120\nlint.isort.known-first-party = ['src', 'scripts']"
LAYOUT = (
    "config/config.yaml", "data/raw", "data/processed", "src/__init__.py", "src/model/__init__.py",
    "src/model/transformer.py", "src/model/attention.py", "src/model/layers.py", "src/model/embeddings.py",
    "src/data/__init__.py", "src/data/tokenizer.py", "src/data/dataset.py", "src/training/__init__.py",
    "src/training/trainer.py", "src/training/scheduler.py", "src/inference/__init__.py", "src/inference/generate.py",
    "scripts/setup_project.ps1", "scripts/setup_project.bat", "scripts/download_data.py", "scripts/prepare_data.py",
    "scripts/train_tokenizer.py", "scripts/train.py", "scripts/generate.py", "checkpoints", "logs",
    "requirements.txt", "README.md",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project after 20 of 30 steps, with Muon and dropout, in float32."""
    root = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    changes = {"training.max_steps": 30, "training.optimizer": "muon", "training.precision": "float32"}
    job = Job(lambda event: job.request_stop() if getattr(event, "step", 0) >= 20 else None)
    train(project, job, run="first", changes=changes)
    return project


@pytest.fixture(scope="module")
def exported(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its code, with tokens and texts, in a folder with accents."""
    target = tmp_path_factory.mktemp("out") / "code d’été"
    FORMAT.write(locate(trained, "first/last"), target, {"with_tokens": True, "with_texts": True}, Job())
    return target


# --- What it computes ----------------------------------------------------------------------------------------


def test_it_writes_the_same_text_for_the_same_seed(trained: Project, exported: Path) -> None:
    generator = load_generator(trained, Job(), checkpoint="first/last")
    for seed, prompt in ((1, "Once upon a time"), (2, "« Été »\u00a0! 🦊"), (3, "")):
        sampling = generator.settings_with({"seed": seed, "max_tokens": 60})  # the context slides
        expected = generator.generate(prompt, Job(), sampling)
        written = run(exported, "scripts/generate.py", "--prompt", prompt, "--seed", str(seed), "--max-tokens", "60")
        assert written == prompt + expected + "\n"


def test_ten_more_steps_are_those_of_the_program(trained: Project, exported: Path, tmp_path: Path) -> None:
    here = copied(exported, tmp_path)
    found = train_like_the_program(trained, "first", here, tmp_path)
    assert "name more with --steps" in run(here, "scripts/train.py", fails=True)
    run(here, "scripts/train.py", "--steps", "2")  # the learning rate is that of 32 steps now, not the last one of 30
    rates = [line["learning_rate"] for line in log_of(here)]
    assert len(rates) == len(found) + 2 and rates[-2] > rates[-1] > 0


def test_every_combination_of_branches_is_clean(tmp_path: Path) -> None:
    draw = random.Random(1)
    root = resource("course")
    names = set(re.findall(r"\w+", " ".join(re.findall(r"# \[if (.+)\]", "".join(
        path.read_text(encoding="utf-8") for path in root.rglob("*.py")))))) - {"not", "and", "or"}  # fmt: skip
    for number in range(80):
        flags = {name: draw.random() < 0.5 for name in names}
        for group in (("rope", "learned", "sinusoidal"), ("rmsnorm", "layernorm"), ("swiglu", "gelu", "relu2")):
            chosen = draw.choice(group)
            flags |= {name: name == chosen for name in group}
        flags["cosine"] = flags["cosine"] and not flags["constant"]
        norm = "RMSNorm" if flags["rmsnorm"] else "LayerNorm"
        for path in root.rglob("*.py"):
            target = tmp_path / f"{number}" / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = render(path.read_text(encoding="utf-8"), flags, {"config.bias": str(flags["bias"]), "Norm": norm})
            target.write_text(text, encoding="utf-8")
    assert_clean(tmp_path)


@given(shape=architectures(), dropout=st.sampled_from([0.0, 0.1]))
@examples(max_examples=10, deadline=None)
def test_every_architecture_gives_the_programs_logits(
    tmp_path_factory: pytest.TempPathFactory, shape: dict[str, Any], dropout: float
) -> None:
    folder = tmp_path_factory.mktemp("shape")
    model = checkpoint(folder, small_settings(**shape, dropout=dropout))
    project = folder / "code"
    FORMAT.write(model, project, {}, Job())
    ids = torch.randint(500, (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = loaded(model)[0](ids)
    found = logits_of(project, model, ids)
    assert torch.allclose(found, expected, atol=1e-4), (found - expected).abs().max()


def logits_of(project: Path, model: ModelRef, ids: torch.Tensor) -> torch.Tensor:
    """The logits of the project's own model, once at once and once token by token with the cache."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "src" or name.startswith("src.")}
    sys.path.insert(0, str(project))
    try:
        from src import load_config  # pyright: ignore[reportMissingImports]
        from src.model.attention import KeyValueCache  # pyright: ignore[reportMissingImports]
        from src.model.transformer import Transformer  # pyright: ignore[reportMissingImports]

        made = Transformer(load_config().model).eval()
        made.load_state_dict(load_file(model.path / "model.safetensors"))
        cache = KeyValueCache()
        with torch.inference_mode():
            steps = torch.cat([made(part, cache) for part in ids.split(7, dim=1)], dim=1)
            whole = made(ids)
        assert torch.allclose(steps, whole, atol=1e-4)
        return whole
    finally:
        sys.path.remove(str(project))
        for name in [name for name in sys.modules if name == "src" or name.startswith("src.")]:
            del sys.modules[name]
        sys.modules.update(before)


# --- What it looks like --------------------------------------------------------------------------------------


def assert_clean(project: Path) -> None:
    """Nothing for ruff to say, nothing of the templates left, no line too long to read."""
    check = ["check", f"--select={RULES}", f"--ignore={IGNORED}"]
    for command in (check, ["format", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--config", _RUFF, "."]
        done = subprocess.run(ruff, check=False, cwd=project, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr
    for path in project.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "# [" not in text and "config.bias" not in text and "Norm(" not in text.replace("RMSNorm(", "").replace(
            "LayerNorm(", ""), path  # fmt: skip
        assert "\ufeff" not in text and "\r" not in text


def test_the_code_is_short_and_clean(exported: Path) -> None:
    assert_clean(exported)
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in exported.rglob("*.py"))
    assert lines < 1000


def test_the_layout_is_the_courses(exported: Path) -> None:
    assert [name for name in LAYOUT if not (exported / name).exists()] == []
    wanted = (exported / "requirements.txt").read_text(encoding="utf-8").splitlines()
    libraries = {line.partition(">")[0] for line in wanted if not line.startswith("#")}
    assert libraries == {"torch", "tokenizers", "numpy", "safetensors", "pyyaml"}
    assert b"\r\n" in (exported / "scripts" / "setup_project.bat").read_bytes()


def test_only_the_branches_of_this_model_are_there(exported: Path) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in exported.rglob("*.py"))
    assert "RotaryPositions" in code and "class Muon" in code and "class Dropout" in code
    assert "sinusoid" not in code and "LayerNorm" not in code and "gelu" not in code and "question" not in code
    config = (exported / "config" / "config.yaml").read_text(encoding="utf-8")
    assert "muon_momentum" in config and "n_kv_heads" not in config


def test_conditions_of_templates() -> None:
    template = "a\n# [if x and not y]\nb\n# [if y or z]\nc\n# [else]\nd\n# [end]\n# [else]\ne\n# [end]\n"
    for x, y, z, expected in ((1, 0, 0, "abd"), (1, 0, 1, "abc"), (0, 0, 1, "ae"), (1, 1, 1, "ae")):
        flags = {"x": bool(x), "y": bool(y), "z": bool(z)}
        assert render(template, flags, {}).replace("\n", "") == expected
    with pytest.raises(KeyError):
        render("# [if other]\n# [end]\n", {}, {})
    assert set(CHOICES["activation"]) == {"swiglu", "gelu", "relu2"}, "the templates have a branch for each"


@pytest.mark.parametrize("language, words", [("en", "Let it write"), ("fr", "Le faire écrire")])
def test_the_readme_speaks_the_users_language(trained: Project, tmp_path: Path, language: str, words: str) -> None:
    activate(language)
    try:
        FORMAT.write(locate(trained, "first/last"), tmp_path / "code", {}, Job())
    finally:
        activate("en")
    text = (tmp_path / "code" / "README.md").read_text(encoding="utf-8")
    assert words in text and "@" not in text and "data/raw" in text
    assert max(map(len, text.splitlines())) < 200


# --- Making a model of one's own ------------------------------------------------------------------------------


def test_the_whole_path_from_texts_to_a_new_model(exported: Path, tmp_path: Path) -> None:
    here = copied(exported, tmp_path)
    (here / "data" / "raw" / "été.txt").write_text("Une fée vint. « Bonsoir », dit-elle.", encoding="utf-8")
    assert "already" in run(here, "scripts/train_tokenizer.py", fails=True)
    (here / "tokenizer.json").unlink()
    run(here, "scripts/train_tokenizer.py")
    assert "tokens to learn from" in run(here, "scripts/prepare_data.py")
    assert "nothing is overwritten" in run(here, "scripts/train.py", "--new", fails=True)
    shutil.rmtree(here / "checkpoints")
    assert "no checkpoint yet" in run(here, "scripts/generate.py", fails=True)
    assert "step 3 of 3" in run(here, "scripts/train.py", "--new", "--steps", "3")
    assert run(here, "scripts/generate.py", "--prompt", "Une", "--max-tokens", "5").startswith("Une")


def test_without_tokens_training_says_what_to_do(trained: Project, tmp_path: Path) -> None:
    FORMAT.write(locate(trained, "first/last"), tmp_path / "code", {}, Job())
    assert not list((tmp_path / "code" / "data").rglob("*.*"))
    assert "put texts into data/raw" in run(tmp_path / "code", "scripts/train.py", fails=True)
    (tmp_path / "code" / "data" / "raw" / "old.txt").write_bytes("Une fée vint.".encode("cp1252"))
    said = run(tmp_path / "code", "scripts/prepare_data.py", fails=True)
    assert "old.txt isn't in UTF-8" in said and "Traceback" not in said
    assert "put texts into data/raw" in run(tmp_path / "code", "scripts/train.py", fails=True), "no half of the tokens"


def test_a_model_that_came_without_its_optimizer_is_exported_and_learns(
    trained: Project, exported: Path, tmp_path: Path
) -> None:
    packed = archive.write(locate(trained, "first/last"), tmp_path / "model.zip", {}, Job()).path
    shutil.unpack_archive(packed, tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    FORMAT.write(locate(trained, str(folder)), tmp_path / "code", {}, Job())
    assert not list((tmp_path / "code").rglob("optimizer.safetensors"))
    shutil.copytree(exported / "data" / "processed", tmp_path / "code" / "data" / "processed", dirs_exist_ok=True)
    assert "step 21 of 21" in run(tmp_path / "code", "scripts/train.py", "--steps", "1")


def test_the_files_of_tokens_are_those_of_the_program(exported: Path) -> None:
    assert set(code_project._TOKEN_FILES) == {TRAIN_FILE, VALIDATION_FILE, TRAIN_MASK, VALIDATION_MASK}
    assert sorted(path.name for path in (exported / "data" / "processed").iterdir()) == [
        "meta.json", "train.bin", "val.bin",
    ]  # fmt: skip


# --- Bad luck --------------------------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_stays_as_it_is(trained: Project, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="already something in the folder"):
        FORMAT.write(locate(trained, "first/last"), tmp_path / "code", {}, Job())
    assert [path.name for path in (tmp_path / "code").iterdir()] == ["mine.txt"]


def test_a_full_disk_and_a_damaged_checkpoint_leave_nothing(
    trained: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Project.open(shutil.copytree(trained.root, tmp_path / "project"))
    model = locate(root, "first/last")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
        with pytest.raises(StorageError, match="are needed"):
            FORMAT.write(model, tmp_path / "code", {}, Job())
    damage(model.path / "optimizer.safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        FORMAT.write(model, tmp_path / "code", {}, Job())
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_tokens_that_are_not_those_of_the_run_are_not_given(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, small_settings())
    with pytest.raises(ProjectError, match="no longer in its project"):
        FORMAT.write(model, tmp_path / "code", {"with_tokens": True}, Job())


@pytest.mark.slow
def test_the_two_commands_of_the_readme_in_a_new_environment(exported: Path, tmp_path: Path) -> None:
    here = copied(exported, tmp_path)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    folder = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    # what is installed here needn't be downloaded again: torch alone is 200 MB
    libraries = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")})
    (Path(libraries) / "installed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    text = (here / "README.md").read_text(encoding="utf-8")
    commands = text.partition("```sh\n")[2].partition("```")[0].strip().splitlines()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    commands[0] = commands[0].replace("pip", "python -m pip")
    for command in commands:
        done = subprocess.run(
            command, check=False, shell=True, cwd=here, env=environment, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Once upon a time")
