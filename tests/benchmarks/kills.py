"""Kills a run at random moments, also while it saves: `python -m tests.benchmarks.kills [KILLS]`.

After each kill the run is resumed; at the end its weights are compared, bit for bit, with those of a run that was never
killed. `python -m tests.benchmarks.kills 20 window` kills a window that trains, and presses *Resume* in the next one.
"""

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry
from llm_studio.workflows import projects
from llm_studio.workflows.training.train import train
from tests.tiny import project_with_tokens

KILLS = 100
STEPS_PER_KILL = 25
"""Steps of the run per kill, so that it doesn't end before the last one."""
MOST_STEPS = 40
"""A process is killed after a random number of steps up to this one."""
INSIDE_SAVES = 0.5
"""Fraction of the kills that wait for a save to begin."""


RUN = "run-1"
"""The name that the window gives the first run."""


def main(kills: int = KILLS, window: bool = False) -> None:
    """Kill, resume, compare and print."""
    chance = random.Random(0)
    changes: dict[str, Any] = {
        "training.max_steps": STEPS_PER_KILL * kills + 50, "training.checkpoint_interval": 50,
        "training.eval_interval": 500, "training.eval_sequences": 8,
        "training.checkpoint_minutes": 0.002,  # a save every eighth of a second, in the background
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        project, whole = (project_with_tokens(Path(folder) / name) for name in ("killed", "whole"))
        for one in (project, whole):
            projects.change_settings(one, changes)
        train(whole, Job(), run=RUN, changes={"training.checkpoint_minutes": 0.0})
        began, done, inside = time.perf_counter(), 0, 0
        steps: set[int] = set()
        while done < kills:
            was_inside = _killed(project, window, chance, wait_for_save=chance.random() < INSIDE_SAVES)
            if was_inside is None:
                break
            done += 1
            inside += was_inside
            saved, damaged = checkpoint.newest_intact(registry.folder(project, RUN))
            assert not damaged, damaged
            steps.add(saved.step if saved else 0)
        seconds = (time.perf_counter() - began) / max(done, 1)
        print(f"{done} kills of {kills}, {inside} of them inside a save, {seconds:.1f} s each; "
              f"resumed from {len(steps)} different steps up to {max(steps, default=0)}", flush=True)  # fmt: skip
        if registry.read(project, RUN).state != "finished":
            train(project, Job(), run=RUN, resume=True)
        same = _same(_weights(whole), _weights(project))
        print("weights equal to the last bit" if same else "THE WEIGHTS DIFFER")


def _killed(project: Project, window: bool, chance: random.Random, wait_for_save: bool) -> bool | None:
    """Train in a process and kill it; returns whether it was killed while saving, None if it ended before."""
    command = [sys.executable, "-m", "llm_studio", "train", str(project.root), "--run", RUN, "--json"]
    command += ["--resume"] if registry.folder(project, RUN).exists() else []
    if window:
        command = [sys.executable, "-m", "tests.benchmarks.kills_window", str(project.root)]
    before = _unfinished(project)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    steps = chance.randint(1, MOST_STEPS)
    for line in process.stdout:
        steps -= '"event": "step"' in line
        if not steps:
            break
    reader = threading.Thread(target=process.stdout.read)  # a full pipe would block the training, but not its saves
    reader.start()
    while wait_for_save and process.poll() is None and _unfinished(project) <= before:
        time.sleep(0.0002)
    time.sleep(chance.uniform(0, 0.003 if wait_for_save else 0.02))  # a save of this small model takes a few ms
    process.send_signal(signal.SIGKILL)
    process.wait()
    reader.join()
    errors = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return None if process.returncode == 0 else not _unfinished(project) <= before


def _unfinished(project: Project) -> set[tuple[str, int]]:
    """The files of a save in progress, or of one that was killed: names and modification times."""
    found: set[tuple[str, int]] = set()
    for path in registry.folder(project, RUN).glob("step-*.partial"):
        with contextlib.suppress(FileNotFoundError):  # the save has just ended
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def _weights(project: Project) -> dict[str, torch.Tensor]:
    return checkpoint.listed(registry.folder(project, RUN))[-1].weights()


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS, "window" in sys.argv)
