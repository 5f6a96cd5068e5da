"""What a user does with a project, each as a function that returns what came out, part by part."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_studio.errors import StudioError
from llm_studio.events import Event, Failed, Notice, RunStarted
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.runs import checkpoint, registry
from llm_studio.workflows import overview
from llm_studio.workflows.generation import chats, favourites
from llm_studio.workflows.generation.generate import load_generator
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import train
from tests.damage.project import FINISHED, SNAPSHOT, STOPPED
from tests.damage.window import Window


@dataclass
class Outcome:
    """What an operation brought: `parts` by name, what was `said`, the sentence it ended with if it did."""

    parts: dict[str, Any] = field(default_factory=dict[str, Any])
    said: list[str] = field(default_factory=list[str])
    error: str = ""


Operation = Callable[[Project, Outcome], None]


def look_over(project: Project, out: Outcome) -> None:
    """Where the project stands, as the window's rail and tabs show it."""
    take_overview(overview.overview(project), out)


def take_overview(found: "overview.Overview | None", out: Outcome) -> None:
    """The parts of an overview."""
    if found is None:
        return
    out.parts |= {f"source {s.name}": [s.documents, s.characters, s.bytes] for s in found.sources}
    out.parts |= {f"run {run.name}": _run(run) for run in found.runs}
    out.parts["tokenizer"] = found.tokenizer and list(vars(found.tokenizer).values())
    out.parts["tokens"] = found.tokens and [found.tokens.train, found.tokens.validation]
    out.parts["steps"] = [str(state) for state in vars(found.steps).values()]
    out.said += [f"{name}: {state.value}" for name, state in vars(found.steps).items() if state is not State.READY]
    out.parts["settings"] = None if found.settings_problem else found.settings.to_dict()
    if found.settings_problem:
        out.said.append(str(found.settings_problem))
    out.said += _sentences(found)


def _sentences(found: object) -> list[str]:
    """Whatever else an overview says about damage: sentences, errors, and records that hold them."""
    known = {"project", "settings", "settings_problem", "steps", "sources", "tokenizer", "tokens", "cost", "runs"}
    others = {name: value for name, value in vars(found).items() if name not in known and value}
    return [f"{name}: {value}" for name, value in others.items() if not isinstance(value, int)]


def list_runs(project: Project, out: Outcome) -> None:
    """The list of runs."""
    found, problems = runs.survey(project)
    out.parts |= {f"run {run.name}": _run(run) for run in found}
    out.said += [problem.what for problem in problems]


def _run(run: Any) -> list[object]:
    return [run.state, run.step, run.max_steps, run.train_loss, run.best_loss]


def write_with(run: str, point: str) -> Operation:
    """Generate with a checkpoint or a snapshot."""

    def generate(project: Project, out: Outcome) -> None:
        generator = load_generator(project, _job(out), run, point)
        sampling = generator.settings_with({"temperature": 0.0, "max_tokens": 8})
        text = generator.generate("Once upon", _job(out), sampling)
        out.parts[f"text of {run}"] = [generator.name, text]

    return generate


def read_chats(project: Project, out: Outcome) -> None:
    """The chats, and the favourites."""
    with _said(out):
        out.parts["chats"] = [chats.read(project, one.id).text for one in chats.listed(project)]
    with _said(out):
        out.parts["favourites"] = [[one.run, one.text] for one in favourites.listed(project)]


@contextlib.contextmanager
def _said(out: Outcome) -> Generator[None]:
    """Inside, a StudioError ends a part, not the operation."""
    try:
        yield
    except StudioError as error:
        out.said.append(str(error))


def resume(project: Project, out: Outcome) -> None:
    """Resume the stopped run; the rest of it is two steps."""
    train(project, _job(out), run=STOPPED, resume=True)
    saved = checkpoint.listed(registry.folder(project, STOPPED))[-1]
    digest = hashlib.sha256()
    for name, tensor in sorted(saved.weights().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    out.parts["weights"] = [saved.step, digest.hexdigest()]


def _job(out: Outcome) -> Job:
    def report(event: Event) -> None:
        if isinstance(event, Notice | Failed):
            out.said.append(event.text)
        elif isinstance(event, RunStarted):
            out.parts["resumed at"] = event.step

    return Job(report)


def start_window(window: Window) -> Operation:
    """Open the project in the window and go through its tabs."""

    def start(project: Project, out: Outcome) -> None:
        found, said = window.open(project.root)
        out.said += said
        take_overview(found, out)

    return start


def operations(window: Window | None) -> dict[str, Operation]:
    """All of them, in the order in which they are tried; the last one writes."""
    found: dict[str, Operation] = {
        "overview": look_over, "list": list_runs, "generate": write_with(FINISHED, "best"),
        "generate 2": write_with(STOPPED, "best"), "snapshot": write_with(FINISHED, f"step-{SNAPSHOT:06d}"),
        "chats": read_chats,
    }  # fmt: skip
    if window is not None:
        found["window"] = start_window(window)
    return {**found, "resume": resume}


def attempt(operation: Operation, root: Path) -> Outcome:
    """What comes of an operation; a StudioError is its sentence, anything else is raised."""
    out = Outcome()
    try:
        operation(Project.open(root), out)
    except StudioError as error:
        out.error = str(error)
    out.parts = json.loads(json.dumps(out.parts, default=str))
    return out
