"""All steps on the built-in stories, in a few minutes on any computer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.data.tokens.bits_per_byte import bits_per_byte
from llm_studio.events import TextWritten
from llm_studio.i18n import _
from llm_studio.jobs import Job
from llm_studio.project import Project, State
from llm_studio.workflows import projects
from llm_studio.workflows.data import sources
from llm_studio.workflows.generation.generate import LAST, TextGenerator, load_generator
from llm_studio.workflows.make import make, prepare
from llm_studio.workflows.training.open_data import open_training_data
from llm_studio.workflows.training.planner import plan_run
from llm_studio.workflows.training.request import TrainResult
from llm_studio.workflows.training.train import PROMPTS, train
from llm_studio.workflows.training.unfinished import unfinished_run

if TYPE_CHECKING:
    from llm_studio.runs.record import Run

_PRESET = "nano"
_STORIES = 12_000
MINUTES = 2.0
"""Training time in minutes."""
_TALES = 3


@dataclass(frozen=True)
class QuickStart:
    """The result: the project, its run, and the stories that the model wrote."""

    project: Project
    run: "Run"
    stories: tuple[str, ...]
    unigram_loss: float
    bigram_loss: float
    bytes_per_token: float | None
    """Mean bytes per token of the tokens on which the baselines were measured."""

    def bits_per_byte(self, baseline: float) -> float | None:
        """The loss of a baseline in bits per byte, comparable across vocabularies."""
        return bits_per_byte(baseline, self.bytes_per_token)


def quickstart(
    root: Path, language: str, job: Job, say: Callable[[str], None], max_steps: int | None = None
) -> QuickStart:
    """Create the project at `root`, or continue with it, from built-in stories to a model that writes.

    `say` is called at the start of each step: "new", "download", "plan", "tokenizer", "tokens", "train", "generate".
    Without `max_steps`, the run is planned for two minutes. An existing project keeps its language, and its last run
    is resumed if it was interrupted.
    """
    project = _project(root, language, say)
    language = project.settings().project.language
    if projects.steps(project).data is State.TO_DO:
        say("download")
        sources.add_stories(project, language, _STORIES, job)
    trained = _trained(project, job, say, max_steps)
    job.check()
    say("generate")
    generator = load_generator(project, job, trained.run.name, LAST)
    prompt = PROMPTS[language][0]
    stories = tuple(_tale(generator, prompt, seed, job) for seed in range(_TALES))
    return QuickStart(project, trained.run, stories, *_baselines(project))


def example(folder: Path, language: str, job: Job) -> Project:
    """A project on built-in stories, ready to train, in a new folder inside `folder`: all steps but the last."""
    wanted = name = _("example")
    number = 2
    while (folder / name).exists():
        name, number = f"{wanted}-{number}", number + 1
    project = projects.new_project(folder / name, _PRESET, language)
    sources.add_stories(project, language, _STORIES, job)
    plan = plan_run(project, MINUTES, job)
    projects.change_settings(project, plan.changes)
    prepare(project, job, lambda _step: None)
    return project


def _trained(project: Project, job: Job, say: Callable[[str], None], max_steps: int | None) -> TrainResult:
    if not max_steps:
        return make(project, MINUTES, job, lambda step, _plan: say(step)).result
    prepare(project, job, say)
    say("train")
    interrupted = unfinished_run(project)
    if interrupted:
        return train(project, job, run=interrupted.name, resume=True)
    return train(project, job, changes=_changes(max_steps))


def _tale(generator: TextGenerator, prompt: str, seed: int, job: Job) -> str:
    job.report(TextWritten(f"\n{prompt}"))
    return prompt + generator.generate(prompt, job, generator.settings_with({"seed": seed}))


def _project(root: Path, language: str, say: Callable[[str], None]) -> Project:
    if (root / "config" / "config.yaml").exists():
        return Project.open(root)
    say("new")
    return projects.new_project(root, _PRESET, language)


def _changes(steps: int) -> dict[str, object]:
    """The settings of a run of `steps` steps."""
    return {
        "training.max_steps": steps,
        "training.warmup_steps": min(100, steps // 10),
        "training.eval_interval": max(1, steps // 5),
        "training.checkpoint_interval": max(1, steps // 2),
    }


def _baselines(project: Project) -> tuple[float, float, float | None]:
    """The losses of a unigram and a bigram model, and the bytes per token of the tokens they were measured on."""
    from llm_studio.data.tokens.baselines import bigram_loss, bytes_per_token, unigram_loss

    with open_training_data(project) as (tokens, tokenizer, _data):
        return unigram_loss(tokens), bigram_loss(tokens), bytes_per_token(tokens, tokenizer)
