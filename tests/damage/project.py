"""A small real project that holds every kind of file, to be damaged."""

import json
import os
import subprocess
import sys
from pathlib import Path

from llm_studio.data.chunks import Chunk
from llm_studio.data.sources.sharded import ShardedSourceWriter
from llm_studio.events import Event, Progress, StepDone
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import registry
from llm_studio.runs.decisions import DecisionLog
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation import chats
from llm_studio.workflows.generation.favourites import Favourite, change
from llm_studio.workflows.tokenizer.prepare import prepare_tokens
from llm_studio.workflows.tokenizer.train import train_tokenizer
from llm_studio.workflows.training.train import train
from tests.tiny import SETTINGS

FINISHED, STOPPED = "run-1", "run-2"
STOPPED_AT, STEPS = 8, 10
QUIET = {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "qt.text.font.db=false"}
"""In the environment of a window that nobody sees."""
SNAPSHOT = 3
"""A step of which there is only a snapshot."""
_DAMAGED_SNAPSHOTS = ("config", "tokenizer", f"step-{SNAPSHOT:06d}")
_TRAINING = {**SETTINGS, "training.max_steps": STEPS, "training.checkpoint_interval": 4, "training.eval_interval": 4}


def make(root: Path, with_window: bool) -> Project:
    """Sources of three kinds, tokenizer, tokens, a finished and a stopped run, a chat, a favourite; window.json.

    `with_window`: also what the window remembers of a project that was opened once.
    """
    job = Job()
    project = projects.new_project(root / "project", "nano", "en")
    projects.change_settings(project, _TRAINING)
    sources.add_stories(project, "en", 150, job)
    turns = [{"role": "user", "content": "Who ran?"}, {"role": "assistant", "content": "A fox ran home."}]
    talks = [json.dumps({"messages": [*turns, {"role": "user", "content": f"And {n}?"}, turns[1]]}) for n in range(30)]
    (root / "talks.jsonl").write_text("\n".join(talks), encoding="utf-8")
    sources.add_files(project, root / "talks.jsonl", job)
    _add_sharded(project)
    train_tokenizer(project, job)
    prepare_tokens(project, job)
    train(project, job, run=FINISHED)

    def stop(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == STOPPED_AT:
            stopping.request_stop()

    stopping = Job(stop)
    train(project, stopping, run=STOPPED)
    DecisionLog(registry.folder(project, STOPPED)).record(2, "test", value=1)
    turn = chats.Turn("Once", " upon a time", (chats.Token(5, " upon", 0.5),), 1, 0.1, 3, f"{FINISHED}/step-000010")
    chats.write(project, chats.new().followed_by(turn))
    change(project, Favourite(FINISHED, 4, "Once", " upon"), True)
    home = root / "home"
    home.mkdir()
    (home / "window.json").write_text(json.dumps({"tab": "training", "recent": [str(root)]}), encoding="utf-8")
    if with_window:
        subprocess.run([sys.executable, "-m", "tests.damage.window", str(project.root)], check=True,
                       env={**os.environ, **QUIET, "LLM_STUDIO_HOME": str(home)})  # fmt: skip
    return project


def _add_sharded(project: Project) -> None:
    """A source in two parts, as a download from the hub leaves it."""
    writer = ShardedSourceWriter(project.raw, "parts", "hf:someone/parts", {"state": "complete"})
    with project.writing("data"):
        for part in range(2):
            texts = (Chunk(f"The {n}th tale of part {part} is about a fox.", True) for n in range(40))
            writer.append(texts, lambda part=part: (part + 1, 0), Job(), _progress)


def _progress(documents: int, _size: int) -> Progress:
    return Progress("writing", documents, None, "documents")


def files_of(root: Path) -> list[str]:
    """All files that can be damaged, relative to the folder of `make`."""
    found = (path for folder in ("project", "home") for path in (root / folder).rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(root)) for path in found
        if ".locks" not in path.parts and (path.parent.name != "snapshots" or path.stem in _DAMAGED_SNAPSHOTS)
    )  # fmt: skip
