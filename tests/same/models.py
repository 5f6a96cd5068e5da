"""Runs of many kinds, and what is made of them: texts, records, archives."""

import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Mapping

from tests.same.digests import cleaned, log, tensors
from tests.same.studio import PROMPT, Studio, settings

LONG: dict[str, dict[str, object]] = {
    "adamw": {"training.optimizer": "adamw", "model.dropout": 0.1, "training.gradient_accumulation_steps": 2},
    "muon": {"training.optimizer": "muon", "training.schedule": "constant", "training.gradient_clip": 0.5},
}
"""Runs of 60 steps, each of which is also killed or stopped and resumed."""
SHORT: dict[str, dict[str, object]] = {
    "bfloat16": {"training.precision": "bfloat16", "training.max_steps": 20},
    "checkpointing": {"training.activation_checkpointing": True, "model.dropout": 0.1},
    "gpt2": {"model.norm": "layernorm", "model.activation": "gelu", "model.positions": "learned", "model.bias": True},
    "relu2": {"model.activation": "relu2", "model.positions": "sinusoidal", "model.tie_embeddings": False,
              "model.zero_init": True, "training.schedule": "linear", "training.optimizer": "adamw"},
    "kv-heads": {"model.n_kv_heads": 2, "model.qk_norm": False, "model.rope_theta": 5000},
}  # fmt: skip
"""Runs of 5 steps where nothing else is said: model shapes and ways to compute."""
SAMPLERS: dict[str, list[str]] = {
    "default": [], "greedy": ["--temperature", "0"], "top-k": ["--top-k", "5", "--temperature", "1.5"],
    "top-p": ["--top-k", "0", "--top-p", "0.7"], "min-p": ["--top-k", "0", "--top-p", "1", "--min-p", "0.2"],
    "repetition": ["--temperature", "0", "--repetition-penalty", "1.5"], "seed": ["--seed", "2"],
    "past the context": ["--temperature", "0", "--max-tokens", "100"],
}  # fmt: skip
EXPORT = """
import importlib, sys
from pathlib import Path
from llm_studio.jobs import Job
from llm_studio.project import Project
folder, run, target, with_training = sys.argv[1:]
project, target, with_training = Project.open(Path(folder)), Path(target), with_training == "True"
for name in ("workflows.export", "export.archive", "workflows.exporting", "export"):
    try:
        module = importlib.import_module(f"llm_studio.{name}")
        export_zip, checkpoints = module.export_zip, module.checkpoints
        export_zip(checkpoints(project, run)[0], target, with_training, Job())
        break
    except (ImportError, AttributeError):
        continue
else:
    from llm_studio.workflows.export import export
    export(project, Job(), "zip", f"{run}/last", target, {"with_training": with_training})
"""
"""Writes the archive of a run's newest checkpoint: by the function, since earlier commits have no command for it."""


def train(studio: Studio) -> None:
    """Runs of all kinds, and those that begin where others ended."""
    for run, changes in LONG.items():
        studio.train(run, changes)
    for run, changes in SHORT.items():
        studio.train(run, {"training.max_steps": 5, **changes})
    studio.train("french", {"training.max_steps": 5}, project="fr")
    answers = {"training.loss_on": "answers", "training.max_steps": 20, "data.weights.talk": 9}
    studio.train("answers", answers, "--continue-from", "adamw")
    studio.train("further", {"training.max_steps": 5}, "--continue-from", "muon/step-000040")
    studio.train("like", {}, "--like", "checkpointing")
    studio.train("like-further", {}, "--like", "further")


def resume(studio: Studio) -> None:
    """A run that is killed and one that is stopped end with the weights of those that never were."""
    ways = {"adamw": signal.SIGTERM if os.name == "nt" else signal.SIGKILL, "muon": signal.SIGINT}
    for whole, way in ways.items():
        if os.name == "nt" and way == signal.SIGINT:
            continue
        run, checkpoints = f"{whole}-{way.name}", studio.root / "en" / "checkpoints"
        interrupted_run(studio, run, LONG[whole], way)
        studio.output("train", "en", "--run", run, "--resume")
        resumed = tensors((checkpoints / run / "step-000060" / "model.safetensors").read_bytes())
        never = tensors((checkpoints / whole / "step-000060" / "model.safetensors").read_bytes())
        assert resumed == never, f"{run}: other weights than without the interruption"
        studio.lines.add(f"{run} weights", resumed)
        text = (studio.root / "en" / "logs" / f"{run}.jsonl").read_bytes()
        studio.lines.add(f"{run} log", log(text, ("step", "evaluation", "sample")))
        studio.output("runs", "en", "--delete", run, "--yes")


def interrupted_run(studio: Studio, run: str, changes: Mapping[str, object], way: int) -> None:
    """Start a run and send it a signal some steps after its first checkpoint."""
    process = studio.start("train", "en", "--run", run, *settings(changes), "--json", output=subprocess.PIPE)
    assert process.stdout
    saved = step = 0
    for line in process.stdout:
        event = json.loads(line)
        saved += event["event"] == "checkpoint" and event["step"] >= 20
        step = event["step"] if event["event"] == "step" else step
        if saved and step >= 25:
            break
    process.send_signal(way)
    process.communicate()
    assert step < 60, "it was over before it could be interrupted"


def generate(studio: Studio) -> None:
    """Every sampler, and every way to name a checkpoint."""
    for name, arguments in SAMPLERS.items():
        studio.generate(name, "en", "--run", "adamw", *arguments)
    for which in ("last", "best", "40", "en/checkpoints/muon/step-000020", str(snapshot(studio))):
        studio.generate(f"from {which}", "en", "--run", "muon", "--checkpoint", which)
    for run in ("gpt2", "relu2", "kv-heads"):
        studio.generate(run, "en", "--run", run, "--temperature", "0")
    studio.generate("newest", "en", prompt=())
    studio.generate("fr", "fr", prompt=("--prompt", "Il était"))
    studio.generate("chat", "en", "--run", "answers", prompt=("--chat", "Where is the cat number 7?"))
    studio.lines.add("generate as text", studio.output("generate", "en", "--run", "muon", "--prompt", PROMPT).encode())


def snapshot(studio: Studio) -> int:
    """A step of which there is a snapshot and no checkpoint."""
    run = studio.root / "en" / "checkpoints" / "muon"
    steps = {int(path.stem.removeprefix("step-")) for path in (run / "snapshots").glob("step-*.safetensors")}
    return max(step for step in steps if not (run / f"step-{step:06d}").exists())


def records(studio: Studio) -> None:
    """What is known of runs; one is renamed, one deleted."""
    studio.output("runs", "en", "--rename", "like-further", "renamed run")
    studio.output("runs", "en", "--delete", "like", "--yes")
    studio.show("runs en", "runs", "en", drop={"bytes"})
    studio.show("runs compare", "runs", "en", "--compare", "adamw", "--compare", "muon", drop={"bytes"})
    for run in ("adamw", "muon", "answers"):
        studio.show(f"curve {run}", "curve", "en", run, drop={"text"})


def export(studio: Studio) -> None:
    """The archive with and without the optimizer; it generates when it is unpacked."""
    for with_training in (False, True):
        target = studio.root / f"export-{with_training}.zip"
        studio.output("-c", EXPORT, "en", "muon", str(target), str(with_training))
        studio.lines.archive(f"export {target.name}", target)
    with zipfile.ZipFile(studio.root / "export-False.zip") as packed:
        packed.extractall(studio.root / "unpacked")
    studio.generate("from an archive", "en", "--checkpoint", "unpacked/muon-step-000060")


def failures(studio: Studio) -> None:
    """Exit codes, and the names of errors."""
    wrong = {
        "unknown setting": ("config", "en", "--set", "model.width=3"), "no project": ("stats", "absent"),
        "bad value": ("config", "en", "--set", "model.n_heads=7"), "no run": ("generate", "en", "--run", "absent"),
        "no file": ("look", "absent.txt"), "no step": ("generate", "en", "--run", "muon", "--checkpoint", "41"),
        "shape changed": ("train", "en", "--continue-from", "muon", "--set", "model.n_layers=2"),
        "run exists": ("train", "en", "--run", "muon"),
    }  # fmt: skip
    for name, arguments in wrong.items():
        last = json.loads(studio.output(*arguments, "--json", code=1).splitlines()[-1])
        studio.lines.add(f"failure {name}", cleaned(last, {"text"}))
    studio.output("train", "en", "--resume", "--like", "muon", code=2)
